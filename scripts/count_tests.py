"""Adds up what pytest wrote with ``--junitxml``, for one line that stays true over several runs.

    python3 scripts/count_tests.py --passed 3 --failed 1 FILE...      prints "N passed, N failed, N skipped"
"""
import argparse
import os
import sys
import xml.etree.ElementTree as ElementTree
from typing import Dict, Tuple


def counts(path: str) -> Tuple[int, int, int]:
    """Passed, failed and skipped tests of one report; a report that is missing or torn counts as one failure."""
    if not os.path.exists(path):
        return 0, 1, 0
    try:
        root = ElementTree.parse(path).getroot()
    except ElementTree.ParseError:
        return 0, 1, 0
    passed = failed = skipped = 0
    outcomes: Dict[object, int] = {}
    for number, case in enumerate(root.iter("testcase")):
        # A test that fails and whose clean-up fails too is written twice.
        key = (case.get("classname"), case.get("name")) if case.get("name") else number
        found = {child.tag for child in case}
        rank = 2 if found & {"failure", "error"} else 1 if "skipped" in found else 0
        outcomes[key] = max(rank, outcomes.get(key, 0))
    for rank in outcomes.values():
        passed += rank == 0
        skipped += rank == 1
        failed += rank == 2
    return passed, failed, skipped


def main() -> int:
    """Print the sum; exit 1 where something failed or nothing passed."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--passed", type=int, default=0, help="passes to add (gates)")
    parser.add_argument("--failed", type=int, default=0, help="failures to add")
    parser.add_argument("files", nargs="*")
    options = parser.parse_args()
    passed, failed, skipped = options.passed, options.failed, 0
    for path in options.files:
        more = counts(path)
        passed, failed, skipped = passed + more[0], failed + more[1], skipped + more[2]
    print("%d passed, %d failed, %d skipped" % (passed, failed, skipped))
    return 1 if failed or not passed else 0


if __name__ == "__main__":
    sys.exit(main())
