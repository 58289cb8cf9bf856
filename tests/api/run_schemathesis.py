"""Has schemathesis try every documented request against a server of its own: python3 tests/api/run_schemathesis.py

With a token that may act, with one that may read, and without. What is not there is said: "not run". Exit code 1 where
it found anything.
"""
import argparse
import os
import shutil
import subprocess
import sys
import tempfile
import time
from typing import List, Optional

#: A body that breaks a bound of the document may be too large to be read at all, which is an answer as well.
SETTINGS = """[checks.negative_data_rejection]
expected-statuses = [400, 401, 403, 404, 405, 409, 413, 415, 422, 429]
"""
ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
sys.path[:0] = [ROOT, os.path.join(ROOT, "tests")]

import demo_home  # noqa: E402
from api_case import ApiCase  # noqa: E402


def main(argv: Optional[List[str]] = None) -> int:
    """Try all three."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--schemathesis", default=shutil.which("schemathesis"), help="the program")
    parser.add_argument("--examples", type=int, default=20, help="for each operation and phase")
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args(argv)
    if options.schemathesis is None:
        print("schemathesis: not run: the program is missing (pip install schemathesis, Python 3.10 and newer)")
        return 0
    failed = 0
    with tempfile.TemporaryDirectory() as folder:
        # "false" stands for the command: a start that fails is a documented answer, a thousand runs are no test of HTTP.
        case = ApiCase(folder)
        case.server.answer.__self__.gate.failures_a_second = 10 ** 6  # it tries wrong tokens, and wants to be told so
        with case.history() as history:
            os.makedirs(os.path.join(case.home, "logs"))
            for number in range(3):
                demo_home.record_run(history, case.home, "nightly_etl", demo_home.ETL, time.time() - 9000 * (4 - number),
                                     number, ["load"] if number == 1 else [])
        settings = os.path.join(folder, "schemathesis.toml")
        with open(settings, "w") as out:
            out.write(SETTINGS)
        for who, token in (("operate", case.operator), ("read", case.reader), ("nobody", None)):
            words = [options.schemathesis, "--config-file", settings, "run", "http://127.0.0.1:%d/openapi.json" % case.port, "--checks", "all",
                     "--max-examples", str(options.examples), "--seed", str(options.seed), "--no-color"]
            if token is not None:
                words += ["-H", "Authorization: Bearer " + token]
            done = subprocess.run(words, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
            print("schemathesis as %s: %s" % (who, "no failure" if done.returncode == 0 else "FAILED"))
            if done.returncode:
                failed += 1
                lines = done.stdout.decode("utf-8", "replace").splitlines()
                print("\n".join(line[:300] for line in lines[-200:]))
        case.close()
        defects = [told for told in case.told if told[0] == "ERROR"]
        print("answers: %s; defects: %d" % (sorted(case.server.answer.__self__.answered.items()), len(defects)))
    return 1 if failed or defects else 0


if __name__ == "__main__":
    sys.exit(main())
