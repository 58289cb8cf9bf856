"""``run``: run the jobs of a configuration."""
import os
from typing import TYPE_CHECKING, Callable, Dict, List, Optional, Sequence, Union

from executioner.console import Console, OutputClosed
from executioner.home import Home, locate
from executioner.loading import (PIPELINE_OPTIONS, SELECTION_OPTIONS, given_jobs, load, overrides_of, parameters_of,
                                 selection)
from executioner.options import Arguments, CommandSpec, Option, did_you_mean, usage_error
from jobs.exceptions import EXIT_OK, EXIT_SIGNAL, ExecutionerError, InternalError, StorageError

if TYPE_CHECKING:
    from config.features import Features
    from config.pipeline import LoadResult
    from db.history import History
    from executioner.progress import Progress
    from executioner.prepared import Prepared
    from executioner.wiring import Runner
    from jobs.engine import RunOutcome
    from jobs.graph import Graph
    from jobs.keeper.launch import Launcher
    from jobs.models import Pipeline
    from jobs.ports import Observer
    from jobs.scheduler import Given

    Preparation = Callable[[History], Union[Prepared, RunOutcome]]

__all__ = ["SPEC", "execute"]

SPEC = CommandSpec(
    "CONFIG", 1, 1,
    PIPELINE_OPTIONS + SELECTION_OPTIONS + (
        Option("--resume", "go on where a run ended: carry what succeeded, run the rest", "RUN|last"),
        Option("--failed-only", "with --resume: only the jobs that failed"),
        Option("--rerun-lost", "with --resume: run these again, whatever became of them", "JOB,..."),
        Option("--with-current-config", "with --resume: take the file as it is now"),
        Option("--dry-run", "show what would run, in order; start and write nothing"),
        Option("--wait", "wait for another run of the application instead of exit 75"),
        Option("-q --quiet", "as from cron: nothing unless the run fails"),
        Option("-v --verbose", "also what starts and what is tried again, without a terminal too"),
        Option("--serve", "the dashboard beside the run, as long as it goes on", "HOST:PORT"),
        Option("--json", "what became of it as one JSON document on standard output"),
        Option("--log-format", "how our own log is written (json)", "json|text"),
    ),
    "Runs the jobs of a configuration. Without a terminal it says nothing where all goes well, and on failure one\n"
    "summary on standard error, so that cron's mail is worth reading. On a terminal it shows what happens.\n"
    "Exit 0 where all went well, 1 where a job that the run needs failed, 2 where the file or the command line is\n"
    "wrong and nothing was started, 3 where Executioner failed itself, 75 while another run of the application goes\n"
    "on, 128+n after signal n (130 Ctrl-C, 143 TERM or cancel).",
    (("executioner run pipeline.json", "the whole pipeline"),
     ("executioner run pipeline.json --workers 4", "up to four jobs at once"),
     ("executioner run pipeline.json --from load --skip mail", "a part of it"),
     ("executioner run pipeline.json --resume last", "after a failure or a crash: what succeeded is kept"),
     ("executioner run pipeline.json --dry-run", "what would run, in which order")))

_LOG_FORMATS = ("json", "text")
#: What a run that was stopped gives whoever reads its last words, in seconds.
_LAST_WORDS_S = 2.0


def execute(arguments: Arguments, console: Console) -> int:
    """Run a configuration."""
    from jobs.models import OverlapPolicy

    log_format = arguments.one("log_format")
    if log_format is not None and log_format not in _LOG_FORMATS:
        raise usage_error('--log-format must be json or text, found "%s"%s' % (
            log_format, did_you_mean(log_format, _LOG_FORMATS)))
    if arguments.flag("quiet") and arguments.flag("verbose"):
        raise usage_error("--quiet and --verbose contradict each other")
    if arguments.flag("resume"):
        _inherit_parameters(arguments, console)
    loaded = load(arguments, console)
    pipeline = loaded.pipeline
    assert pipeline is not None
    if arguments.flag("wait"):
        pipeline.overlap = OverlapPolicy.WAIT
    warnings = [str(problem) for problem in loaded.problems] + _file_system_warnings(arguments, console)
    if console.err.is_terminal and not arguments.flag("quiet"):
        for line in warnings:
            console.err.line(line)
    prepare = _preparation(arguments, console, pipeline)
    if arguments.flag("dry_run"):
        return _rehearse(arguments, console, pipeline, prepare)
    text_log = log_format == "text" or (log_format is None and not pipeline.features.get("structured_logging", True))
    home = locate(arguments.one("home"), console.environ)
    place = _place_to_serve(arguments, loaded.features, warnings)
    if place is None:
        return _run(arguments, console, home, pipeline, prepare, warnings, text_log)
    from executioner.beside import ServerBeside
    home.create()
    with ServerBeside(home, place, console.err.is_terminal and not arguments.flag("quiet")):
        return _run(arguments, console, home, pipeline, prepare, warnings, text_log)


def _place_to_serve(arguments: Arguments, features: "Features", warnings: List[str]) -> Optional[str]:
    """Where the server beside the run listens; None = there is none.

    ``--serve`` asks for one and says where, the switch ``api_server`` asks for one at the usual place. Somebody who
    switched it off has the last word, and a warning of the run says so.
    """
    place = arguments.one("serve")
    if place is None and not features["api_server"]:
        return None
    from executioner.commands.serve import DEFAULT_PLACE, parse_place
    if place is None:
        return DEFAULT_PLACE
    parse_place(place, "--serve")
    source = features.sources["api_server"]
    if source == "default" or features["api_server"]:
        return place
    warnings.append("--serve: nothing is served, as the feature api_server is switched off by %s" % (
        "the file" if source == "file" else source))
    return None


def _file_system_warnings(arguments: Arguments, console: Console) -> List[str]:
    """What is to be known of a home on a network file system, where somebody insists on it."""
    if not arguments.flag("allow_network_fs"):
        return []
    from db.sqlite_file import network_file_system
    folder = os.path.abspath(locate(arguments.one("home"), console.environ).path)
    while not os.path.isdir(folder):
        folder = os.path.dirname(folder)
    kind = network_file_system(folder)
    return [] if kind is None else [
        "%s is on %s, a network file system: every commit is slower, and locks hold only where the server keeps them; "
        "never use this home from two hosts" % (folder, kind)]


def _preparation(arguments: Arguments, console: Console, pipeline: "Pipeline") -> "Preparation":
    """How it is decided what runs, once the history can be asked."""
    from executioner.prepared import Prepared
    from jobs.graph import Graph

    resumed = arguments.one("resume")
    if resumed is not None:
        return _resume(arguments, console, pipeline, resumed)
    for option in ("failed_only", "rerun_lost", "with_current_config"):
        if arguments.flag(option):
            raise usage_error("--%s goes with --resume" % option.replace("_", "-"))
    graph = Graph(pipeline.jobs)
    prepared = Prepared(pipeline, graph, given_jobs(selection(arguments, pipeline, graph), len(pipeline.jobs)))
    return lambda history: prepared


def _resume(arguments: Arguments, console: Console, current: "Pipeline", run: str) -> "Preparation":
    from config.stored import changes, load_stored
    from executioner.prepared import Prepared
    from executioner.resume import ResumeOptions, plan_lines, prepare_resume

    options = ResumeOptions(run, arguments.flag("failed_only"), arguments.names("rerun_lost"),
                            arguments.flag("with_current_config"))
    overrides = overrides_of(arguments)

    def load_kept(text: str) -> "LoadResult":
        return load_stored(text, arguments.operands[0], console.environ, overrides, arguments.many("feature"))

    def left_out(pipeline: "Pipeline", graph: "Graph") -> "Dict[int, Given]":
        return given_jobs(selection(arguments, pipeline, graph), len(pipeline.jobs))

    def prepare(history: "History") -> "Union[Prepared, RunOutcome]":
        prepared = prepare_resume(history, options, current, load_kept, left_out, set(overrides.env))
        if arguments.flag("quiet"):
            return prepared
        if not isinstance(prepared, Prepared):
            console.err.line("executioner: " + prepared.reason)
            return prepared
        parent = history.run(prepared.parent_run_id or 0, with_jobs=False)
        kept = (parent and history.configuration(parent.config_hash)) or ""
        differences = changes(kept, current.config_text) if kept and kept != current.config_text else []
        for line in plan_lines(history, prepared, current, differences, options.with_current_config):
            console.err.line(line)
        return prepared

    return prepare


def _run(arguments: Arguments, console: Console, home: Home, pipeline: "Pipeline", prepare: "Preparation",
         warnings: List[str], text_log: bool) -> int:
    from jobs.keeper.launch import Launcher

    launcher = Launcher()
    if not pipeline.pools:
        # It comes up while the rest is loaded, the history opened and the run's rows are made.
        launcher.launch_early(pipeline.application)
    with launcher:
        return _run_by(launcher, arguments, console, home, pipeline, prepare, warnings, text_log)


def _run_by(launcher: "Launcher", arguments: Arguments, console: Console, home: Home, pipeline: "Pipeline",
            prepare: "Preparation", warnings: List[str], text_log: bool) -> int:
    from executioner.wiring import Runner

    origin = console.origin
    if origin is None:
        raise InternalError("the process was not prepared")
    shows = (console.err.is_terminal and not arguments.flag("quiet")) or arguments.flag("verbose")

    def tell(line: str) -> None:
        console.err.line("executioner: " + line)

    progress: "List[Progress]" = []

    def observe(graph: "Graph") -> "List[Observer]":
        if shows:
            from executioner.progress import Progress
            progress.append(Progress(console, graph.ids, arguments.flag("verbose"), arguments.flag("debug")))
        return list(progress)

    patience_s = -1.0
    console.err.write_behind()
    try:
        with Runner(home, pipeline, prepare, launcher, origin, _said(arguments, pipeline.secret_names), warnings,
                    "DEBUG" if arguments.flag("debug") else "INFO", text_log, tell,
                    arguments.flag("allow_network_fs")) as runner:
            try:
                outcome = runner.run(observe)
            except StorageError as error:
                if runner.run_id:
                    error.context.setdefault("hint", "run %d can be resumed when that is mended: run %s --resume %d" % (
                        runner.run_id, arguments.operands[0], runner.run_id))
                raise
            finally:
                for one in progress:
                    one.close()
            console.err.write_behind(whole=True)
            if outcome.exit_code > EXIT_SIGNAL:
                # Who stopped the run waits for its end, not for a reader that does not read.
                patience_s = _LAST_WORDS_S
                console.out.write_behind(whole=True)
            elif arguments.flag("json"):
                runner.let_go()  # the document may be long, and its reader slow
                console.err.catch_up()
            if shows and not runner.run_id and not arguments.flag("resume"):
                tell(outcome.reason)
            try:
                if arguments.flag("json"):
                    _print_json(console, runner, outcome)
                    console.out.flush()
            except OutputClosed:
                console.out.discard()  # the run's own exit code matters more than a reader that has gone
            if runner.run_id:
                try:
                    _conclude(console, runner, outcome, shows)
                except ExecutionerError as error:  # the run has ended, and its exit code is what counts
                    tell(error.message)
            return outcome.exit_code
    finally:
        console.err.catch_up(patience_s)
        console.out.catch_up(patience_s)


def _conclude(console: Console, runner: "Runner", outcome: "RunOutcome", shows: bool) -> None:
    """The last words: one line where all went well and somebody watches, else the summary."""
    if outcome.exit_code == EXIT_OK:
        if shows:
            from executioner.summary import final_line
            run = runner.history.run(runner.run_id, with_jobs=False)
            if run is not None:
                console.err.line(final_line(run, runner.history))
        return
    from executioner.summary import summary
    from executioner.ourselves import shown_command
    runbooks = {job.id: job.runbook for job in runner.pipeline.jobs if job.runbook}
    lines = summary(runner.history, runner.run_id, shown_command(runner.home, runner.history.where), runner.masker,
                    runbooks)
    console.err.write("".join(line + "\n" for line in lines))


def _print_json(console: Console, runner: "Runner", outcome: "RunOutcome") -> None:
    from executioner.render import job_fields, run_fields, run_json_lines

    if runner.run_id:
        run = runner.history.run(runner.run_id, with_jobs=False)
        if run is None:
            raise InternalError("run %d was there a moment ago" % runner.run_id)
        lines = run_json_lines(run_fields(run), (job_fields(job) for job in runner.history.jobs(runner.run_id)))
    else:
        lines = run_json_lines({
            "run_id": None, "application": runner.pipeline.application, "status": outcome.status or None,
            "exit_code": outcome.exit_code, "config": runner.pipeline.config_path, "started": None, "ended": None,
            "duration": None}, ())
    for line in lines:
        console.out.line(line)


def _rehearse(arguments: Arguments, console: Console, pipeline: "Pipeline", prepare: "Preparation") -> int:
    """What would run, in the order in which it would start."""
    from executioner.rehearsal import rehearse
    from executioner.render import command_text, count_text, one_line, run_json_lines, table
    from executioner.prepared import Prepared
    from jobs.masking import Masker

    prepared = _prepared_to_look(arguments, console, pipeline, prepare)
    if not isinstance(prepared, Prepared):
        return prepared.exit_code
    pipeline, graph, given = prepared.pipeline, prepared.graph, prepared.given
    rehearsal = rehearse(pipeline, graph, given, {})
    if arguments.flag("json"):
        jobs: List[Dict[str, Optional[object]]] = [_dry_job(graph.ids[step.position], "PENDING", "would run")
                                                   for step in rehearsal.steps]
        jobs += [_dry_job(graph.ids[position], "SKIPPED", reason)
                 for position, reason in sorted(rehearsal.left_out.items())]
        for line in run_json_lines({
                "run_id": None, "application": pipeline.application, "status": None, "exit_code": EXIT_OK,
                "config": pipeline.config_path, "started": None, "ended": None, "duration": None}, jobs):
            console.out.line(line)
        return EXIT_OK
    masker = Masker(pipeline.secret_values)
    console.out.line("dry run of %s: %s, %d at once; nothing was started" % (
        pipeline.application, count_text(len(rehearsal.steps), "job"),
        pipeline.max_workers if pipeline.parallel else 1))
    rows = [(str(order), graph.ids[step.position],
             one_line(masker.mask_text(command_text(pipeline.jobs[step.position].command))))
            for order, step in enumerate(rehearsal.steps, 1)]
    rows += [("-", graph.ids[position], reason) for position, reason in sorted(rehearsal.left_out.items())]
    for line in table(("ORDER", "JOB", "COMMAND"), rows, right=(0,)):
        console.out.line(line)
    return EXIT_OK


def _prepared_to_look(arguments: Arguments, console: Console, pipeline: "Pipeline",
                      prepare: "Preparation") -> "Union[Prepared, RunOutcome]":
    """What a run would do; nothing is settled and nothing written for it."""
    from db.history import History
    from executioner.prepared import Prepared
    from jobs.graph import Graph

    if not arguments.flag("resume"):
        graph = Graph(pipeline.jobs)
        return Prepared(pipeline, graph, given_jobs(selection(arguments, pipeline, graph), len(pipeline.jobs)))
    home = locate(arguments.one("home"), console.environ)
    with History.open(pipeline.database_path or home.own_history, readonly=True,
                      allow_network_fs=arguments.flag("allow_network_fs")) as history:
        return prepare(history)


def _dry_job(job_id: str, status: str, reason: str) -> Dict[str, Optional[object]]:
    fields: Dict[str, Optional[object]] = dict.fromkeys((
        "job_id", "status", "reason", "exit_code", "signal", "attempts", "started", "ended", "duration", "cpu_seconds",
        "max_rss", "stdout_path", "stderr_path"))
    fields.update(job_id=job_id, status=status, reason=reason, attempts=0)
    return fields


def _said(arguments: Arguments, secrets: Sequence[str]) -> Dict[str, object]:
    """The options of the command line, for the history. Values given with ``--env`` may be secret and stay out."""
    said: Dict[str, object] = {}
    for option in SPEC.options:
        if option.key in ("json", "serve", "quiet", "verbose", "log_format") or not arguments.flag(option.key):
            continue
        if option.key == "param":
            continue
        if option.key == "env":
            said["env"] = sorted(setting.partition("=")[0] for setting in arguments.many("env"))
        elif option.metavar:
            said[option.key] = arguments.many(option.key)
        else:
            said[option.key] = True
    values = parameters_of(arguments.many("inherited_param"))
    values.update(parameters_of(arguments.many("param")))
    if values:
        from jobs.masking import is_secret_name
        said["param"] = [name if name in secrets or is_secret_name(name) else "%s=%s" % (name, value)
                         for name, value in sorted(values.items())]
    return said


def _inherit_parameters(arguments: Arguments, console: Console) -> None:
    """What the run that is resumed was given with ``--param`` holds where it is not given anew; so does ``--force``."""
    from config.builder import application_name
    from config.loader import load as load_document
    from config.folders import named_database
    from executioner.own_history import open_own

    path = arguments.operands[0]
    top = load_document(path, arguments.flag("insecure_config")).value
    named = named_database(top, os.path.dirname(os.path.abspath(path)), console.environ, overrides_of(arguments).env)
    home = locate(arguments.one("home"), console.environ).of_file(named)
    history = open_own(home, arguments.flag("allow_network_fs"))
    if history is None or not isinstance(top, dict):
        return  # which is told where the file is loaded, and the run is looked for
    given = parameters_of(arguments.many("param"))
    with history:
        resumed = history.resolve(arguments.one("resume") or "", application_name(top, path))
        parent = history.run(resumed, with_jobs=False)
    if parent is not None and parent.options.get("force"):
        arguments.add("force", "")
    settings = parent.options.get("param") if parent is not None else None
    for setting in settings if isinstance(settings, list) else ():
        name, equals, _ = str(setting).partition("=")
        if equals:
            arguments.add("inherited_param", str(setting))
        elif name not in given:
            raise usage_error("run %d was given --param %s, whose value is not kept: give it again" % (
                parent.run_id if parent is not None else 0, name))
