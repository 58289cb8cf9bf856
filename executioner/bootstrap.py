"""The first thing that every command runs: our packages come first on the path, or there is one clear line.

``api``, ``config``, ``db`` and ``jobs`` are names that a user's own folder may well have, in the working folder or
on ``PYTHONPATH``. They lie in the checkout, in ``executioner/lib`` of an install, or in the zip; that one place is
put first on ``sys.path``. This is on the way of every command and so imports next to nothing, and it parses on any
Python, 2.7 too (hence the type comments), so that an old one gets a sentence and no ``SyntaxError``.
"""
import os
import sys

MYPY = False
if MYPY:  # ``typing`` costs time and is not there on the oldest
    from typing import Optional  # noqa: F401

__all__ = ["EXIT_USAGE", "NAMES", "main", "prepare", "run"]

#: Our top-level packages beside ``executioner`` itself.
NAMES = ("api", "config", "db", "executioner_logging", "jobs", "monitoring")
#: ``jobs.exceptions.EXIT_USAGE``, which cannot be imported before this has run.
EXIT_USAGE = 2


def prepare():
    # type: () -> Optional[str]
    """Put our packages first on ``sys.path``; the answer is what stands in the way, in one line, or None."""
    if sys.version_info < (3, 6):
        return "this is Python %d.%d (%s); Python 3.6 or newer is needed" % (sys.version_info[:2] + (sys.executable,))
    here = os.path.dirname(os.path.abspath(__file__))
    root = os.path.join(here, "lib")
    zipped = False
    if not os.path.isdir(root):
        root = os.path.dirname(here)
        zipped = os.path.isfile(root)
    _put_first(root)
    if zipped:
        from executioner.zipped import hold
        hold(root)
    else:
        for name in NAMES:
            if not os.path.isfile(os.path.join(root, name, "__init__.py")):
                return "the package %s is missing in %s: install or unpack all of Executioner again" % (name, root)
        if sys.dont_write_bytecode or not os.access(root, os.W_OK):
            from executioner.bytecode import keep
            keep(NAMES + ("executioner",))
    for name in NAMES:
        place = _place(name)
        if place is not None and not place.startswith(root + os.sep):
            return ("the package %s was already imported from %s, which is not ours (%s): run without what imports it"
                    % (name, place, os.path.join(root, name)))
    if sys.version_info < (3, 7):
        try:
            import dataclasses  # noqa: F401
        except ImportError:
            return ("Python 3.6 needs the package dataclasses: %s -m pip install -r requirements.txt"
                    % (sys.executable or "python3"))
    return None


def _put_first(root):
    # type: (str) -> None
    # ``-m`` puts the working folder first, where a file of the user's may be called like one of the standard library.
    try:
        working = os.getcwd()
    except OSError:
        working = ""
    if sys.path and sys.path[0] in ("", working):
        del sys.path[0]
    if root in sys.path:
        sys.path.remove(root)
    sys.path.insert(0, root)


def _place(name):
    # type: (str) -> Optional[str]
    """Where a module that is already loaded came from; None where it is not loaded."""
    module = sys.modules.get(name)
    if module is None:
        return None
    place = getattr(module, "__file__", None)
    if place is None:
        place = "".join(list(getattr(module, "__path__", ()))[:1]) + os.sep
    return os.path.abspath(place)


def main():
    # type: () -> int
    """Run the command line and return its exit code."""
    try:
        problem = prepare()
        if problem is not None:
            sys.stderr.write("executioner: %s\n" % problem)
            return EXIT_USAGE
        try:
            from executioner.cli import main as command_line
        except ImportError as error:
            sys.stderr.write("executioner: %s: install or unpack all of Executioner again\n" % error)
            return EXIT_USAGE
        return command_line(sys.argv[1:])
    except KeyboardInterrupt:
        # Only before the command line has its own handlers.
        return 130


def run():
    # type: () -> None
    """Run the command line and end the process.

    At once, without taking the interpreter apart: everything is written and closed by now, and to free what ten
    thousand jobs were made of costs a tenth of what validating them does.
    """
    code = main()
    for stream in (sys.stdout, sys.stderr):
        try:
            if stream is not None:
                stream.flush()
        except (OSError, ValueError):
            pass  # nobody reads it any more
    os._exit(code)
