"""Sizes as text: bytes, or ``500M`` and ``10 GiB``; the units are powers of 1024."""
import math
import re
from typing import Optional

__all__ = ["MAX_SIZE", "SIZE_PATTERN", "parse_size"]

#: Most bytes that a size may be: one exbibyte.
MAX_SIZE = 1 << 60
_UNITS = {"": 1, "K": 1 << 10, "M": 1 << 20, "G": 1 << 30, "T": 1 << 40}
#: So many digits of each unit are below the most.
_DIGITS = (("", 18), ("K", 15), ("M", 12), ("G", 9), ("T", 6))
#: As JSON Schema has it.
SIZE_PATTERN = "^(%s)$" % "|".join(r"0*[0-9]{1,%d}(\.[0-9]{1,9})? ?%s(iB|B)?" % (most, unit) for unit, most in _DIGITS)
_SIZE = SIZE_PATTERN.replace("$", r"\Z")
_PARTS = r"([0-9.]+) ?([KMGT]?)"


def parse_size(value: object) -> Optional[int]:
    """Bytes of a size: a number, or text such as ``500M`` or ``10 GiB``; a part of a byte counts as one.

    :returns: None where the value is none, -1 where it is below zero, no number, or more than ``MAX_SIZE``
    """
    if isinstance(value, (int, float)):
        return math.ceil(value) if 0 <= value <= MAX_SIZE else -1
    if not isinstance(value, str) or not re.match(_SIZE, value):
        return None
    parts = re.match(_PARTS, value)
    assert parts is not None
    return math.ceil(float(parts.group(1)) * _UNITS[parts.group(2)])
