"""Two hosts, two runners, one server: whatever dies at random, no row is lost and none is there twice.

``EXECUTIONER_TEST_CENTRAL_KILLS=200`` makes it long; ``EXECUTIONER_TEST_SEED`` repeats one.
"""
import os
import random
import signal
import subprocess
import sys
import time
from typing import Dict, List

import pytest

from central_case import assert_same_rows, central_rows, copiers, end_copiers, home_rows, with_host
from cli_case import Case
from servers import PostgreSQLServer, Wire, wire_to

KILLS = int(os.environ.get("EXECUTIONER_TEST_CENTRAL_KILLS", "10"))
SEED = int(os.environ.get("EXECUTIONER_TEST_SEED", "0")) or random.randrange(1, 1 << 30)
JOBS = [{"id": "first", "command": "true"}, {"id": "slow", "command": "sleep 0.1", "dependencies": ["first"]},
        {"id": "bad", "command": "exit 1", "max_retries": 1, "retry_delay": 0},
        {"id": "last", "command": "echo A=1 > $EXECUTIONER_OUTPUT", "outputs": ["A"], "dependencies": ["slow"]}]


class Chaos:
    """Two homes with runners, a server behind a wire, and a hand that kills."""

    def __init__(self, case: Case, server: PostgreSQLServer, wire: Wire, rnd: random.Random) -> None:
        self.case, self.server, self.wire, self.rnd = case, server, wire, rnd
        self.homes: Dict[str, str] = {name: case.path("home-" + name) for name in ("alpha", "beta")}
        self.runners: "Dict[str, subprocess.Popen[bytes]]" = {}
        self.syncs: "List[subprocess.Popen[bytes]]" = []
        self.counts: Dict[str, int] = {}

    def start(self, name: str, *words: str) -> "subprocess.Popen[bytes]":
        """A command of a host."""
        command = [sys.executable, "-m", "executioner", "--home", self.homes[name]] + list(words)
        return subprocess.Popen(with_host(name, command) or command, cwd=self.case.folder, env=self.case.environ,
                                stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                                start_new_session=True)

    def keep_busy(self) -> None:
        """Both runners run, and now and then somebody catches up."""
        for name in self.homes:
            if name not in self.runners or self.runners[name].poll() is not None:
                self.runners[name] = self.start(name, "run", "config.json")
        self.syncs = [one for one in self.syncs if one.poll() is None]
        if len(self.syncs) < 2:
            self.syncs.append(self.start(self.rnd.choice(sorted(self.homes)), "db", "sync"))

    def strike(self) -> None:
        """Something dies."""
        what = self.rnd.choice(["runner", "runner", "copier", "copier", "sync", "server", "network", "wire", "wire"])
        self.counts[what] = self.counts.get(what, 0) + 1
        if what == "runner":
            # The group has the runner alone: its keeper goes on, and is a runner's death of its own.
            self.kill(self.runners[self.rnd.choice(sorted(self.runners))])
        elif what == "sync" and self.syncs:
            self.kill(self.rnd.choice(self.syncs))
        elif what == "copier":
            for pid in copiers(self.homes[self.rnd.choice(sorted(self.homes))])[:1]:
                try:
                    os.kill(pid, signal.SIGKILL)
                except ProcessLookupError:
                    continue
        elif what == "server":
            self.server.kill()
            time.sleep(self.rnd.random() * 0.2)
            self.server.resume()
        elif what == "network":
            self.wire.cut()
            time.sleep(self.rnd.random() * 0.2)
            self.wire.mend()
        elif what == "wire":
            self.wire.mend()
            # In the middle of whatever goes through next, be it an answer to a commit.
            self.wire.cut_after = self.wire.passed + self.rnd.randrange(1, 20000)

    @staticmethod
    def kill(process: "subprocess.Popen[bytes]") -> None:
        """SIGKILL to a command and what stands between it and us."""
        try:
            os.killpg(process.pid, signal.SIGKILL)
        except ProcessLookupError:
            return

    def calm(self) -> None:
        """All that runs ends, and what waits is brought."""
        for one in list(self.runners.values()) + self.syncs:
            one.wait(60)
        self.wire.mend()
        for name, home in self.homes.items():
            end_copiers(home)
            assert self.start(name, "db", "recover").wait(60) == 0
            end_copiers(home)
            assert self.start(name, "db", "sync").wait(120) == 0
            assert home_rows(home, "SELECT count(*) FROM runs WHERE status = 'RUNNING' OR uncopied = 1") == [(0,)]


@pytest.mark.slow
def test_nothing_is_lost_or_doubled(case: Case, capsys: "pytest.CaptureFixture[str]") -> None:
    server = PostgreSQLServer.start()
    rnd = random.Random(SEED)
    try:
        with wire_to(server) as wire:
            place = server.place(port=wire.port)
            case.jobs(*JOBS, parallel=True, max_workers=2, database=str(place))
            chaos = Chaos(case, server, wire, rnd)
            try:
                for _ in range(KILLS):
                    chaos.keep_busy()
                    time.sleep(rnd.random() * 0.6)
                    chaos.strike()
                chaos.keep_busy()
                chaos.calm()
            finally:
                for one in list(chaos.runners.values()) + chaos.syncs:
                    chaos.kill(one)
                    one.wait(60)
                for home in chaos.homes.values():
                    end_copiers(home)
            assert_same_rows(list(chaos.homes.values()), server, place.schema)
            found = central_rows(server, place.schema, "SELECT count(*), count(DISTINCT run_uuid), "
                                 "count(DISTINCT home_uuid), count(DISTINCT home_host) FROM runs")[0]
            assert found[0] == found[1] and found[2] == 2
            with capsys.disabled():
                print("[seed %d: %d kills (%s), %d runs there]" % (
                    SEED, KILLS, ", ".join("%d %s" % (n, what) for what, n in sorted(chaos.counts.items())), found[0]))
    finally:
        server.remove()
