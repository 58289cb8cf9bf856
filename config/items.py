"""``for_each``: what it may say, its items, and what each job that is made for an item is called. Pure.

Four forms: a list of texts, numbers and booleans, or of objects of such; ``{"range": 12}`` or ``{"range": [first, last,
step]}``, both ends included; ``{"glob": "in/*.csv"}``, or several patterns; and an object of such lists, one for each
name: every combination of them, the last name changing first.

The job made for an item is called ``id[label]``. The label is the item's text: of an object its ``id``, else its
``name``, else its values with commas between them. Letters, digits, single blanks and ``_ . : , / = + @ % -`` stay as
they are; whatever else there is becomes ``_``, and what is longer than 60 characters is cut. Such a changed label ends
with ``~`` and eight digits of a hash of the whole text. Of equal labels the second ends with ``#2``, and so on.
"""
import itertools
from typing import Dict, Iterable, List, Mapping, Optional, Union

from config.kinds import MAX_TEXT, Kind, Schema, check_text, is_comment, is_identifier, is_number
from config.problems import Path, Report, kind_of, quoted, shown

__all__ = ["ForEach", "Item", "LABEL_CHARACTERS", "MAX_ITEMS", "count_of", "glob_patterns", "items_of", "label_of",
           "labels_of", "values_of"]

#: Most jobs that one ``for_each`` makes.
MAX_ITEMS = 10000
#: Most bytes of one value of an item: it becomes a variable of the job.
MAX_VALUE = MAX_TEXT // 2
#: What stays as it is in a label, besides letters and digits.
LABEL_CHARACTERS = frozenset("_.:,/=+@%- ")
_LABEL_MOST = 60
_RANGE, _GLOB = "range", "glob"
_BOUND = 10 ** 15

#: What ``${item}`` stands for: a text, or texts by their names.
Item = Union[str, Dict[str, str]]


class ForEach(Kind):
    """What a job is to be made for each of."""

    what = 'a list, {"range": ...}, {"glob": ...} or an object of lists'
    types = (list, dict)

    def check_more(self, value: object, path: Path, report: Report) -> None:
        """Report what no items can be made of."""
        if isinstance(value, list):
            _check_list(value, path, report)
        elif isinstance(value, dict):
            names = _names(value)
            if _RANGE in names or _GLOB in names:
                _check_source(value, path, report)
            elif not names:
                report.error(path, "E152", "must have at least one list")
            else:
                before = report.error_count
                for name in names:
                    _check_name(name, path + (name,), report)
                    if isinstance(value[name], dict):
                        _check_source(value[name], path + (name,), report)
                    elif isinstance(value[name], list):
                        _check_list(value[name], path + (name,), report, False)
                    else:
                        report.error(path + (name,), "E152", 'must be a list, {"range": ...} or {"glob": ...}, got %s'
                                     % shown(value[name]))
                if report.error_count == before:
                    _check_count(count_of(value), path, report)

    def schema(self) -> Schema:
        """The four forms."""
        scalar: Schema = {"type": ["string", "number", "boolean"], "maxLength": MAX_VALUE}
        scalars: Schema = {"type": "array", "items": scalar, "maxItems": MAX_ITEMS}
        name = "^[A-Za-z][A-Za-z0-9_]{0,63}$"
        comments: Schema = {"^_": True}
        nothing: Schema = {"patternProperties": comments, "additionalProperties": False}  # but comments
        objects: Schema = {"type": "array", "maxItems": MAX_ITEMS, "items": {
            "type": "object", "patternProperties": dict(comments, **{name: scalar}), "additionalProperties": False,
            "not": nothing}}
        text: Schema = {"type": "string", "minLength": 1, "maxLength": MAX_TEXT}
        whole: Schema = {"type": "integer", "minimum": -_BOUND, "maximum": _BOUND}
        step: Schema = dict(whole, **{"not": {"const": 0}})
        sources: List[Schema] = [
            {"type": "object", "required": [_RANGE], "additionalProperties": False, "patternProperties": comments,
             "properties": {_RANGE: {"anyOf": [{"type": "integer", "minimum": 0, "maximum": MAX_ITEMS},
                                               {"type": "array", "minItems": 2, "maxItems": 3, "items": whole,
                                                "prefixItems": [whole, whole, step]}]}}},
            {"type": "object", "required": [_GLOB], "additionalProperties": False, "patternProperties": comments,
             "properties": {_GLOB: {"anyOf": [text, {"type": "array", "items": text, "minItems": 1,
                                                     "maxItems": 1000}]}}}]
        lists: Schema = {"anyOf": [dict(scalars)] + sources}
        product: Schema = {"type": "object", "additionalProperties": False,
                           "not": {"anyOf": [{"required": [_RANGE]}, {"required": [_GLOB]}, nothing]},
                           "patternProperties": dict(comments, **{name: lists})}
        return {"anyOf": [scalars, objects] + sources + [product]}


def _names(value: Mapping[str, object]) -> List[str]:
    return [name for name in value if not is_comment(name)]


def _check_name(name: str, path: Path, report: Report) -> None:
    if not is_identifier(name) or len(name) > 64:
        report.error(path, "E152", "a name must be letters, digits and _, beginning with a letter, at most 64 "
                     "characters, got %s" % shown(name), at_key=True)


def _check_scalar(value: object, path: Path, report: Report) -> None:
    if isinstance(value, str):
        check_text(value, path, report, MAX_VALUE)
    elif not isinstance(value, bool) and not is_number(value):
        report.error(path, "E152", "must be a string, a number, true or false, got %s" % kind_of(value))


def _check_list(value: List[object], path: Path, report: Report, may_hold_objects: bool = True) -> None:
    if len(value) > MAX_ITEMS:
        _check_count(len(value), path, report)
        return
    has_objects = may_hold_objects and bool(value) and isinstance(value[0], dict)
    for index, item in enumerate(value):
        here = path + (index,)
        if isinstance(item, dict) != has_objects:
            report.error(here, "E152", "items must be all objects or all texts, numbers and booleans, got %s"
                         % kind_of(item) if may_hold_objects else
                         "must be a string, a number, true or false, got %s" % kind_of(item))
        elif isinstance(item, dict):
            for name in _names(item):
                _check_name(name, here + (name,), report)
                _check_scalar(item[name], here + (name,), report)
            if not _names(item):
                report.error(here, "E152", "an item must have at least one value")
        else:
            _check_scalar(item, here, report)


def _check_count(count: int, path: Path, report: Report) -> None:
    if count > MAX_ITEMS:
        report.error(path, "E152", "makes %d jobs, %d are allowed" % (count, MAX_ITEMS))


def _check_source(value: Mapping[str, object], path: Path, report: Report) -> None:
    """Report what is wrong with a ``range`` or a ``glob``."""
    names = _names(value)
    if names not in ([_RANGE], [_GLOB]):
        report.error(path, "E152", 'must be {"range": ...} or {"glob": ...} and nothing beside it, got %s'
                     % (", ".join(map(quoted, names)) or "nothing"))
    elif names == [_GLOB]:
        patterns = value[_GLOB] if isinstance(value[_GLOB], list) else [value[_GLOB]]
        assert isinstance(patterns, list)
        here = path + (_GLOB,)
        if not 0 < len(patterns) <= 1000:
            report.error(here, "E152", "must be a pattern, or a list of up to 1000 patterns")
        for index, pattern in enumerate(patterns):
            at = here + (index,) if isinstance(value[_GLOB], list) else here
            if not isinstance(pattern, str) or not pattern:
                report.error(at, "E152", "must be a pattern such as \"in/*.csv\", got %s" % shown(pattern))
            else:
                check_text(pattern, at, report)
    else:
        found = value[_RANGE]
        here = path + (_RANGE,)
        numbers = found if isinstance(found, list) else [1, found]
        if len(numbers) not in (2, 3) or not all(map(_is_whole, numbers)):
            report.error(here, "E152", "must be a whole number N (from 1 to N), or [first, last] or "
                         "[first, last, step], got %s" % shown(found))
        elif isinstance(found, (int, float)) and found < 0:
            report.error(here, "E152", "must not be negative, got %s" % shown(found))
        elif len(numbers) == 3 and not numbers[2]:
            report.error(here + (2,), "E152", "the step must not be 0")
        else:
            _check_count(len(_range(found)), here, report)


def _is_whole(value: object) -> bool:
    return isinstance(value, (int, float)) and is_number(value) and value == int(value) and abs(value) <= _BOUND


def _range(value: object) -> range:
    numbers = [int(number) for number in value] if isinstance(value, list) else [1, int(value)]  # type: ignore[call-overload]
    step = numbers[2] if len(numbers) == 3 else 1
    return range(numbers[0], numbers[1] + (1 if step > 0 else -1), step)


def glob_patterns(value: object) -> Optional[List[str]]:
    """The patterns of a ``{"glob": ...}``; None where it is none."""
    if not isinstance(value, dict) or _GLOB not in value:
        return None
    patterns = value[_GLOB]
    return [str(one) for one in patterns] if isinstance(patterns, list) else [str(patterns)]


def items_of(value: object) -> List[Item]:
    """The items of a ``for_each`` without a ``glob``, in order."""
    if isinstance(value, list):
        return [{name: _text(item[name]) for name in _names(item)} if isinstance(item, dict) else _text(item)
                for item in value]
    if isinstance(value, dict):
        if _RANGE in value:
            return [str(number) for number in _range(value[_RANGE])]
        names = _names(value)
        lists = [items_of(value[name]) for name in names]
        return [{name: str(text) for name, text in zip(names, texts)} for texts in itertools.product(*lists)]
    return []


def count_of(value: object) -> int:
    """How many items there are, without making them: a product may have very many. Of a ``glob`` nobody knows: 1."""
    if isinstance(value, list):
        return len(value)
    if not isinstance(value, dict) or _GLOB in value:
        return 1
    if _RANGE in value:
        return len(_range(value[_RANGE]))
    count = 1
    for name in _names(value):
        count *= count_of(value[name])
    return count


def _text(value: object) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float) and value.is_integer() and abs(value) < _BOUND:
        return str(int(value))
    return str(value)


def values_of(item: Item) -> Dict[str, str]:
    """The values of an item by the names of their placeholders, ``item`` or ``item.NAME``."""
    if isinstance(item, str):
        return {"item": item}
    return {"item." + name: text for name, text in item.items()}


def label_of(item: Item) -> str:
    """What a job for the item is called, where no other item has the same label."""
    text = item if isinstance(item, str) else _text_of_object(item)
    label = "".join(one if one.isalnum() or one in LABEL_CHARACTERS else "_" for one in text)
    if label == text and 0 < len(label) <= _LABEL_MOST and label == label.strip() and "  " not in label:
        return label
    from jobs.digests import sha256_hex
    label = "_".join(label.split(" ")) if "  " in label or label != label.strip() else label
    return "%s~%s" % (label[:_LABEL_MOST].rstrip(), sha256_hex(text.encode("utf-8", "surrogatepass"))[:8])


def _text_of_object(item: Mapping[str, str]) -> str:
    from jobs.masking import is_secret_name
    for name in ("id", "name"):
        if name in item:
            return item[name]
    # A label is shown everywhere.
    return ",".join(text for name, text in item.items() if not is_secret_name(name))


def labels_of(items: Iterable[Item]) -> List[str]:
    """The labels of all items, each another one."""
    labels: List[str] = []
    counts: Dict[str, int] = {}
    for item in items:
        label = label_of(item)
        counts[label] = counts.get(label, 0) + 1
        labels.append(label if counts[label] == 1 else "%s#%d" % (label, counts[label]))
    return labels
