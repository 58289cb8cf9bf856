"""What the patterns of a ``{"glob": ...}`` match: looked at once, when the run is planned."""
import glob
import os
from itertools import islice
from typing import List, Mapping, Optional, Set

from config.environment import Environment, expand, expand_home
from config.items import MAX_ITEMS
from config.job_environment import job_variables
from config.problems import Path, Report, quoted
from config.effective import effective
from config.folders import resolve_folder, working_dir_of

__all__ = ["Globbing"]


class Globbing:
    """Finds files for the jobs of one file.

    :param folder: the file's own folder, absolute
    :param environ: the caller's environment
    :param overrides: variables that are taken as they are
    """

    def __init__(self, top: Mapping[str, object], defaults: Mapping[str, object], folder: str,
                 environ: Mapping[str, str], overrides: Mapping[str, str], report: Report) -> None:
        self._defaults = defaults
        self._report = report
        self._environment = Environment.of_file(top, environ, overrides)
        self._working_dir = working_dir_of(top, folder, self._environment.variables)

    def match(self, job: Mapping[str, object], path: Path, patterns: List[str]) -> Optional[List[str]]:
        """What the patterns match, sorted, each once; relative ones as the job sees them in its working folder.

        Of the names of variables in a pattern the values stand for themselves, not for patterns.
        """
        variables = dict(self._environment.variables)
        variables.update(job_variables(self._environment, job, self._defaults, self._working_dir)[0])
        folder = self._working_dir
        text = effective(job, self._defaults, "working_dir")
        if isinstance(text, str):
            if ("${item" in text or "${jobs." in text) and not all(one[:1] in "/~$" for one in patterns):
                self._report.error(path, "E152", "a pattern that is relative to working_dir needs one without "
                                   "${item} and ${jobs...}", "write an absolute pattern")
                return None
            folder = resolve_folder(text, folder, variables)[0]
        literal = {name: glob.escape(value) for name, value in variables.items()}
        found: Set[str] = set()
        for pattern in patterns:
            expanded, missing = expand(pattern, literal)
            self._report.unset(path, missing)
            expanded = expand_home(expanded, literal)
            beginning = os.path.join(folder, "")
            matches = glob.iglob(os.path.join(glob.escape(beginning), expanded), recursive=True)
            is_relative = not os.path.isabs(expanded)
            found.update(one[len(beginning):] if is_relative else one for one in islice(matches, MAX_ITEMS + 1))
            if len(found) > MAX_ITEMS:
                self._report.error(path, "E152", "matches more than %d files" % MAX_ITEMS)
                return None
        found.discard("")
        return self._usable(found, path)

    def _usable(self, found: Set[str], path: Path) -> Optional[List[str]]:
        for name in found:
            try:
                name.encode("utf-8")
            except UnicodeEncodeError:
                self._report.error(path, "E152", "matches a name that is not UTF-8, which no configuration can hold: "
                                   + quoted(name), "rename the file")
                return None
        return sorted(found)
