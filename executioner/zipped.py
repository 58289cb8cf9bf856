"""Importing from the one-file build: everything of ours is read once, at the start, and held in memory.

The file may be replaced while a run goes on, by a new release, and what is imported late would then come from the new
file, or from the middle of it. And a zip gives no place to keep bytecode in, so that each start would compile what it
loads: the build lays compiled code into the file for each Python that it finds, one blob per version
(``scripts/build_pyz.py``). Where there is none for this Python, the sources are held and compiled as they are needed.
"""
import marshal
import os
import sys
from importlib.machinery import ModuleSpec
from types import CodeType, ModuleType
from typing import Dict, Optional, Sequence, Tuple, Union
from zipimport import zipimporter

__all__ = ["BLOB", "MANIFEST", "Held", "hold"]

#: Names of all files of the product in the zip, a line each.
MANIFEST = "MANIFEST"
#: The compiled code for the Python with this magic number: a dictionary by file name, of code and data alike.
BLOB = "bytecode/%s"


class Held:
    """Finder and loader of what is held.

    :param root: path of the zip, absolute
    :param files: by name in the zip: Python source, or data
    :param compiled: by name in the zip: marshalled code
    """

    def __init__(self, root: str, files: Dict[str, bytes], compiled: Dict[str, bytes]) -> None:
        self._root = root
        self._files = files
        self._compiled = compiled
        self._names: Dict[str, Tuple[str, bool]] = {}
        for name in list(files) + list(compiled):
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
        if file_name in self._compiled:
            code: CodeType = marshal.loads(self._compiled[file_name])
            return code
        place = os.path.join(self._root, file_name)
        code = compile(self._files[file_name], place, "exec", dont_inherit=True)
        return code  # noqa: RET504 - compile alone has no type

    def get_source(self, name: str) -> Optional[str]:
        """The source of a module, for tracebacks; None where only its code is held."""
        source = self._files.get(self._file_of(name))
        return None if source is None else source.decode("utf-8")

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
        return self._files[name]

    def _file_of(self, name: str) -> str:
        if name not in self._names:
            raise ImportError("%s is not held" % name, name=name)
        return self._names[name][0]


def hold(root: str) -> None:
    """Read what the zip has for this Python and import from that alone from now on.

    :param root: path of the zip, absolute
    """
    archive = zipimporter(root)

    def read(name: str) -> bytes:
        # 0.971 believes that this is text.
        content: Union[bytes, str] = archive.get_data(os.path.join(root, name))
        assert isinstance(content, bytes)
        return content

    magic = sys.modules["_frozen_importlib_external"].MAGIC_NUMBER.hex()
    try:
        files, compiled = marshal.loads(read(BLOB % magic))
    except OSError:
        names = read(MANIFEST).decode("utf-8").splitlines()
        files = {name: read(name) for name in names
                 if sys.version_info < (3, 7) or not name.startswith("backports/")}
        compiled = {}
    sys.meta_path.insert(0, Held(root, files, compiled))
