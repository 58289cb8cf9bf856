"""The folders that a file names."""
import os
from typing import List, Mapping, Optional, Tuple

from config.problems import quoted

__all__ = ["folder_problem", "resolve_folder", "working_dir_of"]


def resolve_folder(text: str, below: str, variables: Mapping[str, str]) -> Tuple[str, List[str]]:
    """An absolute path: ``~`` and ``${VAR}`` expanded, relative to ``below``; and the names that are not set."""
    from config.environment import expand, expand_home
    expanded, missing = expand(text, variables)
    return os.path.normpath(os.path.join(below, expand_home(expanded, variables))), missing


def working_dir_of(top: Mapping[str, object], folder: str, variables: Mapping[str, str]) -> str:
    """The folder that the key ``working_dir`` of a file names; the file's own folder where it names none."""
    text = top.get("working_dir")
    return resolve_folder(text, folder, variables)[0] if isinstance(text, str) else folder


def database_path_of(top: Mapping[str, object], working_dir: str, variables: Mapping[str, str]) -> str:
    """The history that a file names as its own; "" where it names none."""
    database, text = top.get("database"), ""
    if isinstance(database, dict):
        text = str(database.get("path", ""))
    elif isinstance(database, str) and database.startswith("sqlite:///"):
        text = database[len("sqlite:///"):]
    return resolve_folder(text, working_dir, variables)[0] if text else ""


def named_database(top: object, folder: str, environ: Mapping[str, str], overrides: Mapping[str, str]) -> str:
    """The same of a file that was read and not looked at yet, whose parameters are not known.

    :param folder: the file's own folder, absolute
    """
    if not isinstance(top, dict) or not top.get("database"):
        return ""
    from config.environment import Environment
    variables = Environment.of_file(top, environ, overrides).variables
    return database_path_of(top, working_dir_of(top, folder, variables), variables)


def folder_problem(path: str, writable: bool) -> Optional[str]:
    """Why a folder cannot be used; None where it can. One that is to be written into may be made yet."""
    shown = quoted(path, None)
    try:
        if not os.path.exists(path):
            if not writable:
                return "the folder %s does not exist" % shown
            above = os.path.dirname(path)
            while above != os.path.dirname(above) and not os.path.exists(above):
                above = os.path.dirname(above)
            if not os.path.isdir(above) or not os.access(above, os.W_OK | os.X_OK):
                return "the folder %s does not exist and cannot be made in %s" % (shown, quoted(above, None))
            return None
        if not os.path.isdir(path):
            return "%s is no folder" % shown
        if not os.access(path, os.X_OK):
            return "the folder %s cannot be entered" % shown
        if writable and not os.access(path, os.W_OK):
            return "the folder %s cannot be written" % shown
    except (ValueError, UnicodeEncodeError) as error:
        return "the folder %s cannot be used: %s" % (shown, error)
    return None
