"""The fixture ``case`` for tests that kill the real command."""
import os

import pytest

from cli_case import Case


@pytest.fixture
def case(tmp_path: "os.PathLike[str]") -> Case:
    """A folder with a home of its own, in which the real command is run."""
    folder = os.path.join(os.path.realpath(str(tmp_path)), "case")
    os.mkdir(folder)
    return Case(folder)
