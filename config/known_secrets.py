"""The secrets that files name, whatever else is wrong with them or is not known: a value of a parameter, say."""
import os
from typing import Dict, List, Mapping, Optional, Set, Tuple

from config.environment import Environment, expand, expand_home
from config.loader import load
from config.secrecy import secret_values
from config.folders import working_dir_of

__all__ = ["secrets_of", "secrets_of_files"]

#: Files that are looked at for one that is run.
_MOST_FILES = 1000


def secrets_of(value: object, folder: str, environ: Mapping[str, str], overrides: Mapping[str, str],
               read: Optional[List[str]] = None) -> Set[str]:
    """The secret values of what a file holds.

    :param value: the JSON value as read
    :param folder: the file's own folder, absolute
    :param environ: the caller's environment
    :param overrides: variables given with ``--env``
    :param read: gets the paths of the ``env_file`` that were read
    """
    if not isinstance(value, dict):
        return set()
    environment = Environment.of_file(value, environ, overrides)
    working_dir = working_dir_of(value, folder, environment.variables)
    found = set(secret_values(value, environment, environ, working_dir))
    if read is not None:
        read += environment.paths_of_files()
    return found


def secrets_of_files(path: str, environ: Mapping[str, str]) -> Tuple[Set[str], List[str]]:
    """The secret values of a file and of those that its jobs run, and the paths of all that was read."""
    found: Set[str] = set()
    read: List[str] = []
    seen: Dict[str, None] = {}
    todo: List[Tuple[str, Mapping[str, str]]] = [(os.path.abspath(path), environ)]
    while todo and len(seen) < _MOST_FILES:
        path, environ = todo.pop()
        if path in seen:
            continue
        seen[path] = None
        value = load(path, True).value
        if isinstance(value, dict):
            folder = os.path.dirname(path)
            found |= secrets_of(value, folder, environ, {}, read)
            variables = Environment.of_file(value, environ, {}).variables
            jobs = value.get("jobs")
            for job in jobs if isinstance(jobs, list) else ():
                text = job.get("config") if isinstance(job, dict) else None
                if isinstance(text, str):
                    text = expand_home(expand(text, variables)[0], variables)
                    todo.append((os.path.normpath(os.path.join(folder, text)), variables))
    return found, list(seen) + read
