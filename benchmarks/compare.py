"""Measures Executioner beside ninja and make on the same graphs of jobs, in turns, and prints medians and ratios.

    python3 benchmarks/compare.py                                     every workload, five rounds
    python3 benchmarks/compare.py true1000 chain300 --runs 11         two of them, more rounds
    python3 benchmarks/compare.py --python python3.6 --json out.json  ours on another Python; every figure as JSON
    python3 benchmarks/compare.py --also 'old=python3 /other/executioner --home {folder}/home run {file}'

How to read what it prints: benchmarks/README.md.
"""
import argparse
import json
import os
import platform
import shlex
import shutil
import statistics
import subprocess
import sys
import tempfile
from typing import Callable, Dict, List, NamedTuple, Optional, Sequence

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
sys.path.insert(0, ROOT)

from benchmarks.measuring import Cost, cost_of, peak_bytes_of  # noqa: E402
from benchmarks.workloads import WORKLOADS, Workload, executioner_file, make_file, ninja_file  # noqa: E402

OURS = "executioner"


class Peer(NamedTuple):
    """A program that is compared: the name of its file, what stands in it, and the command for a workload."""

    name: str
    file_name: str
    content: Callable[[Workload], str]
    command: Callable[[Workload, str], List[str]]


def ours(name: str, words: Sequence[str]) -> Peer:
    """Executioner, started by these words."""

    def command(workload: Workload, folder: str) -> List[str]:
        home = ["--home", os.path.join(folder, "home")]
        if workload.check_only:
            return list(words) + home + ["validate", "jobs.json"]
        return list(words) + home + ["run", "jobs.json", "--workers", str(workload.workers), "--quiet"]

    return Peer(name, "jobs.json", executioner_file, command)


def also(text: str) -> Peer:
    """A further command from the command line: ``NAME=COMMAND`` with {file}, {folder} and {workers}."""
    name, _, template = text.partition("=")

    def command(workload: Workload, folder: str) -> List[str]:
        return [word.format(file="jobs.json", folder=folder, workers=workload.workers)
                for word in shlex.split(template)]

    return Peer(name, "jobs.json", executioner_file, command)


def ninja_command(workload: Workload, folder: str) -> List[str]:
    """``ninja``, or its dry run."""
    return ["ninja", "-j", str(workload.workers)] + (["-n"] if workload.check_only else [])


def make_command(workload: Workload, folder: str) -> List[str]:
    """``make``, or its dry run."""
    return ["make", "-j%d" % workload.workers] + (["-n"] if workload.check_only else [])


class Bench:
    """The rounds of one call: a fresh folder for each run, none of which is deleted before the end."""

    def __init__(self, base: str, environment: Dict[str, str]) -> None:
        self.base = base
        self.environment = environment
        self.count = 0

    def folder(self, peer: Peer, workload: Workload) -> str:
        """A fresh folder with the peer's file in it."""
        self.count += 1
        folder = os.path.join(self.base, "%04d-%s-%s" % (self.count, workload.name, peer.name))
        os.mkdir(folder)
        with open(os.path.join(folder, peer.file_name), "w", encoding="utf-8") as out:
            out.write(peer.content(workload))
        return folder

    def once(self, peer: Peer, workload: Workload) -> Cost:
        """One measured run.

        :raises SystemExit: where the program fails: a figure of a failed run says nothing
        """
        folder = self.folder(peer, workload)
        cost = cost_of(peer.command(workload, folder), folder, self.environment)
        if cost.status != 0:
            raise SystemExit("compare: %s failed on %s (wait status %d); see %s"
                             % (peer.name, workload.name, cost.status, folder))
        return cost

    def peak(self, peer: Peer, workload: Workload) -> Optional[int]:
        """The peak memory of one run, apart from those that are timed."""
        folder = self.folder(peer, workload)
        return peak_bytes_of(peer.command(workload, folder), folder, self.environment)


def measure(bench: Bench, peers: List[Peer], workload: Workload, runs: int) -> Dict[str, List[Cost]]:
    """Rounds in which each peer runs once, each round beginning with another one; a first round warms up."""
    for peer in peers:
        bench.once(peer, workload)
    costs: Dict[str, List[Cost]] = {peer.name: [] for peer in peers}
    for number in range(runs):
        start = number % len(peers)
        for peer in peers[start:] + peers[:start]:
            costs[peer.name].append(bench.once(peer, workload))
    return costs


def ratios(costs: Dict[str, List[Cost]], name: str, base: str) -> List[float]:
    """Wall time against another peer's, round by round: what disturbed both cancels out."""
    return [mine.wall_s / theirs.wall_s for mine, theirs in zip(costs[name], costs[base])]


def row(costs: Dict[str, List[Cost]], name: str, bases: List[str], peak: Optional[int]) -> str:
    """One line of the table."""
    walls = [cost.wall_s for cost in costs[name]]
    cells = ["%-14s" % name, "%9.1f" % (1000 * statistics.median(walls)), "%9.1f" % (1000 * min(walls)),
             "%9.1f" % (1000 * statistics.median([cost.cpu_s for cost in costs[name]])),
             "%8s" % ("-" if peak is None else "%.1f" % (peak / 1048576.0))]
    for base in bases:
        found = ratios(costs, name, base)
        cells.append("%5.2f (%.2f-%.2f)" % (statistics.median(found), min(found), max(found)))
    return "  ".join(cells)


def figures(costs: Dict[str, List[Cost]], name: str, bases: List[str], peak: Optional[int]) -> Dict[str, object]:
    """The same as numbers."""
    return {"wall_s": [round(cost.wall_s, 6) for cost in costs[name]],
            "cpu_s": [round(cost.cpu_s, 6) for cost in costs[name]], "peak_bytes": peak,
            "median_ratio": {base: round(statistics.median(ratios(costs, name, base)), 4) for base in bases}}


def machine(python: str) -> Dict[str, str]:
    """What a figure hangs on."""
    versions = ("import sys, sqlite3; "
                "print('Python %d.%d.%d, SQLite %s' % (sys.version_info[:3] + (sqlite3.sqlite_version,)))")
    told = {"system": platform.platform(), "processors": str(os.cpu_count()),
            "load": " ".join("%.2f" % load for load in os.getloadavg())}
    for name, command in ((OURS, [python, "-c", versions]), ("ninja", ["ninja", "--version"]),
                          ("make", ["make", "--version"])):
        if shutil.which(command[0]):
            told[name] = subprocess.check_output(command).decode("utf-8", "replace").splitlines()[0]
    return told


def main() -> int:
    """Measure what the arguments ask for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("workloads", nargs="*", metavar="WORKLOAD", help="of %s (default: all)" % ", ".join(WORKLOADS))
    parser.add_argument("--runs", type=int, default=5, help="rounds (default: 5)")
    parser.add_argument("--python", default=sys.executable, help="interpreter for Executioner (default: this one)")
    parser.add_argument("--also", action="append", default=[], metavar="NAME=COMMAND", help="a further command")
    parser.add_argument("--folder", help="where the runs happen (default: the temporary folder)")
    parser.add_argument("--json", metavar="FILE", help="write every figure there")
    options = parser.parse_args()
    unknown = [name for name in options.workloads if name not in WORKLOADS]
    if unknown or options.runs < 1:
        parser.error("no workload %s; there are %s" % (", ".join(unknown), ", ".join(WORKLOADS)) if unknown
                     else "--runs must be 1 or more")
    python = shutil.which(options.python)
    if python is None:
        parser.error("%s cannot be run" % options.python)
    environment = dict(os.environ, PYTHONPATH=ROOT)
    peers = [ours(OURS, [os.path.abspath(python), "-m", "executioner"])]
    peers += [peer for peer in (Peer("ninja", "build.ninja", ninja_file, ninja_command),
                                Peer("make", "Makefile", make_file, make_command)) if shutil.which(peer.name)]
    peers += [also(text) for text in options.also]
    bases = [peer.name for peer in peers if peer.name in ("ninja", "make")]
    base = tempfile.mkdtemp(prefix="executioner-bench-", dir=options.folder)
    bench = Bench(base, environment)
    result: Dict[str, object] = {"machine": machine(python), "runs": options.runs}
    for key, value in machine(python).items():
        print("%s: %s" % (key, value))
    for name in options.workloads or list(WORKLOADS):
        workload = WORKLOADS[name]
        able = [peer for peer in peers if not (workload.check_only and peer.name in
                                               [text.partition("=")[0] for text in options.also])]
        costs = measure(bench, able, workload, options.runs)
        peaks = {peer.name: bench.peak(peer, workload) for peer in able}
        print("\n%s: %s, -j%d, %d rounds" % (name, workload.title, workload.workers, options.runs))
        print("  ".join(["%-14s" % "", "median ms", "   min ms", "   cpu ms", "peak MiB"]
                        + ["%-16s" % ("/ " + other) for other in bases]))
        for peer in able:
            print(row(costs, peer.name, bases, peaks[peer.name]))
        sys.stdout.flush()
        result[name] = {peer.name: figures(costs, peer.name, bases, peaks[peer.name]) for peer in able}
    if options.json:
        with open(options.json, "w", encoding="utf-8") as out:
            json.dump(result, out, indent=1, sort_keys=True)
    print("\nThe runs lie in %s; nothing was deleted (see benchmarks/README.md). Remove it when you have done." % base)
    return 0


if __name__ == "__main__":
    sys.exit(main())
