"""Builds ``executioner.pyz``: the whole product in one file that runs on Python 3.6 and everything newer.

The same sources give the same bytes wherever zlib is the same: entries are sorted and carry one date.

The entry ``product`` has all files, each compressed by itself (``executioner/zipped.py`` reads it); beside it lies what
is needed to read it. The two backports lie in ``backports/`` of the product, seen by Python 3.6 alone. They are fetched
once by pip into ``build/backports`` and checked by their hashes.
"""
import argparse
import ast
import hashlib
import marshal
import os
import stat
import subprocess
import sys
import zipfile
import zlib
from typing import Dict, List, Tuple

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
SHEBANG = b"#!/usr/bin/env python3\n"
ENTRY = b'''from executioner.bootstrap import run

if __name__ == "__main__":
    run()
'''
#: What is imported before the product is there.
BEFORE = ("executioner/__init__.py", "executioner/bootstrap.py", "executioner/bytecode.py", "executioner/zipped.py")
#: Earliest date that a zip can hold.
DATE = (1980, 1, 1, 0, 0, 0)
#: Requirement, file, SHA-256 of the file, and its licence inside the wheel.
BACKPORTS = (
    ("dataclasses==0.8", "dataclasses.py", "4c1b7676ee2a931c57759e68956173c07a629b6721e23ee42898b6552feaa19c",
     "dataclasses-0.8.dist-info/LICENSE.txt"),
    ("typing_extensions==4.1.1", "typing_extensions.py",
     "fef590fa9b04286df584efc4395c5f7743b0b6bbfd8c6861de6459dd95f73c56", "typing_extensions-4.1.1.dist-info/LICENSE"),
)


def declared() -> Tuple[Dict[str, List[str]], Dict[str, List[str]]]:
    """``PACKAGES`` and ``DATA`` of ``setup.py``: what an install carries, the file carries."""
    with open(os.path.join(ROOT, "setup.py"), encoding="utf-8") as source:
        tree = ast.parse(source.read())
    values = {}
    for node in tree.body:
        if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name) and node.value is not None:
            values[node.target.id] = ast.literal_eval(node.value)
    return values["PACKAGES"], values["DATA"]


def product_files() -> List[str]:
    """Every file of the product, relative to the root, sorted."""
    packages, data = declared()
    found = []
    for folder, inner in packages.items():
        for place in [folder] + [folder + "/" + name for name in inner]:
            found += [place + "/" + name for name in os.listdir(os.path.join(ROOT, place)) if name.endswith(".py")]
        found += [folder + "/" + name for name in data.get(folder, ())]
    return sorted(found)


def read(path: str) -> bytes:
    """The bytes of a file."""
    with open(path, "rb") as source:
        return source.read()


def backports(folder: str) -> Dict[str, bytes]:
    """The backports and their licences by their name in the zip, fetched where they are not there yet.

    :param folder: where they are kept between builds
    :raises SystemExit: where they cannot be had, or are not the bytes that were tried
    """
    if not all(os.path.isfile(os.path.join(folder, name)) for _, name, _, _ in BACKPORTS):
        command = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--no-compile", "--upgrade",
                   "--target", folder, "--python-version", "3.6", "--only-binary=:all:", "--ignore-requires-python"]
        done = subprocess.run(command + [requirement for requirement, _, _, _ in BACKPORTS],
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        if done.returncode != 0:
            raise SystemExit("build_pyz: pip could not fetch the backports for Python 3.6 (--without-backports builds "
                             "a file for 3.7 and newer):\n%s" % done.stdout.decode("utf-8", "replace"))
    found = {}
    for _, name, digest, licence in BACKPORTS:
        content = read(os.path.join(folder, name))
        if hashlib.sha256(content).hexdigest() != digest:
            raise SystemExit("build_pyz: %s is not the file that was tried; remove %s and build again"
                             % (os.path.join(folder, name), folder))
        found["backports/" + name] = content
        found["backports/LICENSE." + name[:-3]] = read(os.path.join(folder, licence))
    return found


def write(target: str, entries: Dict[str, bytes]) -> None:
    """Write the file beside its place and then put it there, so that a half one is never seen."""
    temporary = "%s.%d.new" % (target, os.getpid())
    try:
        with open(temporary, "wb") as out:
            out.write(SHEBANG)
            with zipfile.ZipFile(out, "w", zipfile.ZIP_STORED) as archive:
                for name in sorted(entries):
                    entry = zipfile.ZipInfo(name, DATE)
                    entry.create_system = 3
                    entry.external_attr = (stat.S_IFREG | 0o644) << 16
                    archive.writestr(entry, entries[name])
        os.chmod(temporary, 0o755)
        os.replace(temporary, target)
    finally:
        if os.path.exists(temporary):
            os.unlink(temporary)


def main() -> int:
    """Build the file that the arguments ask for."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("-o", "--output", default=os.path.join(ROOT, "dist", "executioner.pyz"))
    parser.add_argument("--backports", default=os.path.join(ROOT, "build", "backports"), metavar="DIR",
                        help="where dataclasses.py and typing_extensions.py lie, or are fetched to by pip")
    parser.add_argument("--without-backports", action="store_true", help="for Python 3.7 and newer only")
    options = parser.parse_args()
    product = {name: read(os.path.join(ROOT, name)) for name in product_files()}
    if not options.without_backports:
        product.update(backports(options.backports))
    entries = {name: product[name] for name in BEFORE}
    entries["__main__.py"] = ENTRY
    # No references between equal values, which depend on how the dictionary was made: version 2.
    entries["product"] = marshal.dumps({name: zlib.compress(product[name], 9) for name in sorted(product)}, 2)
    folder = os.path.dirname(os.path.abspath(options.output))
    if not os.path.isdir(folder):
        os.makedirs(folder)
    write(os.path.abspath(options.output), entries)
    print("%s: %d files, %d bytes, sha256 %s" % (options.output, len(product), os.path.getsize(options.output),
                                                hashlib.sha256(read(options.output)).hexdigest()))
    return 0


if __name__ == "__main__":
    sys.exit(main())
