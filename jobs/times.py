"""Times and durations as text: ISO 8601 in UTC outside, epoch seconds inside."""
import re
import time
from functools import lru_cache
from typing import Optional

__all__ = ["MAX_DURATION_S", "duration_text", "parse_duration", "utc_text"]

#: Longest duration that a file may say, in seconds: ten years.
MAX_DURATION_S = 10 * 365 * 86400
_UNITS_S = {"d": 86400.0, "h": 3600.0, "m": 60.0, "s": 1.0}
#: Compiled where it is used, as few runs do.
_DURATION = (
    r"(?:([0-9]+(?:\.[0-9]+)?)d)?(?:([0-9]+(?:\.[0-9]+)?)h)?(?:([0-9]+(?:\.[0-9]+)?)m)?(?:([0-9]+(?:\.[0-9]+)?)s?)?\Z")


def utc_text(epoch_s: float) -> str:
    """Epoch seconds as ISO 8601 with milliseconds and ``Z``, whatever the locale and the zone."""
    seconds, milliseconds = divmod(int(round(epoch_s * 1000)), 1000)
    return "%s.%03dZ" % (_second_text(seconds), milliseconds)


@lru_cache(maxsize=64)
def _second_text(seconds: int) -> str:
    """Much of what is told happened in the same second."""
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(seconds))


def parse_duration(text: str) -> Optional[float]:
    """Seconds of ``90``, ``90s``, ``15m``, ``1h30m`` or ``2d``; None where the text is no duration."""
    match = re.match(_DURATION, text)
    if not text or match is None:
        return None
    return sum(float(part) * unit for part, unit in zip(match.groups(), _UNITS_S.values()) if part)


def duration_text(seconds: float) -> str:
    """A duration for people: ``0.4 s``, ``12 s``, ``3 min 05 s``, ``2 h 10 min``."""
    if seconds < 10:
        return "%.1f s" % seconds
    whole = int(round(seconds))
    if whole < 60:
        return "%d s" % whole
    if whole < 3600:
        return "%d min %02d s" % divmod(whole, 60)
    return "%d h %02d min" % divmod(whole // 60, 60)
