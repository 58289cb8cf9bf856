"""From the words of the command line to a pipeline, or to the one error that lists every problem of the file."""
from typing import TYPE_CHECKING, Dict, Sequence

from executioner.console import Console
from executioner.options import Arguments, Option, usage_error
from jobs.exceptions import ConfigurationError

if TYPE_CHECKING:
    from config.pipeline import LoadResult, Overrides
    from config.problems import Problem
    from jobs.graph import Graph, Selection
    from jobs.models import Pipeline
    from jobs.scheduler import Given

__all__ = ["bad_file", "PIPELINE_OPTIONS", "SELECTION_OPTIONS", "given_jobs", "load", "overrides_of", "parameters_of",
           "selection"]

#: Options that change what the file says.
PIPELINE_OPTIONS = (
    Option("--workers", "how many jobs run at once (max_workers of the file); above 1 means parallel", "N"),
    Option("--parallel", "run independent jobs at the same time"),
    Option("--sequential", "run one job at a time"),
    Option("--env", "a variable for every job; repeatable", "NAME=VALUE"),
    Option("--param", "a value of a parameter of the file; repeatable", "NAME=VALUE"),
    Option("--force", "run jobs that are up to date (inputs, products) too"),
    Option("--continue-on-error", "after a failure, still run what does not depend on it"),
    Option("--insecure-config", "accept a file that others could have written"),
)
#: Options that take a part of the graph.
SELECTION_OPTIONS = (
    Option("--only", "just these jobs; what they depend on counts as met", "JOB,..."),
    Option("--from", "these jobs and all that depends on them", "JOB,..."),
    Option("--downstream-of", "all that depends on these jobs, without themselves", "JOB,..."),
    Option("--until", "these jobs and all that they depend on", "JOB,..."),
    Option("--skip", "not these jobs; they count as SKIPPED", "JOB,..."),
    Option("--tag", "jobs that carry one of these tags", "TAG,..."),
)

_MOST_WORKERS = 100000
_NAME_CHARACTERS = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_")


def load(arguments: Arguments, console: Console) -> "LoadResult":
    """Load the file that the first operand names, with what the command line says over it.

    :raises ConfigurationError: with every problem of the file, one a line (``context["problems"]``)
    """
    from config.pipeline import load_pipeline

    result = load_pipeline(arguments.operands[0], console.environ, overrides_of(arguments),
                           arguments.many("feature"))
    if result.pipeline is None:
        raise bad_file(result.problems)
    return result


def overrides_of(arguments: Arguments) -> "Overrides":
    """What the command line says over the file.

    :raises ConfigurationError: where options contradict each other
    """
    from config.pipeline import Overrides

    workers = arguments.number("workers", 1, _MOST_WORKERS)
    if arguments.flag("sequential") and (arguments.flag("parallel") or (workers or 1) > 1):
        raise usage_error("--sequential and %s contradict each other" % (
            "--parallel" if arguments.flag("parallel") else "--workers %d" % (workers or 1)))
    return Overrides(workers, arguments.flag("sequential"), arguments.flag("parallel"),
                     arguments.flag("continue_on_error"), _variables(arguments.many("env")),
                     arguments.flag("insecure_config"), parameters_of(arguments.many("param")),
                     parameters_of(arguments.many("inherited_param")), arguments.flag("force"))


def parameters_of(settings: Sequence[str]) -> Dict[str, str]:
    """The values of ``--param``, the last one of each name.

    :raises ConfigurationError: where one is not of the form ``NAME=VALUE``
    """
    values = {}
    for setting in settings:
        name, equals, value = setting.partition("=")
        if not equals or not name:
            raise usage_error('--param: expected NAME=VALUE, found "%s"' % setting)
        values[name] = value
    return values


def bad_file(problems: "Sequence[Problem]") -> ConfigurationError:
    """The error of a file that cannot be run: every problem, one a line."""
    return ConfigurationError("\n".join(str(problem) for problem in problems),
                              context={"problems": [problem.to_dict() for problem in problems]})


def selection(arguments: Arguments, pipeline: "Pipeline", graph: "Graph") -> "Selection":
    """The part of the graph that the options ask for.

    :raises ConfigurationError: where an id or a tag is unknown, or nothing is left to run
    """
    from jobs.graph import select
    for option in SELECTION_OPTIONS:
        # An empty variable of a script is not to run everything.
        if option.key != "skip" and arguments.flag(option.key) and not arguments.names(option.key):
            raise usage_error("%s: expected %s, found nothing" % (option.names[0], option.metavar))
    return select(pipeline.jobs, graph, only=arguments.names("only"), start_from=arguments.names("from"),
                  until=arguments.names("until"), downstream_of=arguments.names("downstream_of"),
                  skip=arguments.names("skip"), tags=arguments.names("tag"))


def given_jobs(chosen: "Selection", count: int) -> "Dict[int, Given]":
    """The jobs that are decided before anything starts, by position."""
    from jobs.graph import NOT_SELECTED, SKIPPED_BY_OPTION
    from jobs.models import JobStatus
    from jobs.scheduler import Given
    given = {}
    for position in range(count):
        if position in chosen.skipped:
            given[position] = Given(JobStatus.SKIPPED, SKIPPED_BY_OPTION)
        elif position not in chosen.chosen:
            given[position] = Given(JobStatus.SKIPPED, NOT_SELECTED, counts_as_met=True)
    return given


def _variables(settings: Sequence[str]) -> Dict[str, str]:
    variables = {}
    for setting in settings:
        name, equals, value = setting.partition("=")
        if not equals or not name or "\0" in setting:
            raise usage_error('--env: expected NAME=VALUE, found "%s"' % setting)
        if not name.isidentifier() or not set(name) <= _NAME_CHARACTERS:
            raise usage_error("--env: the name of a variable must be letters, digits and _, not beginning with a "
                              'digit, found "%s"' % name)
        variables[name] = value
    return variables
