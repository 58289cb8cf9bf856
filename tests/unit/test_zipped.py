"""What is held of the one-file build is found, described and read as the import system wants it."""
import pkgutil
import sys
import zlib
from pathlib import Path
from typing import Dict, Iterator

import pytest

from executioner.zipped import Held

FILES = {
    "heldpkg/__init__.py": b'"""A package."""\n',
    "heldpkg/inner/__init__.py": b"",
    "heldpkg/inner/leaf.py": b"from heldpkg import other\nVALUE = other.VALUE + 1\n",
    "heldpkg/other.py": b"VALUE = 41\n",
    "heldpkg/broken.py": b"1 / 0\n",
    "heldpkg/page.html": b"<p>\xe2\x82\xac</p>",
}


def packed(files: Dict[str, bytes]) -> Dict[str, bytes]:
    """As the build packs them."""
    return {name: zlib.compress(content) for name, content in files.items()}


@pytest.fixture
def held() -> Iterator[Held]:
    """A finder that is in use for the length of a test."""
    finder = Held("/nowhere/executioner.pyz", packed(FILES))
    sys.meta_path.insert(0, finder)  # type: ignore[arg-type]
    yield finder
    sys.meta_path.remove(finder)  # type: ignore[arg-type]
    for name in [name for name in sys.modules if name.split(".")[0] == "heldpkg"]:
        del sys.modules[name]


def test_modules_and_packages_are_imported(held: Held) -> None:
    from heldpkg.inner import leaf  # type: ignore[import-not-found]
    assert leaf.VALUE == 42
    assert leaf.__file__ == "/nowhere/executioner.pyz/heldpkg/inner/leaf.py"
    assert leaf.__spec__.loader is held and not held.is_package("heldpkg.other")
    package = sys.modules["heldpkg"]
    assert package.__doc__ == "A package." and list(package.__path__) == ["/nowhere/executioner.pyz/heldpkg"]
    assert held.is_package("heldpkg.inner")


def test_code_and_source_can_be_had(held: Held) -> None:
    namespace: dict = {}
    exec(held.get_code("heldpkg.other"), namespace)
    assert namespace["VALUE"] == 41
    assert held.get_source("heldpkg.other") == "VALUE = 41\n"
    for name in ("heldpkg.missing", "heldpkg.page", "json"):
        assert held.find_spec(name) is None
        with pytest.raises(ImportError):
            held.get_code(name)
        with pytest.raises(ImportError):
            held.is_package(name)


def test_data_is_read_as_from_any_package(held: Held) -> None:
    assert pkgutil.get_data("heldpkg", "page.html") == FILES["heldpkg/page.html"]
    with pytest.raises(OSError):
        pkgutil.get_data("heldpkg", "missing.html")


def test_an_error_shows_where(held: Held) -> None:
    with pytest.raises(ZeroDivisionError) as caught:
        import heldpkg.broken  # type: ignore[import-not-found]  # noqa: F401
    assert str(caught.traceback[-1].path) == "/nowhere/executioner.pyz/heldpkg/broken.py"


def test_backports_are_found_by_their_own_name() -> None:
    finder = Held("/nowhere/x.pyz", packed({"backports/heldback.py": b"X = 1\n", "backports/LICENSE.heldback": b""}))
    spec = finder.find_spec("heldback")
    assert spec is not None and spec.origin == "/nowhere/x.pyz/backports/heldback.py"
    assert finder.find_spec("backports.heldback") is None


def test_compiled_code_is_kept_and_another_release_is_another_code(tmp_path: Path) -> None:
    """At the same path the old code must not live on."""
    def value(source: bytes) -> int:
        namespace: Dict[str, int] = {}
        exec(Held("/opt/x.pyz", packed({"one.py": source}), str(tmp_path)).get_code("one"), namespace)
        return namespace["X"]

    assert value(b"X = 1\n") == 1
    kept, = tmp_path.iterdir()
    before = kept.stat().st_ino
    assert value(b"X = 1\n") == 1 and kept.stat().st_ino == before
    assert value(b"X = 2\n") == 2 and kept.stat().st_ino != before
    kept.write_bytes(b"")
    assert value(b"X = 2\n") == 2 and kept.stat().st_size
    assert [path.name for path in tmp_path.iterdir()] == [kept.name]
