"""References to what other jobs tell (``${jobs.ID.outputs.NAME}``): where they may stand, and what they may name.

A job knows only what a job told that it depends on, directly or further up. Imported only where a file has references.
"""
import re
from typing import Dict, Iterator, List, Mapping, Optional, Sequence, Set, Tuple

from config.problems import Path, Report, quoted
from config.effective import dependencies_of, effective, place
from config.texts import texts
from jobs.group_ids import groups_of, members_by_group

__all__ = ["check", "has_reference"]

_Raw = Mapping[str, object]
_Jobs = Sequence[Mapping[str, object]]

_REFERENCE = re.compile(r"\$\{jobs\.([^{}$]*)\}")
_PARTS = re.compile(r"([^{}$]+)\.outputs\.([A-Za-z_][A-Za-z0-9_]*)\Z")
_FORM = "write ${jobs.ID.outputs.NAME}"
#: Keys of a job in which references are replaced.
_REPLACED = ("command", "env_variables", "working_dir", "stdin", "inputs", "products", "pre_checks", "post_checks")
#: Keys in which they are not, although one might think so.
_NOT_REPLACED = ("description", "run_if", "runbook", "env_file")
#: Keys of the file in which they are not.
_TOP = ("env_variables", "working_dir", "log_dir", "metrics_textfile", "status_page")


def has_reference(text: str) -> bool:
    """Whether a text refers to what a job tells: it is whole only when that job has ended."""
    return "${jobs." in text and _REFERENCE.search(text) is not None


def check(top: _Raw, jobs: _Jobs, defaults: _Raw, told: Mapping[str, List[str]], report: Report) -> None:
    """Report references that name nothing, or what the job cannot be told.

    :param told: what jobs of inner configurations tell, by their ids
    """
    for name in _TOP:
        for path, _ in _references(top.get(name), (name,)):
            report.error(path, "E125", "what a job tells is known only in a job that depends on it")
    checker = _Checker(jobs, defaults, told, report)
    for index, job in enumerate(jobs):
        checker.check_job(job, ("jobs", index))


def _references(value: object, path: Path) -> Iterator[Tuple[Path, str]]:
    """Every reference in a value, at any depth: its place, and what stands behind ``jobs.``."""
    for where, text in texts(value, path, "${jobs."):
        for match in _REFERENCE.finditer(text):
            yield where, match.group(1)


class _Checker:
    """The jobs of a file by their ids, and who is above whom."""

    def __init__(self, jobs: _Jobs, defaults: _Raw, told: Mapping[str, List[str]], report: Report) -> None:
        self._told = told
        self._defaults = defaults
        self._report = report
        self._by_id: Dict[str, Mapping[str, object]] = {str(job.get("id")): job for job in jobs}
        self._members = members_by_group(self._by_id)
        self._above: Dict[Tuple[str, ...], Set[str]] = {}

    def check_job(self, job: Mapping[str, object], path: Path) -> None:
        """Report what is wrong with the references of one job."""
        for key in _NOT_REPLACED:
            for where, _ in _references(effective(job, self._defaults, key), place(job, key, path)):
                self._report.error(where, "E125", "what another job tells has no place here",
                                   "it can stand in " + ", ".join(_REPLACED))
        for key in _REPLACED:
            for where, text in _references(effective(job, self._defaults, key), place(job, key, path)):
                self._check(job, text, where)

    def _check(self, job: Mapping[str, object], text: str, path: Path) -> None:
        parts = _PARTS.match(text)
        if parts is None:
            self._report.error(path, "E125", "refers to nothing: ${jobs.%s}" % text, _FORM)
            return
        job_id, output = parts.groups()
        teller = self._by_id.get(job_id)
        above = self._all_above(job)
        if teller is None and job_id in self._members:
            self._report.error(path, "E125", "the id %s means several jobs" % quoted(job_id),
                               "name one of them, such as %s" % quoted(self._members[job_id][0]))
        elif teller is None and job_id not in self._told:
            self._report.error(path, "E125", "no job has the id %s" % quoted(job_id),
                               self._hint(job_id, sorted(above)))
        elif job_id not in above and above.isdisjoint(groups_of(job_id)):
            self._report.error(path, "E125", "the job does not depend on %s, so it cannot know what that tells"
                               % quoted(job_id), "name it in dependencies")
        else:
            told = self._told[job_id] if teller is None else effective(teller, self._defaults, "outputs")
            names: List[str] = [str(name) for name in told] if isinstance(told, list) else []
            if output not in names:
                self._report.error(path, "E125", "the job %s does not declare the output %s" % (
                    quoted(job_id), quoted(output)),
                    self._hint(output, names) or 'it declares "outputs": [%s]' % ", ".join(map(quoted, names)))

    def _hint(self, word: str, known: List[str]) -> str:
        return self._report.suggestions.hint(word, known)

    def _all_above(self, job: Mapping[str, object]) -> Set[str]:
        """Ids of all jobs and groups that a job depends on, directly or further up."""
        needed = tuple(other for _, other, _ in dependencies_of(job, self._defaults))
        found: Optional[Set[str]] = self._above.get(needed)
        if found is None:
            found = set()
            todo = list(needed)
            while todo:
                other = todo.pop()
                if other not in found:
                    found.add(other)
                    for member in [other] if other in self._by_id else self._members.get(other, []):
                        todo += [one for _, one, _ in dependencies_of(self._by_id[member], self._defaults)]
            # Of jobs that share much, only the last ones are kept: ten thousand sets would be large.
            if len(self._above) > 100:
                self._above.clear()
            self._above[needed] = found
        return found
