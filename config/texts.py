"""The texts in a value of a file, at any depth, with their places."""
from typing import Iterator, Tuple

from config.kinds import is_comment
from config.problems import Path

__all__ = ["texts"]


def texts(value: object, path: Path, beginning: str) -> Iterator[Tuple[Path, str]]:
    """The texts that hold the beginning of a reference, without comments."""
    if isinstance(value, str):
        if beginning in value:
            yield path, value
    elif isinstance(value, list):
        for index, item in enumerate(value):
            yield from texts(item, path + (index,), beginning)
    elif isinstance(value, dict):
        for name, item in value.items():
            if not is_comment(name):
                yield from texts(item, path + (name,), beginning)
