"""What a job may use: kinds of the values in ``limits``. Nothing of the models is imported here."""
from typing import Optional

from config.kinds import Schema
from config.problems import Path, Report, shown
from config.upkeep import Size
from jobs.sizes import SIZE_PATTERN

__all__ = ["NO_LIMIT", "SizeLimit"]

#: What turns off a limit that holds by itself.
NO_LIMIT = "none"


class SizeLimit(Size):
    """A size of one byte or more.

    :param may_be_none: whether ``"none"`` is allowed: no limit at all
    """

    def __init__(self, may_be_none: bool = False) -> None:
        self.may_be_none = may_be_none
        self.what = 'a size or "none"' if may_be_none else "a size"

    def check_more(self, value: object, path: Path, report: Report) -> None:
        """Report a text that is no size, and what is out of bounds."""
        if self.may_be_none and value == NO_LIMIT:
            return
        if self.size_bytes(value) == 0:
            report.error(path, "E105", "must be a size of 1 byte or more, got %s" % shown(value),
                         'for no limit write "none"' if self.may_be_none else "")
        else:
            super().check_more(value, path, report)

    @classmethod
    def limit_bytes(cls, value: object) -> Optional[int]:
        """Bytes of a limit; None where there is none."""
        return None if value == NO_LIMIT else cls.size_bytes(value)

    def schema(self) -> Schema:
        """A number, or a text with a unit."""
        found = super().schema()
        options = found["anyOf"]
        assert isinstance(options, list)
        number = {"type": "number", "minimum": 1, "maximum": 1 << 60}
        text = dict(options[1], pattern="^(?=.*[1-9])" + SIZE_PATTERN[1:])
        return {"anyOf": [number, text] + ([{"const": NO_LIMIT}] if self.may_be_none else [])}
