"""What is measured: graphs of jobs, and how each of the programs compared is told the same graph."""
import json
from typing import Dict, List, NamedTuple, Sequence

__all__ = ["Job", "WORKLOADS", "Workload", "executioner_file", "make_file", "ninja_file"]


class Job(NamedTuple):
    """One job: its name, what it waits for, and its command."""

    name: str
    needs: Sequence[str]
    command: str


class Workload(NamedTuple):
    """A graph and how it is run."""

    name: str
    title: str
    jobs: List[Job]
    #: Jobs at once.
    workers: int = 2
    #: Only read and check the graph.
    check_only: bool = False


def independent(count: int, command: str) -> List[Job]:
    """Jobs that wait for nothing."""
    return [Job("j%d" % number, (), command) for number in range(count)]


def chain(count: int, command: str) -> List[Job]:
    """Each job waits for the one before."""
    return [Job("j%d" % number, ("j%d" % (number - 1),) if number else (), command) for number in range(count)]


def layers(depth: int, width: int, command: str) -> List[Job]:
    """Layers of equal width; each job waits for three of the layer before."""
    jobs = []
    for layer in range(depth):
        for place in range(width):
            before = sorted({(place + step) % width for step in (0, 1, 7)}) if layer else []
            jobs.append(Job("l%d_%d" % (layer, place), ["l%d_%d" % (layer - 1, other) for other in before], command))
    return jobs


def wide_graph(count: int, command: str) -> List[Job]:
    """Each job waits for three earlier ones, near and far: 10,000 jobs have 29,994 arrows."""
    jobs = []
    for number in range(count):
        needs = sorted({max(0, number - step) for step in (1, 37, 1009)} if number >= 1009 else
                       {number - step for step in (1, 2, 3) if number >= step})
        jobs.append(Job("j%d" % number, ["j%d" % other for other in needs], command))
    return jobs


def all_workloads() -> Dict[str, Workload]:
    """Every workload by its name."""
    listed = [
        Workload("one", "one job", independent(1, "true")),
        Workload("true1000", "1,000 independent jobs: true", independent(1000, "true")),
        Workload("chain300", "a chain of 300: true", chain(300, "true")),
        Workload("layers1000", "10 layers of 100, three dependencies each: true", layers(10, 100, "true")),
        Workload("sleep200", "200 x sleep 0.05, eight at once", independent(200, "sleep 0.05"), workers=8),
        Workload("validate10000", "read and check 10,000 jobs with 30,000 dependencies", wide_graph(10000, "true"),
                 check_only=True),
    ]
    return {workload.name: workload for workload in listed}


WORKLOADS = all_workloads()


def executioner_file(workload: Workload) -> str:
    """The configuration of the workload."""
    jobs = [dict({"id": job.name, "command": job.command}, **({"dependencies": list(job.needs)} if job.needs else {}))
            for job in workload.jobs]
    return json.dumps({"application_name": workload.name, "parallel": True, "max_workers": workload.workers,
                       "jobs": jobs}, indent=1)


def ninja_file(workload: Workload) -> str:
    """A build file whose targets never come to exist, so that each is made in each run."""
    lines = ["rule run", "  command = $do"]
    for job in workload.jobs:
        lines += ["build %s: run %s" % (job.name, " ".join(job.needs)), "  do = " + job.command]
    return "\n".join(lines) + "\n"


def make_file(workload: Workload) -> str:
    """A makefile of phony targets."""
    names = " ".join(job.name for job in workload.jobs)
    lines = [".PHONY: all " + names, "all: " + names]
    for job in workload.jobs:
        lines += ["%s: %s" % (job.name, " ".join(job.needs)), "\t@" + job.command]
    return "\n".join(lines) + "\n"
