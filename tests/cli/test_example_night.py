"""The night of the examples, for real: it fails for want of a file, tells so, and is resumed to its end."""
import json
import shutil
import time
from pathlib import Path
from typing import Any, Dict, List

from example_case import Example, attempts, statuses, wait_for_text
from receivers import SmtpReceiver

REGIONS = ("north", "south", "west", "east", "coast", "hills", "isles", "lakes")
STEPS = ("clean", "count", "write", "verify")
REPORTS = ["report[%s,%d]" % (kind, part) for kind in ("orders", "amounts") for part in (1, 2)]
OF_THE_EAST = ["load[east]/" + step for step in STEPS]
#: What comes to the same in both runs.
ALWAYS = {"mirror[a]": "FAILED", "hangs": "TIMEOUT", "yearly": "SKIPPED", "deliver": "SKIPPED", "index_again": "SKIPPED"}
FIRST = dict(ALWAYS, **dict({job: "BLOCKED" for job in OF_THE_EAST + REPORTS + ["publish"]}, **{"fetch[east]": "FAILED"}))


def ledger_of(example: Example) -> List[str]:
    """The jobs in the order of their attempts."""
    return (example.work / "ledger.txt").read_text(encoding="utf-8").splitlines()


def mended(document: Dict[str, Any]) -> Dict[str, str]:
    """The jobs that did not succeed."""
    return {job: status for job, status in statuses(document).items() if status != "SUCCESS"}


def check_order(ledger: List[str]) -> None:
    """Nobody began before what it needs."""
    def place(job: str) -> int:
        return len(ledger) - 1 - ledger[::-1].index(job)  # the last attempt is the one that succeeded

    assert ledger[0] == "prepare"
    for region in REGIONS:
        if "fetch[%s]" % region in ledger:
            chain = ["fetch[%s]" % region] + ["load[%s]/%s" % (region, step) for step in STEPS]
            assert [place(job) for job in chain] == sorted(place(job) for job in chain)
    assert place("mirror[b]") < place("rates") < place("prices")
    assert place("tape_high") < place("tape_middle") < place("tape_low")
    assert place("deliver") < place("after_nothing")
    assert max(map(place, ("warns", "reads_env", "modest"))) < place("end")


def test_the_night_fails_and_is_resumed(tmp_path: Path) -> None:
    example = Example("night", tmp_path)
    with SmtpReceiver() as smtp:
        text = example.file.read_text(encoding="utf-8")
        for commented in ('// , {"on": "failure", "to": "mailto:', '// "smtp_server"'):
            assert commented in text
            text = text.replace(commented, commented[3:])
        example.file.write_text(text.replace('"smtp_port": 25', '"smtp_port": %d' % smtp.port), encoding="utf-8")

        document = example.run(1)
        assert len(document["jobs"]) == 68 and mended(document) == FIRST
        assert {job: count for job, count in attempts(document).items() if count > 1} == {"fetch[west]": 2}
        first = ledger_of(example)
        check_order(first)
        ran = [job for job, count in attempts(document).items() for _ in range(count) if job != "hangs"]
        assert sorted(first) == sorted(ran)
        assert "alarm" in first and "sweep" in first
        check_outputs(example, document)

        told = wait_for_text(example.work / "messages.txt", "look at it")
        assert "run 1 of night on " in told and "no file %s" % (example.folder / "data" / "east.csv") in told
        assert "runbook: Ask the shop of east" in told and "--resume 1" in told
        assert wait_for_text(example.work / "late.txt").startswith("comes_late of night (run 1) is late")
        settle(example, 3)
        mails = [mail.data.decode() for mail in smtp.mails]
        assert [mail.recipients for mail in smtp.mails] == [["ops@example.com"]]
        assert "night FAILED" in mails[0] and "Ask the shop of east" in mails[0]

        shutil.copy(str(example.folder / "data" / "north.csv"), str(example.folder / "data" / "east.csv"))
        document = example.run(0, "--resume", "last")
        assert document["status"] == "SUCCESS" and mended(document) == ALWAYS
        again = ledger_of(example)[len(first):]
        # Nothing that was done ran twice; what had nothing to do, or may fail, is tried once more.
        assert sorted(again) == sorted(
            ["fetch[east]", "publish", "deliver", "mirror[a]"] + OF_THE_EAST + REPORTS)
        assert [job for job in again if job in OF_THE_EAST] == OF_THE_EAST
        assert again.index("fetch[east]") < again.index(OF_THE_EAST[0])
        assert all(again.index(OF_THE_EAST[-1]) < again.index(report) < again.index("publish") for report in REPORTS)
        assert "east: 3 orders\n" in (example.work / "made" / "all.txt").read_text(encoding="utf-8")

        wait_for_text(example.work / "messages.txt", "run 2 of night on ")
        settle(example, 4)
        assert len(smtp.mails) == 1
        assert (example.work / "late.txt").read_text(encoding="utf-8").count("is late") == 1
    holders = [path.name for path in example.home.rglob("*") if path.is_file() and b"midnight-owl" in path.read_bytes()]
    assert holders == ["reads_env.1.out"]  # which the job itself wrote


def check_outputs(example: Example, document: Dict[str, Any]) -> None:
    """What was handed to the jobs came to them."""
    assert example.output(document, "prices") == "the euro is at 1.08\n"
    assert example.output(document, "reads_file") == "order,amount\n"
    assert example.output(document, "reads_text") == "good night\n"
    assert example.output(document, "reads_env").startswith("corner of 2026-01-31 at ")
    assert example.output(document, "modest") in ("0077\n128\n", "077\n128\n")
    assert (example.work / "out" / "north.txt").read_text(encoding="utf-8") == "north: 3 orders\n"
    assert (example.work / "made" / "index.txt").stat().st_mode & 0o777 == 0o640


def settle(example: Example, count: int) -> None:
    """Wait until so many messages were sent."""
    deadline = time.monotonic() + 60
    listed = ""
    while time.monotonic() < deadline:
        listed = example.call("notify", "--list", "--json").stdout.decode()
        if [one["status"] for one in json.loads(listed)] == ["SENT"] * count:
            return
        time.sleep(0.1)
    raise AssertionError(listed)
