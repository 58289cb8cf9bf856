"""P5, P6, P7: output is kept byte for byte, whatever it is, up to its cap."""
import glob
import hashlib
import json
import os
import signal
import sys
import time

import faultlib
from faultlib import History, Row

__all__ = ["ROWS"]

#: Writes bytes made from a seed: WRITER SEED STDOUT_BYTES STDERR_BYTES HOW.
WRITER = r"""
import os, random, sys
seed, sizes, how = sys.argv[1], [int(sys.argv[2]), int(sys.argv[3])], sys.argv[4]
rnd = random.Random(seed)
left = list(sizes)
while any(left):
    fd = rnd.choice([n for n in (0, 1) if left[n]])
    count = min(left[fd], rnd.choice((1, 7, 511, 4096, 65536)) if how == "interleaved" else 1 << 20)
    data = bytes(bytearray(rnd.getrandbits(8) for _ in range(min(count, 4096)))) * (count // 4096 + 1)
    data = data[:count]
    while data:
        data = data[os.write(fd + 1, data):]
    left[fd] -= count
os._exit(0)
"""
#: The same stream of bytes, hashed instead of written.
EXPECTED = WRITER.replace("    while data:\n        data = data[os.write(fd + 1, data):]\n", "    sums[fd].update(data)\n")


def expected(seed, sizes, how):
    """The hashes of what the writer writes."""
    import random
    rnd = random.Random(seed)
    sums = [hashlib.sha256(), hashlib.sha256()]
    left = list(sizes)
    while any(left):
        fd = rnd.choice([n for n in (0, 1) if left[n]])
        count = min(left[fd], rnd.choice((1, 7, 511, 4096, 65536)) if how == "interleaved" else 1 << 20)
        data = bytes(bytearray(rnd.getrandbits(8) for _ in range(min(count, 4096)))) * (count // 4096 + 1)
        sums[fd].update(data[:count])
        left[fd] -= count
    return [one.hexdigest() for one in sums]


def p5(trials):
    trials.make(lambda number: kept_exactly(trials, number))


def kept_exactly(trials, number):
    rnd = trials.random(number)
    folder = trials.folder()
    home = os.path.join(folder, "home")
    jobs, truths = [], {}
    largest = (0, 1, 511, 4096, 65537, 300000, 3000000) + ((52428800,) if trials.full and number % 20 == 0 else ())
    for position in range(20):
        seed, how = "%s-%s-%d" % (trials.seed, number, position), rnd.choice(("interleaved", "burst"))
        sizes = [rnd.choice(largest), rnd.choice(largest[:6])]
        if how == "interleaved":
            sizes = [min(size, 300000) for size in sizes]
        jobs.append({"id": "w%d" % position, "command": [sys.executable, "-I", "-S", "-c", WRITER, seed,
                                                         str(sizes[0]), str(sizes[1]), how]})
        truths["w%d" % position] = (sizes, seed, how)
    config = faultlib.config_of(folder, jobs, parallel=True, max_workers=4)
    done = trials.product.run("run", config, home=home, timeout_s=120)
    trials.expect(done.code == 0 and not done.traceback, "the run: %s" % done.tail(), number)
    history = History(home)
    attempts = {row.job: row for row in history.attempts}
    for job, (sizes, seed, how) in truths.items():
        for stream, size, wanted in zip(("stdout_path", "stderr_path"), sizes, expected(seed, sizes, how)):
            path = history.output_of(attempts[job], stream) if job in attempts else ""
            try:
                with open(path, "rb") as content:
                    data = content.read()
            except OSError as error:
                trials.violation("%s: %s" % (job, error), number)
                continue
            if len(data) != size or hashlib.sha256(data).hexdigest() != wanted:
                trials.violation("%s %s: %d bytes were written, %d are kept, %s" % (
                    job, stream, size, len(data), "their sum differs" if len(data) == size else how), number)
            trials.add("bytes", size)
    trials.done(len(truths))
    trials.drop(folder)


def odd_bytes(rnd):
    """Output that trips what takes it for text."""
    kind = rnd.randrange(9)
    if kind == 0:
        return bytes(bytearray(range(256))) * 4
    if kind == 1:
        return os.urandom(0) + bytes(bytearray(rnd.getrandbits(8) for _ in range(3000)))
    if kind == 2:
        return "caf\u00e9 \u20ac \U0001f600\n".encode("utf-16")
    if kind == 3:
        return b"\0" * 5000
    if kind == 4:
        return b"no newline " * 20000
    if kind == 5:
        return "\u20ac".encode("utf-8")[:2]
    if kind == 6:
        return b"\x1b[2J\x1b]0;title\x07\x9b31m\xc2\x9b31m \xe2\x80\xae rtl\n"
    if kind == 7:
        return b"\xed\xa0\x80\xed\xb0\x80 \xf4\x90\x80\x80 \xc0\xaf\n" * 10
    return b"\xff" * 70000 + b"\n" + "\u20ac".encode("utf-8") * 30000


def p6(trials):
    trials.make(lambda number: odd_output(trials, number))


def odd_output(trials, number):
    rnd = trials.random(number)
    folder = trials.folder()
    home = os.path.join(folder, "home")
    jobs, truths = [], {}
    for position in range(15):
        data = odd_bytes(rnd)
        source = os.path.join(folder, "o%d" % position)
        with open(source, "wb") as out:
            out.write(data)
        fails = rnd.random() < 0.5
        jobs.append({"id": "o%d" % position, "command": "cat %s; cat %s >&2; exit %d" % (source, source, fails)})
        truths["o%d" % position] = data
    config = faultlib.config_of(folder, jobs, parallel=True, max_workers=4, continue_on_error=True)
    environment = trials.product.environment(home, None, LANG=rnd.choice(("C", "POSIX", "C.UTF-8", "xx_YY")), LC_ALL="")
    for words in (("run", config), ("run", config, "--json"), ("show", "last"), ("show", "last", "--json"),
                  ("logs", "last", rnd.choice(list(truths)), "--stdout"), ("logs", "last")):
        done = trials.product.run(*words, environment=environment, timeout_s=60)
        what = " ".join(words[:1] + words[2:])
        trials.expect(not done.traceback, "%s: %s" % (what, done.tail()), number)
        trials.expect(done.code in (0, 1) or words == ("logs", "last") and done.code == 2, "%s: %s" % (
            what, done.tail()), number)
        if words[0] == "logs" and len(words) > 2:
            # Not text of ours: the bytes as they were.
            trials.expect(truths[words[2]] in done.out, "logs %s: %d bytes were written, %d are shown" % (
                words[2], len(truths[words[2]]), len(done.out)), number)
        for name, stream in (("stdout", done.out), ("stderr", done.err)):
            if words[0] == "logs" and name == "stdout":
                continue
            try:
                text = stream.decode("utf-8")
                if "--json" in words and name == "stdout":
                    json.loads(text)
            except ValueError as error:
                trials.violation("%s: %s of it: %s" % (what, name, error), number)
    history = History(home)
    for row in history.attempts:
        for stream in ("stdout_path", "stderr_path"):
            with open(history.output_of(row, stream), "rb") as content:
                trials.expect(content.read() == truths[row.job], "%s: %s differs" % (row.job, stream), number)
    trials.done(len(truths))
    trials.drop(folder)


def p7(trials):
    """Floods: each ends at its cap or soon after, the others go on, and our processes do not grow."""
    trials.make(lambda number: floods(trials, number))


def floods(trials, number):
    rnd = trials.random(number)
    folder = trials.folder()
    home = os.path.join(folder, "home")
    cap = rnd.choice((1 << 20, 8 << 20, 32 << 20))
    flooding = 6
    jobs = [{"id": "flood%d" % one, "limits": {"output": cap}, "stop_grace": 0.2,
             "command": rnd.choice(("yes", "yes >&2", "line=$(printf %0500d 0); while :; do echo $line; done",
                                    "yes 1>&2 & yes"))}
            for one in range(flooding)]
    jobs.append({"id": "small", "command": ["sh", "-c", "echo fine; sleep 0.5; echo fine"], "limits": {"output": cap}})
    config = faultlib.config_of(folder, jobs, parallel=True, max_workers=8, continue_on_error=True, default_timeout=30)
    faultlib.need_keys(trials.product, config, "limits")
    child = trials.product.start(["run", config], home=home)
    most, first = {}, {}
    deadline = time.monotonic() + 60
    while child.poll() is None and time.monotonic() < deadline:
        for name, pid in (("runner", child.pid), ("keeper", faultlib.keeper_of(child.pid))):
            process = faultlib.stat_of(pid) if pid else None
            if process is not None and process.rss and (name != "runner" or pid == child.pid):
                if name == "keeper" and glob.glob(os.path.join(home, "logs", "*", "*.out")):
                    # Before its first job it is still coming up.
                    first.setdefault(name, process.rss)
                most[name] = max(most.get(name, 0), process.rss)
        time.sleep(0.02)
    if child.poll() is None:
        trials.violation("the run does not end", number)
        os.kill(child.pid, signal.SIGTERM)
        child.wait()
    history = History(home)
    rows = history.of(history.last().run_id) if history.last() else {}
    for row in history.attempts:
        size = sum(os.path.getsize(history.output_of(row, stream)) for stream in ("stdout_path", "stderr_path"))
        trials.add("bytes", size)
        if row.job == "small":
            trials.expect(rows["small"].status == "SUCCESS", "a job beside the floods is %s" % rows["small"].status,
                          number)
        else:
            trials.most("bytes over the cap at most", max(0, size - cap))
            trials.expect(rows[row.job].status == "FAILED" and "output" in rows[row.job].reason.lower(),
                          "%s is %s (%s)" % (row.job, rows[row.job].status, rows[row.job].reason), number)
            trials.expect(size >= cap, "%s was stopped at %d bytes, its cap is %d" % (row.job, size, cap), number)
            trials.expect(size <= cap + (64 << 10), "%s: %d bytes were kept, the cap is %d" % (row.job, size, cap),
                          number)
    for name, rss in most.items():
        trials.most("bytes of memory of the %s at most" % name, rss)
        trials.expect(rss - first.get(name, rss) < 5 << 20, "the %s grew by %d bytes" % (
            name, rss - first.get(name, rss)), number)
    trials.expect(len(history.attempts) == flooding + 1, "%d attempts are in the history" % len(history.attempts), number)
    trials.done(flooding)
    trials.drop(folder)


ROWS = [
    Row("P5", "what a job writes is kept byte for byte", "0 bytes to 50 MB, bursts just before the end, both streams "
        "interleaved, no final newline", "SHA-256 of what was written and of what is kept", 100, 5000,
        "the files are opened without O_APPEND", p5, 1.0, unit="outputs", lanes=2),
    Row("P6", "no output is undecodable: commands speak valid UTF-8 and JSON, without a traceback",
        "all byte values, UTF-16, NUL, broken UTF-8, escape sequences, long lines; locales C and unknown",
        "bytes, decoding and parsing of what the commands say", 90, 10000, "output read as strict text", p6, 1.2,
        unit="outputs", lanes=2),
    Row("P7", "a flood is stopped at its cap, its neighbours go on, our processes do not grow", "yes(1) and others, six at once",
        "sizes of files, VmRSS from /proc", 6, 600, "no cap", p7, 0.8, unit="floods"),
]
