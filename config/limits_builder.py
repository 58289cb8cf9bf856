"""From the keys about what a job may use and whom it runs as to the models that they become."""
from typing import Dict, Mapping, Optional

from config.limits import OUTPUT_LIMIT_BYTES, SizeLimit, owner_of
from config.upkeep import Size
from jobs.exceptions import ConfigurationError
from jobs.models import UNLIMITED_BYTES, Limits, Owner

__all__ = ["identity_of", "limits_of", "output_limit_of", "required_owner"]


def limits_of(value: object) -> Optional[Limits]:
    """The limits of a job as its file gives them; None where it gives none, or only that of its output."""
    if not isinstance(value, dict):
        return None
    said: Mapping[str, object] = value

    def number(name: str) -> Optional[int]:
        return Size.size_bytes(said[name]) if name in said else None

    nice = said.get("nice")
    found = Limits(number("cpu_seconds"), number("memory"), number("open_files"), number("file_size"),
                   number("processes"), int(nice) if isinstance(nice, (int, float)) else None)
    return None if found == Limits() else found


def output_limit_of(value: object) -> int:
    """Bytes that an attempt may write to its standard streams."""
    if not isinstance(value, dict) or "output" not in value:
        return OUTPUT_LIMIT_BYTES
    found = SizeLimit.limit_bytes(value["output"])
    return UNLIMITED_BYTES if found is None else found


def required_owner(value: object) -> Owner:
    """Whom a job runs as.

    :raises ConfigurationError: where the user is not there (any more)
    """
    found = owner_of(str(value))
    if found is None:
        raise ConfigurationError("run_as: this machine has no such user or group: %s" % value)
    return found


def identity_of(owner: Owner, said: Mapping[str, object], over: Mapping[str, str]) -> Dict[str, str]:
    """A job's own variables, with those by which programs know their user, where the file does not set them.

    :param said: ``env_variables`` of the file
    :param over: variables of the job
    """
    found = {name: value for name, value in (("HOME", owner.home), ("USER", owner.name), ("LOGNAME", owner.name),
                                             ("SHELL", owner.shell)) if name not in said}
    found.update(over)
    return found
