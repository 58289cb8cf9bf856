"""One batch of the fuzz rows, in an interpreter of its own: ``fuzz_worker.py CHECKOUT KIND SEED FIRST COUNT FOLDER``.

Calls the command line's own ``main`` in this process, once for each input, and reads what it wrote. Prints one JSON line for
each violation, a line ``at N`` before each input (so that a hang or a crash is known), and at last a line of counts.
"""
import copy
import glob
import json
import os
import random
import resource
import signal
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
SLOW_S = 2.0
MEMORY_BYTES = 200 << 20


def bases(checkout):
    """Valid configurations to start from."""
    found = []
    for path in sorted(glob.glob(os.path.join(checkout, "examples", "**", "*.json"), recursive=True)):
        with open(path, encoding="utf-8") as content:
            text = content.read()
        try:
            found.append(json.loads(text))
        except ValueError:
            continue
    found = [one for one in found if isinstance(one, dict) and "jobs" in one]
    found.append({"application_name": "one", "jobs": [{"id": "a", "command": "true"}]})
    found.append({"application_name": "many", "parallel": True, "max_workers": 4, "continue_on_error": True,
                  "default_timeout": "1h", "env_variables": {"A": "1", "B": "${A}", "PATH": "/opt:${PATH}"},
                  "inherit_shell_env": ["HOME"], "retention": {"runs": 10, "days": 3, "bytes": 100000},
                  "secrets": ["B"], "overlap": "wait", "features": {"metrics": False},
                  "jobs": [{"id": "j%d" % n, "command": ["echo", str(n)], "timeout": n + 1, "max_retries": n % 3,
                            "retry_delay": [1, 2.5, "3s"], "retry_on_exit_codes": [1, 2], "stop_signal": "INT",
                            "dependencies": ["j%d" % (n - 1)] if n else [], "success_exit_codes": [0, 3],
                            "tags": ["t%d" % (n % 2)], "priority": n, "allow_failure": n % 2 == 0}
                           for n in range(6)]})
    found.append({"jobs": [{"id": "a", "command": "false", "pre_checks": [{"name": "check_file_exists", "params": {"path": "/x"}}]},
                           {"id": "b", "command": "echo ${A:-x} | cat", "dependencies": [{"job": "a", "when": "failure"}],
                            "join": "any", "post_checks": [{"name": "check_output_contains", "params": {"text": "x"}}]}]})
    return found


ODD = [None, True, False, 0, -1, 1, 2 ** 31, 2 ** 63, 2 ** 64, -2 ** 63, 10 ** 30, 10 ** 400, 1e308, 5e-324, -0.0, 1.5,
       "", " ", "a", "\u0000", "\ud800", "\udfff x", "a" * 200, "a" * 200000, "../..", "/", "~", "~nobody-x", "${A}", "${", "${A",
       "$${A}", "${A}${B}${A}", "true", "1h", "-1h", "1h1h", "99999999999d", "1e9", "nan", "inf", "NaN", "SIGKILL", "KILL", "TERM",
       "99", "\u202e", "\x1b[31m", "a\nb", "a\rb", "\U0001f600", "id", ".", "..", "a/b", [], [[]], {}, {"": ""}, [None],
       ["a", "a"], [1, "1"], {"a": {"a": {"a": {}}}}, [0] * 1000, "%s%n%x", "{0}", "*", "?", "a b", "'", "\"", "a;b", "`x`"]
#: What the tables of keys do not hold: keys of other tables, and none at all.
KEYS = ["_x", "params", "path", "text", "name", "range", "glob", "config", "executor", "executor_options", "runbook"]


def places(value, found, parent=None, key=None):
    """Every place of a value: (container, key)."""
    if parent is not None:
        found.append((parent, key))
    if isinstance(value, dict):
        for name in list(value):
            places(value[name], found, value, name)
    elif isinstance(value, list):
        for index in range(len(value)):
            places(value[index], found, value, index)
    return found


def mutate(rnd, config):
    """Change a configuration in a few places."""
    for _ in range(rnd.choice((0, 1, 1, 1, 2, 2, 3, 6))):
        spots = places(config, [])
        if not spots:
            break
        parent, key = rnd.choice(spots)
        act = rnd.randrange(9)
        if act == 0:
            del parent[key]
        elif act in (1, 2):
            parent[key] = copy.deepcopy(rnd.choice(ODD))
        elif act == 3:
            other, name = rnd.choice(spots)
            try:
                parent[key] = copy.deepcopy(other[name])
            except (IndexError, KeyError):
                continue
        elif act in (4, 5) and isinstance(parent, dict):
            parent[rnd.choice(KEYS)] = copy.deepcopy(rnd.choice(ODD + [1, 2, "a", ["a"]]))
        elif act == 6 and isinstance(parent, list):
            parent.insert(key, copy.deepcopy(parent[key]))
        elif act == 7 and isinstance(parent[key], str):
            text = parent[key]
            at = rnd.randrange(len(text) + 1)
            parent[key] = text[:at] + rnd.choice(("\0", "\ud800", "$", "{", "}", "${A}", " ", "\n", "\u00e9", "-", "9")) + text[at:]
        elif isinstance(parent, dict) and key != "jobs":
            parent[rnd.choice(KEYS)] = parent.pop(key)
    if rnd.random() < 0.02:
        deep = []
        for _ in range(rnd.choice((10, 63, 64, 65, 500))):
            deep = [deep] if rnd.random() < 0.5 else {"a": deep}
        config[rnd.choice(KEYS)] = deep
    if rnd.random() < 0.05 and isinstance(config.get("jobs"), list):
        ids = [job.get("id") for job in config["jobs"] if isinstance(job, dict)]
        for job in config["jobs"]:
            if isinstance(job, dict) and ids and rnd.random() < 0.5:
                job["dependencies"] = [rnd.choice(ids) for _ in range(rnd.randrange(4))]
    return config


def written(rnd, config):
    """A configuration as bytes, sometimes damaged as text."""
    if rnd.random() < 0.02:
        return bytes(bytearray(rnd.getrandbits(8) for _ in range(rnd.choice((0, 1, 3, 100, 3000)))))
    if rnd.random() < 0.003:
        return b"[" * rnd.choice((64, 1000, 100000))
    text = json.dumps(config, ensure_ascii=rnd.random() < 0.7, indent=rnd.choice((None, 1)))
    data = text.encode("utf-8", "surrogatepass")
    if rnd.random() < 0.05:
        data = b"\xef\xbb\xbf" + data
    if rnd.random() < 0.05:
        data = text.encode(rnd.choice(("utf-16", "utf-32", "utf-8-sig")), "surrogatepass")
    for _ in range(rnd.choice((0,) * 14 + (1, 1, 2, 5))):
        at = rnd.randrange(len(data) + 1)
        act = rnd.randrange(6)
        if act == 0:
            data = data[:at]
        elif act == 1:
            data = data[:at] + data[at + rnd.choice((1, 1, 3, 20)):]
        elif act == 2:
            data = data[:at] + bytes(bytearray((rnd.getrandbits(8),))) + data[at + 1:]
        elif act == 3:
            data = data[:at] + rnd.choice((b",", b"{", b"}", b"[", b"]", b"\"", b"//", b"/*", b"*/", b"NaN", b"Infinity",
                                           b"-", b"1e999", b"\\u0000", b"\\ud800", b"\0", b"null", b":", b"9" * 5000)) + data[at:]
        elif act == 4:
            data = data.replace(b'"command"', b'"id"', 1)
        else:
            data = data[:at] + data[max(0, at - 40):at] + data[at:]
    return data


def clock():
    """Seconds that do not pass while this process is ready to run and has no processor."""
    try:
        with open("/proc/self/schedstat") as counts:
            return time.monotonic() - int(counts.read().split()[1]) / 1e9
    except (OSError, ValueError, IndexError):
        return time.monotonic()


class Caller:
    """Calls ``main`` and gives what it said."""

    def __init__(self, folder):
        self.out = os.open(os.path.join(folder, "out"), os.O_RDWR | os.O_CREAT | os.O_TRUNC, 0o600)
        self.err = os.open(os.path.join(folder, "err"), os.O_RDWR | os.O_CREAT | os.O_TRUNC, 0o600)
        self.report = os.dup(1)
        os.set_inheritable(self.report, False)
        os.dup2(self.out, 1)
        os.dup2(self.err, 2)

    def tell(self, line):
        os.write(self.report, line.encode("utf-8", "backslashreplace") + b"\n")

    def call(self, main, words):
        """Exit code, and the bytes of both streams; a traceback becomes part of the second."""
        import traceback
        for fd in (self.out, self.err):
            os.ftruncate(fd, 0)
            os.lseek(fd, 0, os.SEEK_SET)
        try:
            code = main(list(words))
        except SystemExit as error:
            code = "SystemExit %s" % error.code
        except BaseException:
            code = "traceback"
            os.write(2, traceback.format_exc().encode("utf-8", "backslashreplace"))
        said = []
        for fd in (self.out, self.err):
            size = os.fstat(fd).st_size
            said.append(os.pread(fd, min(size, 4 << 20), 0))
        return code, said[0], said[1]


def judge(number, words, code, out, err, took, allowed):
    """The sentence about what is wrong; None where all is well."""
    what = " ".join(words)
    if code not in allowed:
        return "%d: %s: ended with %s: %s" % (number, what, code, err[-400:].decode("utf-8", "replace"))
    if b"Traceback (most recent" in err or b"Traceback (most recent" in out:
        return "%d: %s: a traceback: %s" % (number, what, err[-400:].decode("utf-8", "replace"))
    if b"internal error" in err:
        return "%d: %s: %s" % (number, what, err[-400:].decode("utf-8", "replace"))
    if code == 2 and not err.strip() and not out.strip():
        return "%d: %s: exit 2 without a word" % (number, what)
    if took > SLOW_S:
        return "%d: %s: took %.1f s" % (number, what, took)
    for name, stream in (("stdout", out), ("stderr", err)):
        try:
            text = stream.decode("utf-8")
        except ValueError as error:
            if "logs" not in words and len(stream) < 4 << 20:
                return "%d: %s: %s: %s" % (number, what, name, error)
            continue
        if name == "stdout" and "--json" in words and text.strip() and len(stream) < 4 << 20:
            try:
                json.loads(text)
            except ValueError as error:
                if "--help" not in words and "-h" not in words and "--version" not in words and "logs" not in words:
                    return "%d: %s: no JSON: %s %r" % (number, what, error, text[:200])
    return None


def configurations(main, caller, checkout, seed, first, count, folder):
    """F1 and F3."""
    # Only here: it is made from the product's own tables, so that a new key is in it by itself.
    sys.path.append(os.path.join(os.path.dirname(HERE), "simulation"))
    import random_files
    starts = bases(checkout)
    KEYS.extend(sorted({key.name for table in random_files.TABLES for key in table}))
    given = [word for name, value in sorted(random_files.PARAMS.items()) for word in ("--param", "%s=%s" % (name, value))]
    path = os.path.join(folder, "config.json")
    home = os.path.join(folder, "home")
    os.mkdir(os.path.join(folder, "in"), 0o700)
    for name, text in (("in/a.csv", "a,b\n"), ("job.env", "A=1\n")):
        with open(os.path.join(folder, name), "w") as out:
            out.write(text)
        os.chmod(os.path.join(folder, name), 0o600)
    planned = 0
    for number in range(first, first + count):
        caller.tell("at %d" % number)
        rnd = random.Random("%s/config/%d" % (seed, number))
        if rnd.random() < 0.6:
            start, more = random_files.Maker("%s/%d" % (seed, number), set()).file(), given
        else:
            start, more = copy.deepcopy(rnd.choice(starts)), []
        data = written(rnd, mutate(rnd, start))
        fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        os.write(fd, data)
        os.close(fd)
        words = ["validate", path] + more + (["--json"] if rnd.random() < 0.1 else [])
        began = clock()
        code, out, err = caller.call(main, words)
        text = judge(number, words, code, out, err, clock() - began, (0, 2))
        if text is not None:
            caller.tell(json.dumps({"row": "F1", "text": text}))
        if code == 0:
            planned += 1
            words = rnd.choice((["plan", path, "--home", home], ["run", path, "--dry-run", "--home", home])) + more
            began = clock()
            code, out, err = caller.call(main, words)
            text = judge(number, words, code, out, err, clock() - began, (0,))
            if text is not None:
                caller.tell(json.dumps({"row": "F3", "text": "valid, but " + text}))
    return planned


def command_words(rnd, commands, every, own, values):
    """A command line that somebody might type, or a program.

    :param every: all options
    :param own: those of each command
    """
    words = []
    options = every
    if rnd.random() < 0.15:
        words.append(rnd.choice(options))
        if rnd.random() < 0.5:
            words.append(rnd.choice(values))
    words.append(rnd.choice(commands) if rnd.random() < 0.93 else rnd.choice(values))
    if rnd.random() < 0.8 and own.get(words[-1]):
        options = own[words[-1]]
    for _ in range(rnd.choice((0, 1, 1, 2, 2, 3, 5))):
        pick = rnd.random()
        if pick < 0.45:
            words.append(rnd.choice(options))
        elif pick < 0.55:
            words.append("%s=%s" % (rnd.choice(options), rnd.choice(values)))
        else:
            words.append(rnd.choice(values))
    if rnd.random() < 0.1:
        at = rnd.randrange(len(words))
        word = words[at]
        spot = rnd.randrange(len(word) + 1)
        words[at] = word[:spot] + rnd.choice(("", "-", "=", "\udcff", "\u00e9", " ", "x", "\n")) + word[spot + rnd.randrange(2):]
    return [word.replace("\0", "") for word in words]


#: Commands that wait for ever by design, or write outside of the home.
NOT_CALLED = ("serve", "watch", "completion")


def command_lines(main, caller, checkout, seed, first, count, folder):
    """F2."""
    from executioner import cli
    home = os.path.join(folder, "home")
    names = {}
    for name, text in (("ok", json.dumps({"jobs": [{"id": "a", "command": ["true"]}, {"id": "b", "command": ["true"]}]})),
                       ("bad", "{"), ("empty", "")):
        names[name] = os.path.join(folder, name + ".json")
        with open(names[name], "w") as out:
            out.write(text)
        os.chmod(names[name], 0o600)
    fifo = os.path.join(folder, "fifo")
    os.mkfifo(fifo, 0o600)
    unreadable = os.path.join(folder, "unreadable")
    open(unreadable, "w").close()
    os.chmod(unreadable, 0)
    caller.call(main, ["run", names["ok"], "--home", home])
    commands = [name for name, _ in cli.COMMANDS if name not in NOT_CALLED]
    options = ["--home", "--debug", "--help", "-h", "--version", "--json", "--nonsense", "-x", "--", "-"]
    # Following what never ends is no hang.
    waits = ("-f", "--follow", "--serve", "--debug", "--wait")
    own = {}
    for name in commands:
        spec, _ = cli.load_command(name)
        own[name] = [word for option in spec.options for word in option.names if word not in waits]
        options += own[name]
    options = [name for name in options if name not in waits]
    values = [names["ok"], names["bad"], names["empty"], fifo, unreadable, folder, "/dev/zero", "/dev/null", "/nonexistent",
              "/proc/self/mem", "/dev/full", "last", "1", "2", "-1", "0", "99999999999999999999", "a", "b", "a,b", "a,a,,b", "",
              " ", "\udcff", "\u00e9", "x" * 5000, "A=1", "=1", "A=", "metrics=off", "metrics", "on", "1h", "text", "json", home,
              "\x1b[31m", "%s", "'", "*", "true", "run", "show", "--json", "1.5", "0x1", "\u0661"]
    environments = [{}, {}, {}, {"EXECUTIONER_FEATURES": "metrics=maybe"}, {"HOME": ""}, {"LANG": "C"}, {"COLUMNS": "x"},
                    {"EXECUTIONER_HOME": ""}, {"TERM": "\udcff"}]
    for number in range(first, first + count):
        caller.tell("at %d" % number)
        rnd = random.Random("%s/words/%d" % (seed, number))
        words = command_words(rnd, commands, options, own, values)
        if "run" in words and rnd.random() < 0.7:
            words = [word if word != "run" else "plan" for word in words]
        saved = dict(os.environ)
        os.environ["EXECUTIONER_HOME"] = home
        os.environ.update(rnd.choice(environments))
        began = clock()
        try:
            code, out, err = caller.call(main, words)
        finally:
            os.environ.clear()
            os.environ.update(saved)
            os.chdir(folder)
        text = judge(number, words, code, out, err, clock() - began, (0, 1, 2, 3, 75))
        if text is not None:
            caller.tell(json.dumps({"row": "F2", "text": text}))
    return 0


def main():
    """Make the batch."""
    checkout, kind, seed, first, count, folder = sys.argv[1:7]
    sys.path[0] = checkout
    os.chdir(folder)
    import executioner.bootstrap
    problem = executioner.bootstrap.prepare()
    if problem is not None:
        raise SystemExit(problem)
    from executioner.cli import main as command_line
    caller = Caller(folder)
    work = configurations if kind == "configurations" else command_lines
    planned = work(command_line, caller, checkout, seed, int(first), int(count), folder)
    used = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    if used > MEMORY_BYTES:
        caller.tell(json.dumps({"row": "F1" if kind == "configurations" else "F2", "text": "%s..: %d MB of memory" % (first, used >> 20)}))
    caller.tell("done %d %d" % (int(count), planned))
    signal.set_wakeup_fd(-1)
    return 0


if __name__ == "__main__":
    sys.exit(main())
