"""The one entry for everybody who has a file: validate it, or make a pipeline of it.

Neither way raises for a bad file; what is wrong is a list of problems. Validating works on the raw values and imports
no more than it needs; the dataclasses of the jobs are built only to run them.
"""
import gc
import os
from typing import TYPE_CHECKING, Dict, List, Mapping, Optional, Sequence, Tuple

from config.features import Features, resolve_features
from config.loader import Document, load
from config.problems import Problem, Report
from config.validator import check_configuration

if TYPE_CHECKING:
    from config.expansion import Expansion
    from jobs.models import Pipeline

__all__ = ["LoadResult", "Overrides", "ValidationResult", "has_inner_files", "load_pipeline", "validate_file"]


class ValidationResult:
    """What validating a file came to.

    ``document`` is the JSON value as read, where it was asked for and there is one.
    """

    __slots__ = ("problems", "document", "features")

    def __init__(self, problems: List[Problem], document: object, features: Features) -> None:
        self.problems = problems
        self.document = document
        self.features = features

    @property
    def ok(self) -> bool:
        """Whether no problem is an error."""
        return not any(problem.is_error for problem in self.problems)


class LoadResult:
    """What loading a file came to: a pipeline, or None where a problem is an error."""

    __slots__ = ("pipeline", "problems", "features")

    def __init__(self, pipeline: "Optional[Pipeline]", problems: List[Problem], features: Features) -> None:
        self.pipeline = pipeline
        self.problems = problems
        self.features = features


class Overrides:
    """What the command line says over the file.

    :param workers: ``--workers N``; above 1 it means parallel
    :param sequential: ``--sequential``: one job at a time
    :param parallel: ``--parallel``
    :param continue_on_error: ``--continue-on-error``
    :param env: ``--env NAME=VALUE``; taken as it is, over the variables of file and jobs
    :param insecure_config: ``--insecure-config``: take a file that others could have written
    :param params: ``--param NAME=VALUE``
    :param inherited_params: what was given so to the run that this one resumes
    :param force: ``--force``: no job is up to date
    """

    __slots__ = ("workers", "sequential", "parallel", "continue_on_error", "env", "insecure_config", "params",
                 "inherited_params", "force")

    def __init__(self, workers: Optional[int] = None, sequential: bool = False, parallel: bool = False,
                 continue_on_error: bool = False, env: Optional[Mapping[str, str]] = None,
                 insecure_config: bool = False, params: Optional[Mapping[str, str]] = None,
                 inherited_params: Optional[Mapping[str, str]] = None, force: bool = False) -> None:
        self.workers = workers
        self.sequential = sequential
        self.parallel = parallel
        self.continue_on_error = continue_on_error
        self.env: Dict[str, str] = dict(env or {})
        self.insecure_config = insecure_config
        self.params: Dict[str, str] = dict(params or {})
        self.inherited_params: Dict[str, str] = dict(inherited_params or {})
        self.force = force


def validate_file(path: str, environ: Optional[Mapping[str, str]] = None,
                  feature_settings: Sequence[str] = (), keep_document: bool = False,
                  params: Optional[Mapping[str, str]] = None) -> ValidationResult:
    """Find every problem of a file; nothing is started and nothing written.

    :param path: the file, as the user names it; problems carry it so
    :param environ: the caller's environment; that of this process where it is not given
    :param feature_settings: the values of ``--feature``
    :param params: values of parameters, as ``--param`` gives them
    :param keep_document: whether the result holds the JSON value; a large one costs the collector some time
    """
    with _NoCollector():
        document, problems, features, _ = _validate(path, environ, feature_settings, Overrides(params=params), None)
        value = document.value if keep_document else None
        # Gone before the collector comes back, which would look at every part of it, now and when we exit.
        del document
    return ValidationResult(problems, value, features)


def load_pipeline(path: str, environ: Optional[Mapping[str, str]] = None, overrides: Optional[Overrides] = None,
                  feature_settings: Sequence[str] = ()) -> LoadResult:
    """Read, validate and build: a pipeline that is ready to run, or the problems that stand in its way.

    :param path: the file, as the user names it
    :param environ: the caller's environment; that of this process where it is not given
    :param overrides: what the command line says over the file
    :param feature_settings: the values of ``--feature``
    """
    overrides = overrides if overrides is not None else Overrides()
    environ = os.environ if environ is None else environ
    with _NoCollector():
        document, problems, features, expansion = _validate(path, environ, feature_settings, overrides,
                                                            overrides.insecure_config)
        if any(problem.is_error for problem in problems):
            return LoadResult(None, problems, features)
        from config.builder import build
        pipeline = build(document, os.path.abspath(path), environ, overrides, features, expansion)
    return LoadResult(pipeline, problems, features)


class _NoCollector:
    """Keeps the garbage collector from looking at ten thousand new objects again and again."""

    def __enter__(self) -> None:
        self._was_on = gc.isenabled()
        gc.disable()

    def __exit__(self, *about: object) -> None:
        if self._was_on:
            gc.enable()


def _validate(path: str, environ: Optional[Mapping[str, str]], settings: Sequence[str], overrides: Overrides,
              insecure: Optional[bool]) -> "Tuple[Document, List[Problem], Features, Optional[Expansion]]":
    environ = os.environ if environ is None else environ
    report = Report()
    problems: List[Problem] = []
    document = load(path, insecure)
    value = document.value
    in_file = value.get("features") if isinstance(value, dict) else None
    features = resolve_features(in_file, environ, settings, report, problems)
    report.strict = features["strict_validation"]
    expansion: "Optional[Expansion]" = None
    inner: List[Problem] = []
    if value is not None:
        family = None
        if isinstance(value, dict) and has_inner_files(value):
            from config.inner import Family
            family = Family(path, insecure)
            inner = family.problems
        expansion = check_configuration(value, os.path.dirname(os.path.abspath(path)), environ, overrides.env,
                                        report, overrides.params, overrides.inherited_params, family)
    if report.findings:
        from config.positions import placed
        problems += placed(document, report.findings)
    problems += document.problems
    problems.sort(key=_order)
    problems += inner
    return document, problems, features, expansion


def has_inner_files(top: Mapping[str, object]) -> bool:
    """Whether any job of a file runs another configuration."""
    jobs = top.get("jobs")
    return isinstance(jobs, list) and any(isinstance(job, dict) and "config" in job for job in jobs)


def _order(problem: Problem) -> Tuple[int, int, str, str]:
    return problem.line, problem.column, problem.code, problem.path
