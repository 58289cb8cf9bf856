"""Importing from the one-file build: everything of ours is read once, at the start, and held in memory.

The file may be replaced while a run goes on, by a new release, and what is imported late would then come from the new
file, or from the middle of it. So all files are held as they lie in the zip, each compressed by itself, and only what
is used is unpacked. A zip gives no place to keep bytecode in: from the first start of a release on that lies in the
user's cache folder (``executioner/bytecode.py``). Carried along for each Python it would be twenty times as much.
"""
import marshal
import os
import sys
from importlib.machinery import ModuleSpec
from types import CodeType, ModuleType
from typing import Dict, Optional, Sequence, Tuple, Union
from zipimport import zipimporter
from zlib import crc32, decompress

from executioner.bytecode import cache_folder, kept_code

__all__ = ["PRODUCT", "Held", "hold"]

#: The entry of the zip with all files of the product: a dictionary by name, of what zlib made of the content.
PRODUCT = "product"


class Held:
    """Finder and loader of what is held.

    :param root: path of the zip, absolute
    :param files: by name in the zip: Python source, or data, compressed by zlib
    :param cache: the folder for compiled code; "" = there is none
    """

    def __init__(self, root: str, files: Dict[str, bytes], cache: str = "") -> None:
        self._root = root
        self._files = files
        self._cache = cache
        self._names: Dict[str, Tuple[str, bool]] = {}
        for name in files:
            if name.endswith(".py"):
                module = (name[len("backports/"):] if name.startswith("backports/") else name)[:-3].replace("/", ".")
                package = module.endswith(".__init__")
                self._names[module[:-len(".__init__")] if package else module] = name, package

    def find_spec(self, name: str, path: Optional[Sequence[str]] = None,
                  target: Optional[ModuleType] = None) -> Optional[ModuleSpec]:
        """Where a module is; None where it is not ours."""
        found = self._names.get(name)
        if found is None:
            return None
        place = os.path.join(self._root, found[0])
        # By its methods alone: importlib.abc.Loader would cost an import.
        spec = ModuleSpec(name, self, origin=place, is_package=found[1])  # type: ignore[arg-type]
        spec.has_location = True
        if found[1]:
            spec.submodule_search_locations = [os.path.dirname(place)]
        return spec

    def create_module(self, spec: ModuleSpec) -> Optional[ModuleType]:
        """The ordinary module will do."""
        return None

    def exec_module(self, module: ModuleType) -> None:
        """Execute the module's code in it."""
        exec(self.get_code(module.__name__), module.__dict__)  # noqa: S102

    def get_code(self, name: str) -> CodeType:
        """The code object of a module of ours.

        :raises ImportError: where it is none
        """
        file_name = self._file_of(name)
        packed = self._files[file_name]
        return kept_code(self._cache, "zip." + name, os.path.join(self._root, file_name),
                         b"%d %08x" % (len(packed), crc32(packed)), lambda: decompress(packed))

    def get_source(self, name: str) -> Optional[str]:
        """The source of a module, for tracebacks."""
        return decompress(self._files[self._file_of(name)]).decode("utf-8")

    def is_package(self, name: str) -> bool:
        """Whether a module of ours is a package."""
        self._file_of(name)
        return self._names[name][1]

    def get_data(self, path: str) -> bytes:
        """The bytes of a data file, by its path in the zip (``pkgutil.get_data``).

        :raises OSError: where there is no such file
        """
        name = os.path.relpath(path, self._root).replace(os.sep, "/")
        if name not in self._files:
            raise OSError("there is no %s in %s" % (name, self._root))
        return decompress(self._files[name])

    def _file_of(self, name: str) -> str:
        if name not in self._names:
            raise ImportError("%s is not held" % name, name=name)
        return self._names[name][0]


def hold(root: str) -> None:
    """Read what the zip has and import from that alone from now on.

    :param root: path of the zip, absolute
    """
    # 0.971 believes that this is text.
    content: Union[bytes, str] = zipimporter(root).get_data(os.path.join(root, PRODUCT))
    assert isinstance(content, bytes)
    files: Dict[str, bytes] = marshal.loads(content)
    if sys.version_info >= (3, 7):
        files = {name: packed for name, packed in files.items() if not name.startswith("backports/")}
    sys.meta_path.insert(0, Held(root, files, cache_folder()))
