"""What holds for a job: what it says itself, else what ``defaults`` of the file say."""
from typing import Dict, Iterator, Mapping, Optional, Sequence, Set, Tuple

from config.problems import Path

__all__ = ["WITH_REFERENCES", "dependencies_of", "dependency_of", "effective", "has_references", "place"]

_Raw = Dict[str, object]
_Jobs = Sequence[Mapping[str, object]]

#: Keys of jobs in whose values references may stand, and which are looked at with the machine in view; not ``command``,
#: which every job has.
WITH_REFERENCES = frozenset(("env_variables", "env_file", "working_dir", "stdin", "run_if", "pre_checks", "post_checks",
                             "inputs", "products"))


def effective(job: Mapping[str, object], defaults: Mapping[str, object], name: str) -> object:
    """The value of a key of a job, or of ``defaults``; None where neither sets it."""
    return job[name] if name in job else defaults.get(name)


def place(job: Mapping[str, object], name: str, path: Path) -> Path:
    """The path of a value of a job, which may stand in ``defaults``."""
    return path + (name,) if name in job else ("defaults", name)


def dependency_of(item: object) -> Optional[Tuple[str, str]]:
    """Id and ``when`` of one entry of ``dependencies``; None for an entry that was found wrong."""
    if isinstance(item, str):
        return item, "success"
    if isinstance(item, dict):
        return str(item.get("job")), str(item.get("when", "success"))
    return None


def dependencies_of(job: Mapping[str, object], defaults: Mapping[str, object]) -> Iterator[Tuple[int, str, str]]:
    """The dependencies of a job: place in the list, id, ``when``."""
    items = effective(job, defaults, "dependencies")
    if isinstance(items, list):
        for index, item in enumerate(items):
            found = dependency_of(item)
            if found is not None:
                yield index, found[0], found[1]


def has_references(top: _Raw, jobs: _Jobs, defaults: Mapping[str, object], names: Set[str], beginning: str) -> bool:
    """Whether something has a text with such a beginning of a reference; a quick look, which most files end with."""
    inherited = defaults.get("command", "")
    commands = [job.get("command", inherited) for job in jobs]
    try:
        texts = "\0".join(commands)  # type: ignore[arg-type]
    except TypeError:  # some are lists
        texts = repr(commands)
    if beginning in texts or beginning in repr(defaults) or beginning in repr(
            [value for name, value in top.items() if name != "defaults"]):
        return True
    if names.isdisjoint(WITH_REFERENCES):
        return False
    return any(beginning in repr(job) for job in jobs)
