"""The fixture ``api``: a server with a home of its own."""
import os
from typing import Iterator

import pytest

from api_case import ApiCase


@pytest.fixture
def folder(tmp_path: "os.PathLike[str]") -> str:
    """A folder without links on the way."""
    return os.path.realpath(str(tmp_path))


@pytest.fixture
def api(folder: str) -> Iterator[ApiCase]:
    """A server that nothing was run in yet."""
    case = ApiCase(folder)
    yield case
    case.close()
