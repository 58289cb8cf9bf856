"""Which values are secret, for what is sent out: those of our environment and of each configuration as it is now."""
import os
import threading
from typing import Dict, Iterable, List, Mapping, Optional, Set, Tuple

from jobs.masking import Masker, is_secret_name

__all__ = ["Secrets"]

_Signature = Tuple[int, int, int]
_MOST_FILES = 1000


class Secrets:
    """Maskers by the configurations that an answer is about; a file is read again when it has changed.

    :param environ: the environment of this process
    """

    def __init__(self, environ: Mapping[str, str]) -> None:
        self._environ = environ
        self._own = {value for name, value in environ.items() if is_secret_name(name)}
        #: Of each file: what it and those that it runs looked like when they were read, and the secrets in them.
        self._files: Dict[str, Tuple[Dict[str, Optional[_Signature]], Set[str]]] = {}
        self._maskers: Dict[Tuple[str, ...], Masker] = {}
        self._guard = threading.Lock()

    def masker(self, config_paths: Iterable[str]) -> Masker:
        """Masks what is secret by these files and by the environment."""
        values = set(self._own)
        for path in set(config_paths):
            values |= self._of_file(path)
        key = tuple(sorted(values))
        with self._guard:
            found = self._maskers.get(key)
            if found is None:
                if len(self._maskers) > _MOST_FILES:
                    self._maskers.clear()
                found = self._maskers[key] = Masker(key)
        return found

    def _of_file(self, path: str) -> Set[str]:
        signature = _signature(path)
        with self._guard:
            known = self._files.get(path)
            if known is not None and (signature is None or all(
                    _signature(file) == seen for file, seen in known[0].items())):
                return known[1]  # of a file that is gone, what it said is still secret
            values: Set[str] = set()
            files = {path: signature}
            if signature is not None:
                from config.pipeline import load_pipeline
                # Whether others could have written it matters to a run, not to what is kept from sight.
                from config.pipeline import Overrides
                pipeline = load_pipeline(path, self._environ, Overrides(insecure_config=True)).pipeline
                if pipeline is not None:
                    values = set(pipeline.secret_values)
                    files.update((file, _signature(file)) for file in pipeline.inner_paths + pipeline.env_files)
                else:  # it may need what only the run was given
                    from config.known_secrets import secrets_of_files
                    values, read = secrets_of_files(path, self._environ)
                    files.update((file, _signature(file)) for file in read)
                if known is not None:
                    values |= known[1]  # runs of the file as it was are shown, too
                    if pipeline is None:
                        files.update((file, _signature(file)) for file in known[0])
            if len(self._files) > _MOST_FILES:
                self._files.clear()
            self._files[path] = files, values
            return values

    def paths(self) -> List[str]:
        """The files that were asked for so far."""
        with self._guard:
            return sorted(self._files)


def _signature(path: str) -> Optional[_Signature]:
    """What a file looks like from outside; None where it is not there."""
    try:
        status = os.stat(path)
        return status.st_ino, status.st_mtime_ns, status.st_size
    except (OSError, ValueError):
        return None
