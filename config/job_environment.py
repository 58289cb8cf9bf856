"""The variables of one job: its ``env_file``, its ``env_variables`` and those of its item, over what all jobs see."""
import os
from typing import TYPE_CHECKING, Dict, List, Mapping, Tuple

from config.environment import Environment, Issue, expand, expand_home
from config.made_jobs import made_variables
from config.effective import effective

if TYPE_CHECKING:
    from config.env_files import EnvFile

__all__ = ["env_files_of", "job_variables"]


def job_variables(environment: Environment, job: Mapping[str, object], defaults: Mapping[str, object],
                  working_dir: str) -> Tuple[Dict[str, str], List[Issue]]:
    """The variables of a job that lie over those of the file, and what is wrong with them.

    :param job: as the file has it
    :param working_dir: of the file, absolute: an ``env_file`` is relative to it
    """
    own, given = effective(job, defaults, "env_variables"), made_variables(job)
    files = env_files_of(environment, job, defaults, working_dir)
    if not (own or given or files):
        return {}, []
    return environment.of_job(own if isinstance(own, dict) else {}, given, files)


def env_files_of(environment: Environment, job: Mapping[str, object], defaults: Mapping[str, object],
                 working_dir: str) -> "Tuple[EnvFile, ...]":
    """What the files of a job's ``env_file`` say, in their order; each is read once for an environment.

    In their paths ``~``, the variables that all jobs see and those of the item are expanded.
    """
    value = effective(job, defaults, "env_file")
    if not value:
        return ()
    variables = dict(environment.variables)
    variables.update(made_variables(job))
    return tuple(environment.read_file(os.path.normpath(os.path.join(
        working_dir, expand_home(expand(str(text), variables)[0], variables))))
        for text in (value if isinstance(value, list) else [value]))
