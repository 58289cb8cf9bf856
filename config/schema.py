"""Every key of a configuration, declared once: name, kind with its bounds, default, one line of help.

The validator, the JSON Schema, the sample and the reference page all come from these tables. To add a key, add its
entry; a key that has none is refused as unknown. ``new`` marks what the earlier Executioner did not have.
"""
from config.items import ForEach
from config.kinds import (
    MAX_POOL_SLOTS, Checks, Choice, Command, Condition, Declared, Duration, Either, Flag, Identifier, Integer,
    JobReference, Key, ListOf, Number, Object, Outputs, Pools, Signal, Switches, Table, Text, VariableName, Variables)
from config.limits import LIMITS, RunAs, Umask
from config.upkeep import Addresses, DeadlineTime, Destination, Size, Subject

__all__ = ["CHECK", "DATABASE", "DEFAULTS", "DEFAULT_OF_JOB_KEY", "DEPENDENCY", "FILE", "JOB",
           "LIMITS", "MAX_JOBS", "NOTIFICATION", "NOTIFY_ON", "OVERLAPS", "PARAMETER", "PLUGIN", "RETENTION",
           "RETRY_STATUSES", "SSL_MODES", "STDIN", "TABLES", "WHENS"]

MAX_JOBS = 100000
OVERLAPS = ("fail", "skip", "wait", "allow")
WHENS = ("success", "failure", "done", "skipped")
#: As ``jobs.server_place.SSL_MODES``, and ``jobs.models.NOTIFY_ON``, which cost an import.
SSL_MODES = ("disable", "allow", "prefer", "require", "verify-ca", "verify-full")
NOTIFY_ON = ("failure", "success", "recovery", "late", "retry", "lost", "always")
RETRY_STATUSES = ("ERROR", "FAILED", "TIMEOUT")

_BIG = 10 ** 6
_EXIT_CODES = ListOf(Integer(0, 255), what="a list of exit codes")
_NAMES = ListOf(Text(1, one_line=True), what="a list of strings")
_PATH = Text(1, what="a path")
_PATHS = ListOf(_PATH, 0, 1000, "a list of paths")
_LINE = Text(1, one_line=True)

DEPENDENCY = Table("dependency", (
    Key("job", JobReference(), None, "id of the job that is waited for; of several, where it means several",
        required=True),
    Key("when", Choice(*WHENS), "success", "what that job must have come to", new=True),
))

STDIN = Table("stdin", (
    Key("text", Text(), None, "the text itself", required=True, new=True),
))

DATABASE = Table("database", (
    Key("type", Choice("sqlite", "postgresql", "oracle"), "sqlite",
        "sqlite: the local history alone; else a server that ended runs are copied to as well"),
    Key("path", _PATH, None, "the local database file, relative to working_dir", default_text="<home>/history.db"),
    Key("host", _LINE, None, "the server's host, or the folder of its socket", new=True,
        default_text="the driver's own", example="db.example.org"),
    Key("port", Integer(1, 65535), None, "its port", new=True, default_text="the kind's own", example=5432),
    Key("name", _LINE, None, "the database there", new=True, default_text="none", example="history"),
    Key("user", _LINE, None, "whom we are there", new=True, default_text="the driver's own", example="executioner"),
    Key("schema", _LINE, None, "where its tables are in that database", new=True, default_text="the user's own",
        example="jobs"),
    Key("sslmode", Choice(*SSL_MODES), None, "how the connection is secured", new=True,
        default_text="the driver's own", example="verify-full"),
    Key("password_env", VariableName(), None, "the variable that holds the password", new=True, default_text="none",
        example="HISTORY_PASSWORD"),
    Key("password_file", _PATH, None, "the file (0600, an absolute path) whose first line is the password", new=True,
        default_text="none", example="/etc/executioner/password"),
))

PLUGIN = Table("plugin", (
    Key("name", _LINE, None, "its class or function, or a name for its only class", required=True),
    Key("path", _PATH, None, "its Python file, relative to working_dir; ~ and ${VAR} expand", default_text="NAME.py"),
))

_SCALAR = Either(Text(maximum=65536), Number(-1e300, 1e300), Flag())

PARAMETER = Table("parameter", (
    Key("type", Choice("string", "integer", "number", "boolean"), "string", "what its value is", new=True),
    Key("default", _SCALAR, None, "its value where none is given", new=True, default_text="an empty text",
        example="full"),
    Key("choices", ListOf(_SCALAR, 1, 1000, "a list of values"), None, "the values that it may have", new=True,
        default_text="any of the type", example=["full", "part"]),
    Key("pattern", Text(1), None, "regular expression that the whole of a string must match", new=True,
        default_text="none", example="[a-z]+"),
    Key("required", Flag(), False, "whether a value must be given with --param", new=True),
    Key("help", Text(), "", "for people", new=True),
))

NOTIFICATION = Table("notification", (
    Key("on", Either(Choice(*NOTIFY_ON), ListOf(Choice(*NOTIFY_ON), 1, 20, "a list of words")), None,
        "what it is about: failure (of the run, in the end), success, recovery (the first success after a failure), "
        "late (a deadline), retry, lost, always", required=True, new=True),
    Key("to", Either(Destination(), ListOf(Destination(), 1, 100, "a list of destinations")), None,
        "mailto:ADDRESS, a web address (JSON is posted there), or command:COMMAND (gets the message on its standard "
        "input); ${VAR} expands", required=True, new=True),
    Key("every", Duration(), 0, "least time between two messages about the same cause", new=True),
    Key("subject", Subject(), "", "subject, with {application}, {status}, {cause}, {jobs}, {run_id} and {host}",
        new=True),
    Key("secret", Text(secret=True), None, "signs what a web address gets (HMAC-SHA256); ${VAR} expands", new=True,
        default_text="none", example="${HOOK_SECRET}"),
))

RETENTION = Table("retention", (
    Key("runs", Integer(1, 10 ** 9), 1000, "how many runs are kept", new=True),
    Key("days", Number(0.001, 36500), 90, "how long a run is kept, in days", new=True),
    Key("bytes", Size(), 10 << 30, 'how much output is kept: bytes, or text such as "10GiB"', new=True),
))

#: The object in ``pre_checks`` and ``post_checks``; which parameters there are, each check says itself.
CHECK = Table("check", (
    Key("name", _LINE, None, "name of the check", required=True),
    Key("params", Object(Table("params", ())), None, "its parameters", default_text="{}"),
))

JOB = Table("job", (
    Key("id", Identifier(), None, "unique name of the job in the file", required=True, example="extract"),
    Key("command", Either(Text(what="a string"), Command()), None,
        "a string is a shell command (run without a shell where it needs none); a list is a program with its "
        "arguments, never a shell", required=True, example="./extract.sh --all"),
    Key("config", _PATH, None,
        "instead of command: another configuration, relative to this file, that is run as this one job; its jobs are "
        "named id/JOB", new=True, default_text="none", example="load.json"),
    Key("description", Text(), "", "for people"),
    Key("for_each", ForEach(), None,
        "one job for each item, named id[item]: a list, {range: [first, last]}, {glob: PATTERN}, or an object of lists "
        "for every combination; ${item} and ${item.NAME} stand for the item in command, env_variables, working_dir, "
        "stdin, run_if, checks, description, runbook and in the brackets of dependencies", new=True,
        default_text="none", example=["north", "south"]),
    Key("dependencies", ListOf(Either(JobReference(), Object(DEPENDENCY)), maximum=MAX_JOBS,
                               what="a list of job ids"), [],
        "jobs that must end first: ids, or {job, when}; the id of a job with for_each means all its items, id[item] "
        "means one", example=["extract"]),
    Key("join", Either(Choice("all", "any"), Integer(1, MAX_JOBS)), "all",
        "how many of the dependencies must be met", new=True),
    Key("timeout", Duration(positive=True), None, "how long one attempt may take", default_text="default_timeout",
        example="30m"),
    Key("total_timeout", Duration(positive=True), None, "how long all attempts and the waits between them may take",
        new=True, default_text="none", example="2h"),
    Key("stop_signal", Signal(), "TERM", "what a job is stopped with", new=True),
    Key("stop_grace", Duration(), 10, "time from the stop signal to KILL, for the whole process tree", new=True),
    Key("env_variables", Variables(), {}, "variables of this job, over those of the file", example={"MODE": "full"}),
    Key("env_file", Either(_PATH, ListOf(_PATH, 0, 100, "a list of paths")), [],
        "files of NAME=value lines, under env_variables; relative to working_dir of the file, read when the run is "
        "planned", new=True, example="database.env"),
    Key("working_dir", _PATH, None, "where the job runs", new=True, default_text="the file's working_dir", example="."),
    Key("max_retries", Integer(0, _BIG), None, "how often a failed attempt is tried again",
        default_text="default_max_retries", example=2),
    Key("retry_delay", Either(Duration(), ListOf(Duration(), 1, 1000, "a list of durations")), None,
        "wait before the first retry, or a list: before each", default_text="default_retry_delay", example="30s"),
    Key("retry_backoff", Number(1, _BIG), None, "factor per further retry", default_text="default_retry_backoff",
        example=2),
    Key("retry_jitter", Number(0, 1), None, "random part of each wait", default_text="default_retry_jitter",
        example=0.1),
    Key("max_retry_time", Duration(), None, "total time that retrying may take; 0 = no limit",
        default_text="default_max_retry_time", example="1h"),
    Key("retry_on_status", ListOf(Choice(*RETRY_STATUSES), what="a list of statuses"), list(RETRY_STATUSES),
        "statuses of an attempt that is tried again"),
    Key("retry_on_exit_codes", _EXIT_CODES, None, "exit codes of an attempt that is tried again",
        default_text="default_retry_on_exit_codes", example=[1, 75]),
    Key("never_retry_on_exit_codes", _EXIT_CODES, [126, 127],
        "exit codes that are never tried again, unless the job names them in retry_on_exit_codes", new=True),
    Key("success_exit_codes", ListOf(Integer(0, 255), 1, what="a list of exit codes"), [0],
        "exit codes that mean success", new=True),
    Key("skip_exit_codes", _EXIT_CODES, [], "exit codes by which the job says that there was nothing to do: SKIPPED",
        new=True),
    Key("allow_failure", Flag(), False, "its failure neither fails the run nor blocks what depends on it", new=True),
    Key("rerun_if_lost", Flag(), False,
        "whether an attempt whose outcome nobody knows may be run again", new=True),
    Key("leave_running", Flag(), False, "processes that the job leaves behind may live on", new=True),
    Key("run_if", Condition(), None,
        "what must hold for the job to run, else it is SKIPPED: {env, equals or matches}, {param, equals or matches}, "
        "{file_exists}, {command}, {weekday}, {day_of_month}, and {all}, {any}, {not} of such; ${VAR} expands",
        new=True, default_text="none",
        example={"all": [{"weekday": ["mon", "fri"]}, {"not": {"file_exists": "done"}}]}),
    Key("pre_checks", Checks(before=True), [], "checks before the command; one that fails keeps it from starting",
        example=[{"name": "check_file_exists", "params": {"path": "input/*.csv"}}]),
    Key("post_checks", Checks(before=False), [], "checks after the command; one that fails makes the attempt FAILED"),
    Key("priority", Integer(-10 ** 9, 10 ** 9), 0, "among the jobs that are ready, higher first", new=True),
    Key("pool", Identifier(), None, "the pool that an attempt takes slots of", new=True, default_text="none",
        example="database"),
    Key("pool_slots", Integer(1, MAX_POOL_SLOTS), 1, "how many slots it takes", new=True),
    Key("outputs", Outputs(), [],
        "names of the lines NAME=value that it writes to $EXECUTIONER_OUTPUT; what depends on it has them as "
        "${jobs.ID.outputs.NAME} in command, env_variables, working_dir, stdin and checks", new=True, example=["rows"]),
    Key("inputs", _PATHS, [],
        "paths or patterns of what it reads; it is SKIPPED as up to date where all its products are no older", new=True,
        example=["data/*.csv"]),
    Key("products", _PATHS, [],
        "paths or patterns of what it makes; one that a success has not made is a warning in the log", new=True,
        example=["report.txt"]),
    Key("limits", Object(LIMITS), None, "what an attempt may use", new=True, default_text="output: 1 GiB",
        example={"cpu_seconds": 3600, "memory": "2G", "nice": 10}),
    Key("umask", Umask(), None, "permissions that the files which it makes do not get", new=True,
        default_text="the runner's own", example="027"),
    Key("run_as", RunAs(), None, "whom it runs as: user, or user:group; for root", new=True,
        default_text="the runner's own user", example="nobody"),
    Key("stdin", Either(_PATH, Object(STDIN, 'an object such as {"text": ...}')), None,
        "file for standard input, or {text}", new=True, default_text="/dev/null", example={"text": "yes\n"}),
    Key("deadline", DeadlineTime(), None,
        "when it is to have ended: a time of day, or a duration from the run's start; who asked for late is told, "
        "before the miss where earlier runs allow an estimate", new=True, default_text="none", example="06:30"),
    Key("runbook", Text(maximum=4096), "", "text or web address that is shown with every failure", new=True,
        example="https://wiki.example.com/load"),
    Key("tags", _NAMES, [], "words that --tag selects by", new=True, example=["nightly"]),
))

#: What ``defaults`` may hold: any key of a job but its id and the configuration that it runs.
DEFAULTS = JOB.without("defaults", "id", "config")

FILE = Table("file", (
    Key("$schema", Text(), None, "for editors; ignored", new=True, default_text="none",
        example="executioner.schema.json"),
    Key("application_name", Text(1, 255, one_line=True), None, "who the run belongs to: history, logs, locks, mail",
        default_text="the file's name without ending", example="nightly"),
    Key("name", Text(1, 255, one_line=True), None, "the same as application_name", default_text="application_name",
        example="nightly"),
    Key("working_dir", _PATH, None, "where jobs run; ~ and ${VAR} expand", default_text="the file's own folder",
        example="."),
    Key("log_dir", _PATH, None, "where job output goes, relative to working_dir", default_text="<home>/logs",
        example="logs"),
    Key("parallel", Flag(), False, "run independent jobs at the same time", example=True),
    Key("max_workers", Integer(1, MAX_JOBS), None, "jobs running at once",
        default_text="1; the number of processors where parallel is true", example=4),
    Key("continue_on_error", Flag(), False, "after a failure, still run what does not depend on it"),
    Key("overlap", Choice(*OVERLAPS), "fail", "what a second run of the same application does while one is running",
        new=True),
    Key("on_orphan", Choice("adopt", "kill", "fail"), "adopt",
        "what a later run does with jobs of a dead run that still run: wait for them, stop them, or end with 75",
        new=True),
    Key("on_runner_death", Choice("finish", "kill"), "finish", "what becomes of running jobs when the runner dies",
        new=True),
    Key("run_timeout", Duration(positive=True), None, "how long the whole run may take", new=True,
        default_text="none", example="8h"),
    Key("default_timeout", Duration(positive=True), 10800, "seconds that one attempt may take"),
    Key("default_max_retries", Integer(0, _BIG), 0, "how often a failed attempt is tried again"),
    Key("default_retry_delay", Duration(), 30, "wait before the first retry"),
    Key("default_retry_backoff", Number(1, _BIG), 1.5, "factor per further retry"),
    Key("default_retry_jitter", Number(0, 1), 0.1, "random part of each wait"),
    Key("default_max_retry_time", Duration(), 1800, "total time that retrying may take; 0 = no limit"),
    Key("default_retry_on_exit_codes", _EXIT_CODES, [1], "exit codes of an attempt that is tried again"),
    Key("defaults", Object(DEFAULTS), {}, "any key of a job, for every job that does not set it", new=True,
        example={"stop_grace": "20s"}),
    Key("env_variables", Variables(), {}, "variables that every job sees; ${NAME} refers to others",
        example={"DATA": "/srv/data", "PATH": "/opt/tools/bin:${PATH}"}),
    Key("inherit_shell_env", Either(Flag(), Choice("default"), ListOf(VariableName(), what="a list of names")), True,
        "which variables of the caller a job sees"),
    Key("secrets", ListOf(VariableName(), what="a list of names"), [],
        "variables and parameters whose values (6 characters or more) are masked in all that is written about a run; "
        "names with PASSWORD, PASSWD, SECRET, TOKEN, CREDENTIAL or the word KEY always are", new=True,
        example=["DATABASE_URL"]),
    Key("allow_shell", Flag(), True, "false: a command that needs a shell is refused, and none is started"),
    Key("pools", Pools(), {}, "limits that jobs share, across all runs on the host: name and number of slots", new=True,
        example={"database": 2}),
    Key("parameters", Declared(PARAMETER, "an object of parameters"), {},
        "values that --param NAME=VALUE gives: ${params.NAME} in commands, environment, paths, checks and run_if; jobs "
        "see them as EXECUTIONER_PARAM_NAME", new=True,
        example={"mode": {"choices": ["full", "part"], "default": "full", "help": "how much is loaded"}}),
    Key("security_policy", Choice("warn", "block", "strict"), "warn", "what a suspicious command gets"),
    Key("security_level", Choice("low", "medium", "high"), "medium", "how much counts as suspicious"),
    Key("command_whitelist", _NAMES, [], "programs that are always accepted"),
    Key("command_allowlist_patterns", ListOf(Text(1), what="a list of regular expressions"), [],
        "commands that are always accepted, as regular expressions"),
    Key("workspace_paths", ListOf(_PATH, what="a list of paths"), [], "where a program given by path may lie"),
    Key("dependency_plugins", ListOf(Either(Text(1, one_line=True), Object(PLUGIN)), what="a list of plugins"), [],
        "Python files that add checks: a name (NAME.py, in plugins/ too), a path, or {name, path}"),
    Key("email_address", Either(Addresses(), ListOf(Addresses(1), what="a list of addresses")), None,
        "who is told, with commas or as a list", default_text="none", example="ops@example.com"),
    Key("email_on_success", Flag(), False, "mail after a run that succeeded"),
    Key("email_on_failure", Flag(), True, "mail after a run that failed"),
    Key("email_from", Text(1, 255, one_line=True), None, "the sender's address", new=True,
        default_text="executioner@HOST", example="batch@example.com"),
    Key("smtp_server", Text(), None, "mail server", default_text="localhost", example="mail.example.com"),
    Key("smtp_port", Integer(1, 65535), 25, "465 = TLS, 587 = STARTTLS, others: STARTTLS where it is offered"),
    Key("smtp_user", Text(), None, "user at the mail server", default_text="none", example="ops"),
    Key("smtp_password", Text(secret=True), None, "its password; ${VAR} expands, so it can stay in the environment",
        default_text="none", example="${SMTP_PASSWORD}"),
    Key("notifications", ListOf(Object(NOTIFICATION), 0, 1000, "a list of rules"), [],
        "who hears of what; the email_ keys are short for one such rule", new=True,
        example=[{"on": ["failure", "recovery"], "to": "mailto:ops@example.com"}]),
    Key("retention", Object(RETENTION), {}, "how much is kept; the last success and the last failure of each job are",
        new=True, example={"runs": 500, "days": 30}),
    Key("expect", Duration(positive=True), None,
        "doctor --health and /health complain when no run succeeded for so long", new=True, default_text="none",
        example="26h"),
    Key("metrics_textfile", _PATH, None,
        "a copy of the Prometheus text, for all to read, where the node exporter's textfile collector looks", new=True,
        default_text="none", example="/var/lib/node_exporter/executioner.prom"),
    Key("status_page", _PATH, None,
        "a page in one file, for all to read, that each run keeps current: graph, timeline, failures", new=True,
        default_text="none", example="/var/www/jobs/nightly.html"),
    Key("database", Either(_LINE, Object(DATABASE)), None,
        "where results go besides the local history: an object, or a URL such as postgresql://USER@HOST/NAME",
        default_text="sqlite in <home>", example={"type": "sqlite", "path": "history.db"}),
    Key("features", Switches(), {}, "switches modules on or off"),
    Key("jobs", ListOf(Object(JOB), 1, MAX_JOBS, "a list of jobs"), None, "the jobs, one or more", required=True),
))

#: Where a job key takes its default from in the file.
DEFAULT_OF_JOB_KEY = {
    "timeout": "default_timeout", "max_retries": "default_max_retries", "retry_delay": "default_retry_delay",
    "retry_backoff": "default_retry_backoff", "retry_jitter": "default_retry_jitter",
    "max_retry_time": "default_max_retry_time", "retry_on_exit_codes": "default_retry_on_exit_codes",
}

#: All tables, as the JSON Schema and the reference page list them.
TABLES = (FILE, JOB, DEFAULTS, DEPENDENCY, STDIN, LIMITS, DATABASE, PARAMETER, PLUGIN, NOTIFICATION, RETENTION)
