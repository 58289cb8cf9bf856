"""Text of others (output, ids, messages) made safe to show on a terminal."""
import re
from typing import Match

__all__ = ["safe_text"]

# C0 but tab and newline, DEL, C1, and what turns the direction of writing.
_UNSAFE = "[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]"


def safe_text(text: str) -> str:
    r"""The text with control characters as ``\xNN`` and bidirectional controls as ``\uNNNN``.

    Newlines and tabs stay. Nothing in the result can move the cursor, change colours or reorder what is read.
    """
    return re.sub(_UNSAFE, _shown, text)


def _shown(match: Match[str]) -> str:
    code = ord(match.group())
    return "\\x%02x" % code if code < 0x100 else "\\u%04x" % code
