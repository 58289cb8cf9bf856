"""From raw values that were found right to the pipeline that is run. Nothing here reports problems."""
import os
from typing import TYPE_CHECKING, Mapping, Optional, Tuple

from config.environment import Environment
from config.features import Features
from config.job_builder import JobBuilder
from config.kinds import is_comment
from config.loader import Document
from config.problems import Report
from config.schema import FILE
from config.secrecy import masked_text, secret_names, secret_values
from config.folders import database_path_of, resolve_folder, working_dir_of
from config.upkeep_builder import mail_server_of, retention_of, rules_of
from config.values import integer, object_at, seconds
from jobs.models import Pipeline

if TYPE_CHECKING:
    from config.expansion import Expansion
    from config.pipeline import Overrides
    from jobs.server_place import ServerPlace

__all__ = ["application_name", "build", "processors"]


def build(document: Document, path: str, environ: Mapping[str, str], overrides: "Overrides",
          features: Features, expansion: "Optional[Expansion]" = None) -> Pipeline:
    """The pipeline of a document in which no error was found.

    :param path: the file, absolute
    :param environ: the caller's environment
    :param overrides: what the command line says over the file
    :param expansion: the jobs that were made of those of the file, where any were made
    """
    top = document.value
    assert isinstance(top, dict)
    if expansion is not None:
        document = _kept(document, expansion)
    given = overrides.env
    if object_at(top, "parameters"):
        from config.parameters import Parameters
        parameters = Parameters(top["parameters"], overrides.params, overrides.inherited_params, Report())
        top = parameters.put_in_object(top)
        given = dict(given, **parameters.variables())
    if expansion is not None:
        top = dict(top, jobs=expansion.jobs)
    environment = Environment.of_file(top, environ, given)
    variables = environment.variables
    folder = os.path.dirname(path)
    working_dir = working_dir_of(top, folder, variables)
    log_dir = resolve_folder(str(top["log_dir"]), working_dir, variables)[0] if "log_dir" in top else ""
    secrets = secret_values(top, environment, environ, working_dir)
    builder = JobBuilder(top, environment, working_dir, folder)  # when every env_file was read
    names = secret_names(top)
    all_pools = object_at(top, "pools")
    if expansion is not None and expansion.inner:
        from config.inner_builder import build_whole
        whole = build_whole(expansion, builder, variables)
        jobs, seen, inner_paths = whole.jobs, whole.environment, tuple(sorted(whole.paths))
        secrets = tuple(sorted(whole.secrets.union(secrets)))
        names = names.union(whole.secret_names)
        env_files = whole.env_files.union(environment.paths_of_files())
        all_pools = dict(whole.pools, **all_pools)
    else:
        jobs, seen, inner_paths = builder.build(), variables, ()
        env_files = set(environment.paths_of_files())
    if overrides.force:
        for job in jobs:
            job.inputs = ()  # so nothing tells that it is up to date
    text, digest = masked_text(document, secrets, names)
    parallel, workers = _workers(top, overrides)
    run_timeout, expect = top.get("run_timeout"), top.get("expect")
    textfile, status_page = top.get("metrics_textfile"), top.get("status_page")
    outside = dict(environ)
    outside.update(variables)
    pools = {name: integer(slots) for name, slots in all_pools.items() if not is_comment(name)}
    return Pipeline(
        application=application_name(top, path), jobs=jobs, config_path=path, inner_paths=inner_paths,
        config_text=text, config_hash=digest,
        working_dir=working_dir, log_dir=log_dir, parallel=parallel, max_workers=workers,
        continue_on_error=overrides.continue_on_error or top.get("continue_on_error", False) is True,
        run_timeout_s=None if run_timeout is None else seconds(run_timeout),
        overlap=str(top.get("overlap", FILE.by_name["overlap"].default)),
        on_orphan=str(top.get("on_orphan", "adopt")), on_runner_death=str(top.get("on_runner_death", "finish")),
        pools={name: pools[name] for name in pools if any(job.pool == name for job in jobs)} if pools else pools,
        allow_shell=top.get("allow_shell", True) is True, environment=seen, secret_values=secrets,
        secret_names=tuple(sorted(names)), env_files=tuple(sorted(env_files)),
        features=dict(features.values), database_path=database_path_of(top, working_dir, variables),
        server=_server(top.get("database")),
        notifications=rules_of(top, outside), mail_server=mail_server_of(top, outside),
        expect_s=None if expect is None else seconds(expect), retention=retention_of(top.get("retention")),
        metrics_textfile=resolve_folder(str(textfile), working_dir, variables)[0] if textfile else "",
        status_page=resolve_folder(str(status_page), working_dir, variables)[0] if status_page else "")


def _kept(document: Document, expansion: "Expansion") -> Document:
    """The document as the history keeps it."""
    assert isinstance(document.value, dict)
    jobs = expansion.kept_jobs(document.value)
    if jobs is None and not expansion.inner:
        return document
    import json
    kept = Document(document.file)
    kept.value = dict(document.value, jobs=document.value["jobs"] if jobs is None else jobs)
    if expansion.inner:
        from config.inner import CONTENTS, kept_entries
        kept.value[CONTENTS] = kept_entries(expansion)
    kept.text = json.dumps(kept.value, indent=1, ensure_ascii=False)
    return kept


def application_name(top: Mapping[str, object], path: str) -> str:
    """Who the run belongs to: what the file says, else the file's name without its ending."""
    for key in ("application_name", "name"):
        name = top.get(key)
        if isinstance(name, str):
            return name
    stem = os.path.splitext(os.path.basename(path))[0]
    text = "".join(one if one.isprintable() else "_" for one in stem.encode("utf-8", "replace").decode("utf-8"))
    return text or "executioner"


def processors() -> int:
    """How many processors this process may use."""
    try:
        return max(1, len(os.sched_getaffinity(0)))
    except (AttributeError, OSError):
        return os.cpu_count() or 1


def _workers(top: Mapping[str, object], overrides: "Overrides") -> Tuple[bool, int]:
    """Whether jobs run at the same time, and how many."""
    parallel = top.get("parallel", False) is True
    workers = integer(top["max_workers"]) if "max_workers" in top else None
    if overrides.parallel:
        parallel = True
    if overrides.workers is not None:
        workers = overrides.workers
        parallel = workers > 1
    if overrides.sequential:
        parallel = False
    if not parallel:
        return False, 1
    return True, processors() if workers is None else workers


def _server(database: object) -> "Optional[ServerPlace]":
    """The server that ended runs are copied to; None where there is none."""
    kind = database.get("type") if isinstance(database, dict) else None
    if isinstance(database, str) and not database.startswith("sqlite"):
        from jobs.server_place import parse_place
        return parse_place(database)
    if isinstance(database, dict) and kind not in (None, "sqlite"):
        from jobs.server_place import place_of
        return place_of(database, str(kind))
    return None
