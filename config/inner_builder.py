"""The jobs of a run whose jobs run other configurations: each is built by its own file, all run in one environment."""
import os
from typing import Dict, List, Mapping, Set, Tuple

from config.job_builder import JobBuilder
from config.environment import Environment
from config.expansion import Expansion
from config.inner import flattened
from config.kinds import is_comment
from config.secrecy import secret_names, secret_values
from config.folders import working_dir_of
from jobs.models import Job

__all__ = ["Whole", "build_whole"]


class Whole:
    """All jobs of a run, and what they have together."""

    def __init__(self) -> None:
        self.jobs: List[Job] = []
        #: What every job sees; the rest each has itself.
        self.environment: Dict[str, str] = {}
        self.secrets: Set[str] = set()
        self.secret_names: Set[str] = set()
        self.env_files: Set[str] = set()
        #: The pools of inner files.
        self.pools: Dict[str, object] = {}
        self.paths: Set[str] = set()


class _Home:
    """A file whose jobs are built."""

    def __init__(self, builder: JobBuilder, variables: Mapping[str, str]) -> None:
        self.builder = builder
        self.variables = variables
        #: Variables of the file that not all jobs of the run see; known when all files are.
        self.own: Dict[str, str] = {}


def build_whole(expansion: Expansion, outer: JobBuilder, variables: Mapping[str, str]) -> Whole:
    """Build the jobs of a file and of those that its jobs run.

    :param outer: builds the jobs of the file itself
    :param variables: what those see
    """
    whole = Whole()
    homes: Dict[int, _Home] = {0: _Home(outer, variables)}
    built: List[Tuple[Job, _Home]] = []
    for made in flattened(expansion):
        key = 0 if made.home is None else id(made.home)
        if made.home is not None and key not in homes:
            homes[key] = _home(made.home, whole)
        built.append((homes[key].builder.job(made), homes[key]))
    shared = dict(variables)
    for home in homes.values():
        shared = {name: value for name, value in shared.items() if home.variables.get(name) == value}
    for home in homes.values():
        home.own = {name: value for name, value in home.variables.items() if name not in shared}
    for job, home in built:
        if home.own:
            own = dict(home.own)
            if "PWD" in own:
                own["PWD"] = job.working_dir  # as where all jobs see it
            job.environment = dict(own, **job.environment)
        whole.jobs.append(job)
    whole.environment = shared
    return whole


def _home(inner: Expansion, whole: Whole) -> _Home:
    top = dict(inner.top, jobs=inner.jobs)
    pools = top.get("pools", {})
    assert isinstance(pools, dict)
    environment = Environment.of_file(top, inner.environ, inner.overrides)
    folder = os.path.dirname(inner.file)
    working_dir = working_dir_of(top, folder, environment.variables)
    whole.paths.add(inner.file)
    whole.secrets.update(secret_values(top, environment, inner.environ, working_dir))
    whole.secret_names.update(secret_names(top))
    whole.env_files.update(environment.paths_of_files())
    whole.pools.update((name, slots) for name, slots in pools.items() if not is_comment(name))
    return _Home(JobBuilder(top, environment, working_dir, folder), environment.variables)
