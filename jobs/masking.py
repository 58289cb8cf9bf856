"""Keeps secret values out of everything that we write ourselves.

A value is found as it is, base64-encoded (wherever it begins inside the encoded text, plain and URL-safe alphabet)
and URL-encoded. Not found: a value whose encoded form a program broke into lines, and numbers in structured data.
Masking is for string values, before they are serialised; on serialised JSON it would miss what JSON escapes.
"""
import json
import re
from typing import Iterable, List, Tuple

__all__ = ["MASK", "MINIMUM_LENGTH", "Masker", "NO_SECRETS", "StreamMasker", "is_secret_name", "united"]

MASK = "***"
#: Characters below which a value is not masked: it would be found in half of all words.
MINIMUM_LENGTH = 6

_SECRET_PARTS = ("PASSWORD", "PASSWD", "SECRET", "TOKEN", "CREDENTIAL")
_WORD = r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+"
_Interval = Tuple[int, int]


def is_secret_name(name: str) -> bool:
    """Whether a variable of this name is a secret by its name alone: ``DB_PASSWORD``, ``API_KEY``, ``apiKey``;
    not ``KEYBOARD`` or ``MONKEY``, since ``KEY`` must be a word of the name."""
    upper = name.upper()
    if any(part in upper for part in _SECRET_PARTS):
        return True
    return "KEY" in upper and any(word.upper() == "KEY" for word in re.findall(_WORD, name))


class Masker:
    """Replaces secret values by ``***``.

    :param values: the secrets; those under six characters are left out
    """

    def __init__(self, values: Iterable[str] = ()) -> None:
        forms = set()
        for value in values:
            if len(value) >= MINIMUM_LENGTH:
                forms.update(_forms(value))
        #: Every text that is looked for, longest first.
        self.forms = tuple(sorted(forms, key=lambda form: (-len(form), form)))
        self._in_json = tuple(json.dumps(form, ensure_ascii=False)[1:-1] for form in self.forms)

    def __bool__(self) -> bool:
        """Whether there is anything to mask."""
        return bool(self.forms)

    @property
    def longest_bytes(self) -> int:
        """Bytes (UTF-8) of the longest text that is looked for: how far before a cut one must look."""
        return max((len(form.encode("utf-8", "surrogatepass")) for form in self.forms), default=0)

    def mask_text(self, text: str, start: int = 0) -> str:
        """The text from ``start`` on with every secret replaced, also one that ``start`` cuts through."""
        if not self.forms:
            return text[start:] if start else text
        intervals = self.find(text)
        if not intervals:
            return text[start:] if start else text
        pieces = []
        position = start
        for first, end in intervals:
            if end > start:
                pieces.append(text[position:first])
                pieces.append(MASK)
                position = end
        pieces.append(text[position:])
        return "".join(pieces)

    def mask_value(self, value: object) -> object:
        """A copy of a JSON-able value with all its strings masked, keys too. Numbers stay as they are."""
        if not self.forms:
            return value
        if isinstance(value, str):
            return self.mask_text(value)
        if isinstance(value, dict):
            return {self.mask_text(key) if isinstance(key, str) else key: self.mask_value(item)
                    for key, item in value.items()}
        if isinstance(value, (list, tuple)):
            return [self.mask_value(item) for item in value]
        return value

    def may_stand_in(self, json_text: str) -> bool:
        """Whether a string of this JSON (not ASCII-only) may hold a secret: saves masking values that need none.

        JSON escapes each character by itself, so a secret inside a string is there in its escaped form. Never a
        reason to replace anything in the JSON itself.
        """
        return any(form in json_text for form in self._in_json)

    def find(self, text: str) -> List[_Interval]:
        """Where secrets stand, as (first, end) in order; those that overlap are one."""
        found: List[_Interval] = []
        for form in self.forms:
            position = text.find(form)
            while position >= 0:
                found.append((position, position + len(form)))
                position = text.find(form, position + 1)
        return united(found) if len(found) > 1 else found

    def held_back(self, text: str) -> int:
        """How many characters at the end of the text might be the beginning of a secret."""
        longest = 0
        for form in self.forms:
            length = min(len(form) - 1, len(text))
            while length > longest:
                if text.endswith(form[:length]):
                    longest = length
                length -= 1
        return longest

    def stream(self) -> "StreamMasker":
        """A masker for text that comes in pieces."""
        return StreamMasker(self)


class StreamMasker:
    """Masks text that comes in pieces, so that a secret which two pieces share is masked as well.

    What might be the beginning of a secret is held back until the next piece, or ``finish``, decides it.
    """

    def __init__(self, masker: Masker) -> None:
        self._masker = masker
        self._pending = ""
        #: How much of the beginning of ``_pending`` belongs to a secret whose mask was already given out.
        self._covered = 0

    def feed(self, text: str) -> str:
        """The part of all text so far that is decided now and was not given out before."""
        if not self._masker:
            return text
        text = self._pending + text
        return self._advance(text, len(text) - self._masker.held_back(text))

    def finish(self) -> str:
        """What was held back, when no more text comes."""
        return self._advance(self._pending, len(self._pending))

    def _advance(self, text: str, cut: int) -> str:
        intervals = self._masker.find(text)
        if self._covered:
            intervals = united([(0, self._covered)] + intervals)
        pieces = []
        position = 0
        covered = 0
        for first, end in intervals:
            if first >= cut:
                break
            pieces.append(text[position:first])
            if first > 0 or not self._covered:
                pieces.append(MASK)
            position = min(end, cut)
            covered = max(0, end - cut)
        pieces.append(text[position:cut])
        self._pending = text[cut:]
        # A secret that ends exactly at the cut is over: one that follows it is another and gets a mask of its own.
        self._covered = covered if cut else max(covered, self._covered)
        return "".join(pieces)


#: Masks nothing; for where no secrets are known.
NO_SECRETS = Masker()


def united(intervals: List[_Interval]) -> List[_Interval]:
    """Intervals in order; those that overlap are one, those that only touch are not."""
    united: List[_Interval] = []
    for first, end in sorted(intervals):
        if united and first < united[-1][1]:
            united[-1] = (united[-1][0], max(end, united[-1][1]))
        else:
            united.append((first, end))
    return united


def _forms(value: str) -> List[str]:
    # Imported here: a run without secrets needs neither.
    import base64
    from urllib.parse import quote, quote_plus

    raw = value.encode("utf-8", "surrogatepass")
    forms = [value]
    for shift, skipped in ((0, 0), (1, 2), (2, 3)):
        # Six bits a character: the first ones depend on what stands before, the last on what follows.
        encoded = base64.b64encode(b"\0" * shift + raw).decode("ascii")
        whole = encoded[skipped:(shift + len(raw)) * 8 // 6]
        forms += [whole, whole.replace("+", "-").replace("/", "_")]
    for escaped in (quote(raw), quote(raw, safe=""), quote_plus(raw)):
        forms += [escaped, re.sub("%[0-9A-F]{2}", lambda match: match.group().lower(), escaped)]
    return forms
