"""The fault suite: attacks the real command and counts what must not happen.

    python3 tests/faults/run.py                          every row at the quick level
    python3 tests/faults/run.py --level full --minutes 120
    python3 tests/faults/run.py --only K1,W1 --seed 7 -v
    python3 tests/faults/run.py --sabotage               each patch of sabotage/ must make its row fail
    python3 tests/faults/run.py --merge faults.json      put the rows of a run that was made elsewhere into the document
    python3 tests/faults/run.py --list

Each row runs in a process of its own, with its share of the minutes. ``faults.json`` gets everything; ``docs/proven.md`` is
made from it: a row there is replaced only by a run of the same level or a higher one. The last line counts the rows.
Only the standard library is needed, and no network.
"""
import argparse
import collections
import glob
import importlib
import json
import os
import platform
import shutil
import signal
import sqlite3
import subprocess
import sys
import tempfile
import threading
import time
import traceback

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, HERE)

import faultlib  # noqa: E402

#: The modules that hold the rows, in the order of the table.
MODULES = ("kills", "escapes", "signals", "outputs", "timeouts", "overlap", "storage", "shortages", "nth_call",
           "power", "nights", "fuzz", "clocks", "rotation", "endurance", "identity", "herd", "writers", "network",
           "published")
LEVELS = ("quick", "full")
#: Minutes in all where nobody says so.
MINUTES = {"quick": 5.5, "full": 120.0}
#: What a row gets beyond its share before it counts as hanging, in seconds.
OVERTIME_S = 150.0
BEGIN, END = "<!-- rows -->", "<!-- end of rows -->"


def all_rows():
    """Every row of every module, by id, in order."""
    rows = collections.OrderedDict()
    for name in MODULES:
        if os.path.exists(os.path.join(HERE, name + ".py")):
            for row in importlib.import_module(name).ROWS:
                rows[row.ident] = row
    return rows


def chosen(rows, only):
    """The rows that were asked for.

    :raises SystemExit: where one is not known
    """
    if not only:
        return list(rows.values())
    names = [name.strip().upper() for part in only for name in part.split(",") if name.strip()]
    unknown = [name for name in names if name not in rows]
    if unknown:
        raise SystemExit("no row %s; known: %s" % (", ".join(unknown), " ".join(rows)))
    return [rows[name] for name in names]


# ---- one row, in its own process -------------------------------------------------------------------------------------

def run_row(options):
    """Make the trials of one row and write its result; the body of the process of a row."""
    row = all_rows()[options.row]
    # Every row runs its commands under this, so that it knows what it started.
    wanted = options.trials or (row.full if options.level == "full" else row.quick)
    product = faultlib.Product(options.python, options.checkout)
    trials = faultlib.Trials(row.ident, options.level, wanted, options.seed, time.monotonic() + options.seconds, product,
                             options.verbose,
                             options.lanes if options.lanes and not row.alone else row.lanes)
    trials.stops_early = options.stop_early
    if options.trial is not None:
        trials.first, trials.replays, trials.lanes = options.trial, True, 1
    # What is killed because it hangs has still told what it had found.
    over = threading.Event()
    writer = threading.Thread(target=keep_writing, args=(options.out, trials, over))
    writer.start()
    not_run = ""
    try:
        row.function(trials)
    except faultlib.NotRun as error:
        not_run = str(error)
    except Exception:
        trials.error()
    finally:
        over.set()
        writer.join()
        trials.close()
    write_result(options.out, trials, not_run)
    return 0


def keep_writing(path, trials, over):
    """Write what a row has found so far, every few seconds."""
    while not over.wait(2.0):
        write_result(path, trials)


def write_result(path, trials, not_run=""):
    """What a row has found, as one file that is whole at any moment."""
    with open(path + ".new", "w") as out:
        json.dump(trials.so_far(not_run), out)
    os.rename(path + ".new", path)


class Running:
    """A row whose process runs."""

    def __init__(self, row, options, seconds, folder, checkout=None):
        """
        :param checkout: a copy that was broken: one violation is enough
        """
        self.row = row
        self.out = os.path.join(folder, row.ident + ".json")
        self.began = time.monotonic()
        self.deadline = self.began + seconds + OVERTIME_S
        command = [sys.executable, os.path.abspath(__file__), "--row", row.ident, "--level", options.level, "--seed",
                   str(options.seed), "--seconds", "%.1f" % seconds, "--out", self.out, "--python", options.python,
                   "--checkout", checkout or options.checkout]
        if checkout:
            command.append("--stop-early")
        if options.trials:
            command += ["--trials", str(options.trials)]
        if options.trial is not None:
            command += ["--trial", str(options.trial)]
        if options.lanes:
            command += ["--lanes", str(options.lanes)]
        if options.verbose:
            command.append("-v")
        self.token = "%d.%s" % (os.getpid(), row.ident)
        silent = subprocess.DEVNULL if checkout else None
        self.child = subprocess.Popen(command, start_new_session=True, stdin=subprocess.DEVNULL, stdout=silent, stderr=silent,
                                      env=dict(os.environ, FAULTS_SUITE=self.token))

    def end(self):
        """Kill it, and all that it started."""
        if self.child.poll() is None:
            os.killpg(self.child.pid, signal.SIGKILL)
            self.child.wait()
        faultlib.clear_away(self.token, "FAULTS_SUITE")

    def left_behind(self):
        """The command lines of what the row has left; what tidies up after a run is given time to end by itself."""
        return [b" ".join(faultlib.cmdline_of(pid)).decode("utf-8", "replace")
                for pid in faultlib.left_of(self.token, "FAULTS_SUITE")]

    def result(self):
        """What came of it; None while it runs. What the suite fails at here is this row's failure, and no other's."""
        try:
            code = self.child.poll()
            if code is None:
                if time.monotonic() < self.deadline:
                    return None
                self.end()
            left = self.left_behind() if code == 0 else []
            faultlib.clear_away(self.token, "FAULTS_SUITE")
            result = read_result(self.out, self.row.ident)
            if code != 0:
                why = "hangs: killed after %.0f s" % (time.monotonic() - self.began) if code is None else "ended with %s" % code
                result["broken"] = (result["broken"] + "\n" + why).strip()
            elif left and not result["broken"]:
                result["broken"] = "left when the row was over: %s" % "; ".join(left)
            return result
        except Exception:
            result = read_result("", self.row.ident)
            result["broken"] = traceback.format_exc()
            return result


def read_result(path, ident):
    """What a row has written, which may be the state of some seconds before its end; no trials where there is nothing."""
    try:
        with open(path) as content:
            return json.load(content, object_pairs_hook=collections.OrderedDict)
    except (OSError, ValueError):
        return collections.OrderedDict(id=ident, trials=0, wanted=0, violations=0, first=[], not_run="", broken="",
                                       figures={}, seconds=0.0)


def run_rows(rows, options):
    """Run the rows, some side by side; their results in order."""
    folder = tempfile.mkdtemp(prefix="faults-run-")
    budget = options.minutes * 60.0
    # Two cores: rows that may be disturbed run side by side, those that measure times run alone.
    lanes = max(1, options.jobs)
    weight = sum(row.share if row.alone else row.share / lanes for row in rows)
    results = {}
    waiting = list(rows)
    running = []
    try:
        while waiting or running:
            while waiting and len(running) < lanes:
                if running and (waiting[0].alone or any(one.row.alone for one in running)):
                    break
                row = waiting.pop(0)
                running.append(Running(row, options, max(3.0, budget * row.share / weight), folder))
            for one in list(running):
                result = one.result()
                if result is not None:
                    running.remove(one)
                    results[one.row.ident] = result
                    tell(one.row, result)
            time.sleep(0.02)
    finally:
        for one in running:
            one.end()
        shutil.rmtree(folder, ignore_errors=True)
    return [results[row.ident] for row in rows]


def state_of(result):
    """passed, failed or not run."""
    if result["broken"] or result["violations"]:
        return "failed"
    if result["not_run"]:
        return "not run"
    return "passed" if result["trials"] else "failed"


def tell(row, result):
    """One line about a row, as soon as it is over."""
    state = state_of(result)
    if state == "not run":
        text = "not run: " + result["not_run"]
    else:
        bound = faultlib.clopper_pearson(result["violations"], result["trials"])
        text = "%d %s, %d violations, 95 %% bound %s" % (result["trials"], row.unit, result["violations"], percent(bound))
        figures = ", ".join("%s %s" % (value, name) for name, value in result["figures"].items())
        text += (" (%s)" % figures if figures else "") + ", %.0f s" % result["seconds"]
    print("%-7s %-4s %s" % (state, row.ident, text))
    for line in result["first"][:5]:
        print("             %s" % line)
    if result["broken"]:
        print("             harness error: %s" % result["broken"].strip().replace("\n", "\n             "))
    if not result["trials"] and not result["broken"] and not result["not_run"]:
        print("             no trial was made in its time")
    sys.stdout.flush()


def percent(bound):
    """A probability for people."""
    value = bound * 100
    return "%.0f %%" % value if value >= 10 else "%.2g %%" % value


# ---- what was found, on paper ----------------------------------------------------------------------------------------

def file_system(path):
    """The type of the file system that a path lies on."""
    path = os.path.realpath(path)
    best, kind = "", "unknown"
    try:
        with open("/proc/self/mountinfo", encoding="utf-8", errors="replace") as mounts:
            for line in mounts:
                words = line.split()
                point, name = words[4], words[words.index("-") + 1]
                if (path == point or path.startswith(point.rstrip("/") + "/")) and len(point) >= len(best):
                    best, kind = point, name
    except OSError:
        pass
    return kind


def circumstances(options):
    """On what the figures were found."""
    def ask(*command):
        try:
            done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, cwd=options.checkout)
            return done.stdout.decode("utf-8", "replace").strip()
        except OSError:
            return ""

    told = ask(options.python, "-I", "-c", "import sys, sqlite3; print(sys.version.split()[0], sqlite3.sqlite_version)").split()
    return collections.OrderedDict(
        commit=ask("git", "rev-parse", "--short", "HEAD") or "unknown",
        date=time.strftime("%Y-%m-%d", time.gmtime()), kernel=platform.release(),
        cpus=os.cpu_count(), file_system=file_system(tempfile.gettempdir()), python=told[0] if told else "unknown",
        sqlite=told[1] if len(told) > 1 else sqlite3.sqlite_version, seed=options.seed, level=options.level)


HEADER = """# Proven under fire

Made by `python3 tests/faults/run.py`, never by hand. Each row attacks the real command and is judged from outside: by what
the jobs wrote down themselves, by `/proc`, by the bytes of files; the history is only compared with that. "95 % bound" is
the highest probability of a violation that the trials leave room for (Clopper-Pearson, one-sided). Every trial can be made
again from its seed: `python3 tests/faults/run.py --only ID --seed S --trial N -v`.

`make faults` runs the quick level, `make faults-full` the full one; a row here is replaced only by a run of its own level or
a higher one. `--sabotage` breaks the product in known ways and sees that the rows notice.

"""
FOOTER = """
## Not covered

- A program that runs with another user's rights (set-uid) and work that is handed to another daemon (`at`, `systemd-run`,
  `docker run`): nobody can reach these; what is found is named in the record.
- Disks that lie about a flush. The power-cut simulator assumes that what was acknowledged by `fsync` is there.
- Outcomes while both the runner and the keeper are dead: such a job is `LOST`, and is run again only where it says so.
- Systems without `/proc` and subreapers (macOS, BSD): these rows run on Linux only.
"""


def write_proven(path, rows, results, facts):
    """Bring ``docs/proven.md`` up to date: rows of a lower level never replace those of a higher one."""
    lines = kept_lines(path)
    for row, result in zip(rows, results):
        state = state_of(result)
        old = lines.get(row.ident)
        if old is not None and level_of(old) > LEVELS.index(facts["level"]):
            continue
        if state == "not run":
            if old is not None:
                continue
            text = "not run: %s" % result["not_run"]
            figures = bound = ""
        else:
            text = "%d %s" % (result["trials"], row.unit)
            bound = percent(faultlib.clopper_pearson(result["violations"], result["trials"]))
            figures = ", ".join("%s %s" % (value, name) for name, value in result["figures"].items())
        found = "**%d**" % result["violations"] if not result["broken"] else "**harness error**"
        lines[row.ident] = "| %s | %s | %s | %s | %s | %s | %s | %s |" % (
            row.ident, row.invariant, row.inject, text, found if state != "not run" else "", bound, figures,
            "%s, %s, Python %s, SQLite %s, Linux %s on %s, %s cpus, seed %s, %s" % (
                facts["level"], facts["commit"], facts["python"], facts["sqlite"], facts["kernel"], facts["file_system"],
                facts["cpus"], facts["seed"], facts["date"]))
    order = list(all_rows())
    body = "\n".join(lines[ident] for ident in order if ident in lines)
    teeth = teeth_text(path)
    with open(path, "w") as out:
        out.write(HEADER + BEGIN + "\n\n| id | what must hold | under | trials | violations | 95 % bound | also | run |\n"
                  "| --- | --- | --- | --- | --- | --- | --- | --- |\n" + body + "\n\n" + END + "\n" + teeth
                  + FOOTER)


def kept_lines(path):
    """The rows that stand in the document, by id."""
    lines = collections.OrderedDict()
    for line in (read(path).partition(BEGIN)[2].partition(END)[0]).split("\n"):
        if line.startswith("| ") and not line.startswith(("| id", "| ---")):
            lines[line.split("|")[1].strip()] = line
    return lines


def level_of(line):
    """The level that a row of the document was run at."""
    last = line.rstrip(" |").rpartition("|")[2].strip()
    return LEVELS.index("full") if last.startswith("full") else LEVELS.index("quick")


TEETH_BEGIN, TEETH_END = "<!-- teeth -->", "<!-- end of teeth -->"


def teeth_text(path):
    """What stands in the document about the sabotages."""
    inside = read(path).partition(TEETH_BEGIN)[2].partition(TEETH_END)[0]
    return "\n%s%s%s\n" % (TEETH_BEGIN, inside, TEETH_END) if inside else ""


def write_teeth(path, caught, facts):
    """Put the outcome of sabotages into the document; what it says of others stays, as long as there are such."""
    text = read(path)
    before, _, rest = text.partition(TEETH_BEGIN)
    inside, _, after = rest.partition(TEETH_END)
    if not rest:
        before, after = text.partition(FOOTER)[0] + "\n", "\n" + FOOTER
    lines = collections.OrderedDict()
    for line in inside.split("\n"):
        if line.startswith("| ") and not line.startswith(("| sabotage", "| ---")):
            lines[line.split("|")[1].strip()] = line
    for name, ident, good, _ in caught:
        lines[name] = "| %s | %s | %s | %s, %s |" % (name, ident, "yes" if good else "**no**", facts["commit"], facts["date"])
    known = [os.path.basename(one)[:-len(".patch")] for one, _ in sabotages([])]
    shown = [lines[name] for name in known if name in lines]
    table = ["", "## Teeth", "", "%d of %d sabotages caught." % (sum(1 for line in shown if "| yes |" in line), len(shown)), "",
             "| sabotage | row | caught | at |", "| --- | --- | --- | --- |"] + shown
    with open(path, "w") as out:
        out.write(before + TEETH_BEGIN + "\n".join(table) + "\n\n" + TEETH_END + after)


def read(path):
    """A text, empty where there is none."""
    try:
        with open(path, encoding="utf-8") as content:
            return content.read()
    except OSError:
        return ""


# ---- sabotage --------------------------------------------------------------------------------------------------------

def sabotages(only):
    """Each patch: its path, and the row that must notice. The name begins with the row's id."""
    found = []
    for path in sorted(glob.glob(os.path.join(HERE, "sabotage", "*.patch"))):
        ident = os.path.basename(path).partition("-")[0].upper()
        if not only or ident in [name.strip().upper() for part in only for name in part.split(",")]:
            found.append((path, ident))
    return found


def copy_of(checkout, folder):
    """A copy of a checkout that may be broken."""
    copy = os.path.join(folder, "checkout")
    shutil.copytree(checkout, copy, ignore=shutil.ignore_patterns(
        ".git", ".venv*", "__pycache__", "node_modules", ".mypy_cache", ".hypothesis", "tests", "build", "dist"))
    return copy


def one_row(options, row, checkout, seconds, folder):
    """Run one row on a checkout that may be broken, until its first violation; its result."""
    running = Running(row, options, seconds, folder, checkout)
    try:
        return faultlib.wait_until(running.result, seconds + 2 * OVERTIME_S, 0.05)
    finally:
        running.end()


def sabotage(options, path, row, folder, controls):
    """Break a copy in one way: whether its row noticed (None where it cannot be run here), and what it said."""
    if row.ident not in controls:
        controls[row.ident] = one_row(options, row, copy_of(options.checkout, folder), options.sabotage_seconds / 2, folder)
        shutil.rmtree(os.path.join(folder, "checkout"))
    control = controls[row.ident]
    if control["not_run"]:
        return None, "not run: " + control["not_run"]
    if state_of(control) != "passed":
        return False, "the row fails without it: %s" % said_of(control)
    copy = copy_of(options.checkout, folder)
    patched = subprocess.run(["patch", "-p1", "-s", "-F0", "-i", path], cwd=copy, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                             stdin=subprocess.DEVNULL)
    if patched.returncode != 0:
        return False, "does not apply: " + patched.stdout.decode("utf-8", "replace").strip().replace("\n", "; ")[:200]
    result = one_row(options, row, copy, options.sabotage_seconds, folder)
    # What the suite itself stumbles over is no catch.
    return result["violations"] > 0, said_of(result)


def said_of(result):
    """The first violation, else the last line of what went wrong, else how much was tried for nothing."""
    return (result["first"] or [result["broken"].strip().split("\n")[-1] or "%d trials, nothing noticed" % result["trials"]])[0]


def run_sabotages(options, rows):
    """Break a copy of the checkout in each known way; each must make its row fail. 1 where one was not noticed."""
    patches = collections.OrderedDict()
    for path, ident in sabotages(options.only):
        patches.setdefault(ident, []).append(path)
    caught = []

    def of_row(ident):
        controls = {}
        for path in patches[ident]:
            name = os.path.basename(path)[:-len(".patch")]
            folder = tempfile.mkdtemp(prefix="faults-sabotage-")
            try:
                good, why = sabotage(options, path, rows[ident], folder, controls)
            except Exception:
                good, why = False, "harness error: " + traceback.format_exc().strip().split("\n")[-1]
            finally:
                shutil.rmtree(folder, ignore_errors=True)
            print("%-10s %-4s %-40s %s" % ("not run" if good is None else "caught" if good else "NOT CAUGHT", ident, name,
                                           why.replace("\n", " ")[:150]))
            sys.stdout.flush()
            if good is not None:
                caught.append([name, ident, good, why])

    side_by_side(of_row, [ident for ident in patches if not rows[ident].alone], options.jobs)
    # Those that measure times want the machine for themselves.
    side_by_side(of_row, [ident for ident in patches if rows[ident].alone], 1)
    caught.sort()
    facts = circumstances(options)
    if options.json:
        with open(options.json, "w") as out:
            json.dump(collections.OrderedDict(facts, rows=[], sabotages=caught), out, indent=1)
            out.write("\n")
    if options.proven:
        write_teeth(options.proven, caught, facts)
    good = sum(1 for one in caught if one[2])
    print("%d of %d sabotages caught" % (good, len(caught)))
    return 0 if caught and good == len(caught) else 1


def side_by_side(function, values, lanes):
    """Call a function with each value, in a few threads."""
    waiting = list(values)

    def work():
        while True:
            try:
                value = waiting.pop(0)
            except IndexError:
                return
            function(value)

    workers = [threading.Thread(target=work) for _ in range(max(1, lanes))]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()


# ---- the command -----------------------------------------------------------------------------------------------------

def arguments(argv):
    """What was asked for."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--level", choices=LEVELS, default="quick")
    parser.add_argument("--minutes", type=float, help="time for all rows together (quick 5.5, full 120)")
    parser.add_argument("--seed", default="1", help="of every random choice")
    parser.add_argument("--only", action="append", metavar="ID", help="these rows; repeatable, or with commas")
    parser.add_argument("--skip", default="", metavar="ID", help="not these rows; with commas")
    parser.add_argument("--trials", type=int, help="as many trials a row, instead of the level's number")
    parser.add_argument("--trial", type=int, help="replay this one trial")
    parser.add_argument("--lanes", type=int, help="trials side by side in each row, instead of the row's own number")
    parser.add_argument("--jobs", type=int, default=min(2, os.cpu_count() or 1), help="rows side by side")
    parser.add_argument("--python", default=sys.executable, help="the interpreter that runs the command under test")
    parser.add_argument("--checkout", default=faultlib.ROOT, help="the checkout under test")
    parser.add_argument("--json", default="faults.json", metavar="FILE", help="where everything goes; \"\" = nowhere")
    parser.add_argument("--proven", default=os.path.join(faultlib.ROOT, "docs", "proven.md"), metavar="FILE",
                        help="the document to bring up to date; \"\" = none")
    parser.add_argument("--merge", action="append", metavar="FILE",
                        help="run nothing: bring the document up to date with what an earlier run has left in --json (all of it, or "
                             "the rows of --only); repeatable")
    parser.add_argument("--sabotage", action="store_true", help="see that the rows notice what they should")
    parser.add_argument("--sabotage-seconds", type=float, default=40.0, help="time of a row under sabotage")
    parser.add_argument("--list", action="store_true", help="print the rows and end")
    parser.add_argument("-v", "--verbose", action="store_true")
    parser.add_argument("--row", help=argparse.SUPPRESS)
    parser.add_argument("--seconds", type=float, help=argparse.SUPPRESS)
    parser.add_argument("--out", help=argparse.SUPPRESS)
    parser.add_argument("--stop-early", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args(argv)
    options.checkout = os.path.abspath(options.checkout)
    options.python = shutil.which(options.python) or options.python
    if options.minutes is None:
        options.minutes = MINUTES[options.level]
    return options


def main(argv=None):
    """Run what was asked for; 0 where nothing failed."""
    # The suite may itself have been started by nohup; its rows decide what is ignored.
    signal.signal(signal.SIGHUP, signal.SIG_DFL)
    # A shell that starts us with & ignores this one for us, and a run that is born so rightly goes on ignoring it.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    options = arguments(sys.argv[1:] if argv is None else argv)
    if options.row:
        return run_row(options)
    rows = all_rows()
    if options.list:
        for row in rows.values():
            print("%-4s %s\n     under: %s\n     counted: %s; quick %d, full %d %s; teeth: %s" % (
                row.ident, row.invariant, row.inject, row.count, row.quick, row.full, row.unit, row.teeth))
        return 0
    if options.merge:
        for path in options.merge:
            with open(path) as content:
                facts = json.load(content, object_pairs_hook=collections.OrderedDict)
            wanted = {row.ident for row in chosen(rows, options.only)}
            results = [result for result in facts["rows"] if result["id"] in wanted]
            write_proven(options.proven, [rows[result["id"]] for result in results], results, facts)
            if facts.get("sabotages"):
                write_teeth(options.proven, facts["sabotages"], facts)
        return 0
    if options.sabotage:
        return run_sabotages(options, rows)
    skipped = {name.strip().upper() for name in options.skip.split(",")}
    wanted = [row for row in chosen(rows, options.only) if row.ident not in skipped]
    facts = circumstances(options)
    print("fault suite, level %s, seed %s, %g minutes: commit %s, Python %s, SQLite %s, Linux %s on %s, %s cpus" % (
        options.level, options.seed, options.minutes, facts["commit"], facts["python"], facts["sqlite"], facts["kernel"],
        facts["file_system"], facts["cpus"]))
    sys.stdout.flush()
    results = run_rows(wanted, options)
    if options.json:
        with open(options.json, "w") as out:
            json.dump(collections.OrderedDict(facts, rows=results), out, indent=1)
            out.write("\n")
    replay = options.trial is not None or options.trials
    if options.proven and not replay and os.path.isdir(os.path.dirname(options.proven)):
        write_proven(options.proven, wanted, results, facts)
    states = [state_of(result) for result in results]
    print("%d passed, %d failed, %d skipped" % (states.count("passed"), states.count("failed"), states.count("not run")))
    return 1 if "failed" in states else 0


if __name__ == "__main__":
    sys.exit(main())
