"""Sizes as text: bytes, or ``500M`` and ``10 GiB``; the units are powers of 1024."""
import re
from typing import Optional

__all__ = ["SIZE_PATTERN", "parse_size"]

_UNITS = {"": 1, "K": 1 << 10, "M": 1 << 20, "G": 1 << 30, "T": 1 << 40}
#: As JSON Schema has it.
SIZE_PATTERN = r"^([0-9]{1,15}(?:\.[0-9]{1,9})?) ?([KMGT]?)(?:iB|B)?$"
_SIZE = SIZE_PATTERN.replace("$", r"\Z")


def parse_size(value: object) -> Optional[int]:
    """Bytes of a size: a number, or text such as ``500M`` or ``10 GiB``.

    :returns: None where the value is none, -1 where it is below zero or no number
    """
    if isinstance(value, (int, float)):
        return int(value) if value == value and abs(value) < 1 << 62 else -1
    match = re.match(_SIZE, value) if isinstance(value, str) else None
    return int(float(match.group(1)) * _UNITS[match.group(2)]) if match else None
