"""The graph of a pipeline: who waits for whom, in which order, and which part of it was asked for. Pure.

Jobs are known by their position in the file. All walks are iterative (a chain may be 100,000 long) and O(edges).

A dependency may name a group (``jobs/group_ids.py``): then it is on all members. Each group that somebody waits for
has a node of its own behind those of the jobs, so that ten thousand jobs that wait for ten thousand others are
twenty thousand arrows and not a hundred million.
"""
from typing import Dict, Iterable, List, Optional, Sequence, Set, Tuple

from jobs.exceptions import ConfigurationError, DependencyError
from jobs.group_ids import members_by_group
from jobs.models import Job, When

__all__ = ["Graph", "NOT_SELECTED", "SKIPPED_BY_OPTION", "Selection", "find_cycles", "select", "suggestion"]


#: Reasons of jobs that were left out by an option; a resume leaves them out as well.
NOT_SELECTED = "not selected"
SKIPPED_BY_OPTION = "skipped by --skip"


def find_cycles(dependencies: Sequence[Sequence[int]]) -> List[List[int]]:
    """One cycle for each strongly connected part that has one, as positions in the order of running.

    The result of ``[a, b, c]`` reads: b depends on a, c on b, and a on c. Tarjan's algorithm, without recursion
    (R. Tarjan, "Depth-first search and linear graph algorithms", 1972), run only over what Kahn's algorithm leaves.
    """
    left = _unsorted(dependencies)
    cycles: List[List[int]] = []
    seen: Set[int] = set()
    for start in left:
        if start in seen:
            continue
        path: List[int] = []
        place: Dict[int, int] = {}
        node: Optional[int] = start
        while node is not None and node not in seen:
            if node in place:
                cycle = path[place[node]:]
                cycle.reverse()
                first = cycle.index(min(cycle))
                cycles.append(cycle[first:] + cycle[:first])
                break
            place[node] = len(path)
            path.append(node)
            # Whatever Kahn leaves has a dependency that Kahn leaves as well, so this walk must close.
            node = next((d for d in dependencies[node] if d in left), None)
        seen.update(path)
    return sorted(cycles)


def _unsorted(dependencies: Sequence[Sequence[int]]) -> Set[int]:
    """Positions that no order can hold: members of cycles and what depends on them."""
    blocked_by = [len(d) for d in dependencies]
    dependents: List[List[int]] = [[] for _ in dependencies]
    for position, needed in enumerate(dependencies):
        for one in needed:
            dependents[one].append(position)
    ready = [position for position, count in enumerate(blocked_by) if not count]
    while ready:
        for position in dependents[ready.pop()]:
            blocked_by[position] -= 1
            if not blocked_by[position]:
                ready.append(position)
    return {position for position, count in enumerate(blocked_by) if count}


class Graph:
    """Positions, arrows and ranks of a list of jobs.

    :raises DependencyError: where a dependency names no job, or the dependencies form a cycle
    """

    def __init__(self, jobs: Sequence[Job]) -> None:
        self.ids = [job.id for job in jobs]
        self.position = {job_id: position for position, job_id in enumerate(self.ids)}
        #: Ids of the groups that are waited for; the node of the first one is ``len(self.ids)``.
        self.groups: List[str] = []
        #: For each node, jobs first: (node waited for, what it must have come to).
        self.dependencies: List[List[Tuple[int, str]]] = [[] for _ in jobs]
        #: For each node: (node that waits, what this one must have come to).
        self.dependents: List[List[Tuple[int, str]]] = [[] for _ in jobs]
        self._members: Optional[Dict[str, List[str]]] = None
        nodes = dict(self.position)
        for position, job in enumerate(jobs):
            for dependency in job.dependencies:
                other = nodes.get(dependency.job)
                if other is None:
                    other = nodes[dependency.job] = self._add_group(dependency.job, job.id)
                self.dependencies[position].append((other, dependency.when))
                self.dependents[other].append((position, dependency.when))
        self._order = self._topological_order()
        #: Positions of jobs in an order in which they could run.
        self.order = [node for node in self._order if node < len(self.ids)] if self.groups else self._order
        self.remaining = self._remaining([1.0] * len(self.ids))

    def _add_group(self, group: str, needed_by: str) -> int:
        members = self.members(group)
        if not members:
            raise DependencyError("job %s: no job has the id %r" % (needed_by, group))
        node = len(self.dependencies)
        self.groups.append(group)
        self.dependencies.append([(member, When.DONE) for member in members])
        self.dependents.append([])
        for member in members:
            self.dependents[member].append((node, When.DONE))
        return node

    def members(self, group: str) -> List[int]:
        """Positions of the jobs that the id of a group means; empty where there is no such group."""
        if self._members is None:
            self._members = members_by_group(self.ids)
        return [self.position[member] for member in self._members.get(group, ())]

    def named(self, job_id: str) -> List[int]:
        """Positions of the jobs that an id means: one, or the members of a group; empty where it means none."""
        return [self.position[job_id]] if job_id in self.position else self.members(job_id)

    def _jobs_of(self, nodes: Iterable[int]) -> List[int]:
        return [node for node in nodes if node < len(self.ids)]

    def _topological_order(self) -> List[int]:
        blocked_by = [len(arrows) for arrows in self.dependencies]
        order = [node for node, count in enumerate(blocked_by) if not count]
        for node in order:
            for other, _ in self.dependents[node]:
                blocked_by[other] -= 1
                if not blocked_by[other]:
                    order.append(other)
        if len(order) < len(self.dependencies):
            cycle = self._jobs_of(find_cycles([[other for other, _ in arrows] for arrows in self.dependencies])[0])
            raise DependencyError("dependency cycle: " + " -> ".join(
                self.ids[position] for position in cycle + cycle[:1]))
        return order

    def _remaining(self, durations_s: Sequence[float]) -> List[float]:
        """Longest path from the start of each job to the end of the graph; a group takes no time of its own."""
        durations_s = list(durations_s) + [0.0] * len(self.groups)
        remaining = [0.0] * len(durations_s)
        for position in reversed(self._order):
            longest = 0.0
            for other, _ in self.dependents[position]:
                if remaining[other] > longest:
                    longest = remaining[other]
            remaining[position] = longest + durations_s[position]
        return remaining

    def weigh(self, durations_s: Dict[str, float], default_s: float) -> None:
        """Measure paths by the usual durations of the jobs instead of by their number."""
        self.remaining = self._remaining([durations_s.get(job_id, default_s) for job_id in self.ids])

    def critical_path(self) -> List[int]:
        """The longest path through the graph, by ``remaining``."""
        path: List[int] = []
        candidates = [p for p, arrows in enumerate(self.dependencies) if not arrows]
        while candidates:
            longest = max(candidates, key=lambda p: (self.remaining[p], -p))
            path.append(longest)
            candidates = [other for other, _ in self.dependents[longest]]
        return self._jobs_of(path)

    def levels(self) -> List[List[int]]:
        """Jobs by how many steps lie before them at least; jobs of one level never wait for each other."""
        jobs = len(self.ids)
        depth = [0] * len(self.dependencies)
        for node in self._order:
            for other, _ in self.dependents[node]:
                depth[other] = max(depth[other], depth[node] + (1 if other < jobs else 0))
        levels: List[List[int]] = [[] for _ in range(max(depth) + 1 if depth else 0)]
        for position in range(jobs):
            levels[depth[position]].append(position)
        return levels

    def downstream(self, starts: Iterable[int]) -> Set[int]:
        """The given positions and everything that depends on them, however far."""
        return set(self._jobs_of(_reach(starts, self.dependents)))

    def upstream(self, starts: Iterable[int]) -> Set[int]:
        """The given positions and everything that they depend on, however far."""
        return set(self._jobs_of(_reach(starts, self.dependencies)))


def _reach(starts: Iterable[int], arrows: Sequence[Sequence[Tuple[int, str]]]) -> Set[int]:
    reached = set(starts)
    stack = list(reached)
    while stack:
        for other, _ in arrows[stack.pop()]:
            if other not in reached:
                reached.add(other)
                stack.append(other)
    return reached


class Selection:
    """Which part of a graph a run is to run: ``chosen`` runs, ``skipped`` counts as SKIPPED, the rest as met."""

    def __init__(self, chosen: Set[int], skipped: Set[int]) -> None:
        self.chosen = chosen
        self.skipped = skipped


def suggestion(word: str, known: Iterable[str]) -> str:
    """`` (did you mean "x"?)``, or nothing where no known word is close."""
    import difflib

    close = difflib.get_close_matches(word, list(known), 1)
    return ' (did you mean "%s"?)' % close[0] if close else ""


def select(jobs: Sequence[Job], graph: Graph, only: Sequence[str] = (), start_from: Sequence[str] = (),
           until: Sequence[str] = (), downstream_of: Sequence[str] = (), skip: Sequence[str] = (),
           tags: Sequence[str] = ()) -> Selection:
    """The part of the graph that the options ask for. The id of a group means all its members.

    ``only``: just these. ``start_from``: these and all that depends on them. ``until``: these and all that they depend
    on. ``downstream_of``: what depends on these, without themselves. ``tags``: jobs that carry one of them. Several
    kinds together mean what all of them hold. ``skip``: taken out, and counted as SKIPPED.

    :raises ConfigurationError: where an id or a tag is unknown, or nothing is left to run
    """
    def positions(option: str, ids: Sequence[str]) -> Set[int]:
        found = set()
        for job_id in ids:
            positions_of = graph.named(job_id)
            if not positions_of:
                raise ConfigurationError('%s: no job has the id "%s"%s' % (
                    option, job_id, suggestion(job_id, graph.ids)), "E121")
            found.update(positions_of)
        return found

    chosen = set(range(len(jobs)))
    if only:
        chosen &= positions("--only", only)
    if start_from:
        chosen &= graph.downstream(positions("--from", start_from))
    if until:
        chosen &= graph.upstream(positions("--until", until))
    if downstream_of:
        heads = positions("--downstream-of", downstream_of)
        chosen &= graph.downstream(heads) - heads
    if tags:
        known = {tag for job in jobs for tag in job.tags}
        for tag in tags:
            if tag not in known:
                raise ConfigurationError('--tag: no job has the tag "%s"%s' % (tag, suggestion(tag, known)), "E121")
        chosen &= {position for position, job in enumerate(jobs) if not set(tags).isdisjoint(job.tags)}
    skipped = positions("--skip", skip)
    chosen -= skipped
    if not chosen:
        raise ConfigurationError("nothing to run: the options select no job", "E121")
    return Selection(chosen, skipped)
