"""N1: the real scheduler, engine, history, verdicts and resume in simulated time, with deaths of all kinds at random moments."""
import json
import os
import subprocess

import faultlib
from faultlib import Row

__all__ = ["ROWS"]

FOLDER = os.path.join(faultlib.ROOT, "tests", "simulation")
NIGHTS_AT_A_TIME = 60
PLAY = ("import json, sys\n"
        "sys.path[:0] = sys.argv[1:3]\n"
        "import crashes, simulate\n"
        "first, count = int(sys.argv[3]), int(sys.argv[4])\n"
        "try:\n"
        "    facts = crashes.run_many(first, count)\n"
        "    facts['attempts'] += simulate.run_many(first, count)['attempts']\n"
        "except simulate.Violation as violation:\n"
        "    facts = {'violation': str(violation)}\n"
        "print(json.dumps(facts))\n")


def n1(trials):
    first = trials.random("first").randrange(1 << 24) if trials.seed != 1 else 0

    def trial(number):
        command = [trials.product.python, "-c", PLAY, trials.product.checkout, FOLDER,
                   str(first + number * NIGHTS_AT_A_TIME), str(NIGHTS_AT_A_TIME)]
        done = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        if done.returncode != 0:
            trials.violation("it ended with %d: %s" % (done.returncode, done.stderr.decode("utf-8", "replace")[-500:]),
                             number)
            trials.done()
            return
        facts = json.loads(done.stdout.decode("utf-8"))
        if "violation" in facts:
            trials.violation(facts["violation"], number)
            trials.done()
            return
        trials.done(facts["attempts"])
        trials.add("deaths", facts["deaths"])
        trials.add("unknown ends", facts["lost"])
        trials.add("graphs", 2 * facts["nights"])

    trials.make(trial)


ROWS = [
    Row("N1", "in simulated time: every rule holds after every event; no result lost, nothing done runs again, unknown is LOST",
        "random graphs; deaths of the runner, of both, of the machine (the record torn), and of who settles; full disks, stops, "
        "jumps of the clock", "what the simulated processes did, against the history", 15000, 1000000,
        "what is LOST is run again", n1, 0.8, unit="attempts", lanes=2),
]
