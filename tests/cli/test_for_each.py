"""``for_each`` with the real command: every item as data, one that fails, what a resume runs, and ids that mean several."""
import json
import os
import time
from typing import Dict, List

import pytest

from cli_case import Case, Result

HOSTILE = ["plain", "two words", "; touch hacked", "$(touch hacked)", "`touch hacked`", "'", '"', "a'b\"c", "\\", "*", "-n", "\u00e9\u4e16",
           "a\nb", "$HOME", "${HOME}", "x" * 2000, "plain", "../up", "&& touch hacked", "#", "~", "[x]", "!", ""]


def statuses(result: Result) -> Dict[str, str]:
    """The status of every job."""
    return {job["job_id"]: job["status"] for job in result.json()["jobs"]}


def lines(case: Case, name: str) -> List[str]:
    """The lines of a file of the case."""
    with open(case.path(name), encoding="utf-8") as file:
        return file.read().splitlines()


def test_items_are_data_wherever_they_stand(case: Case) -> None:
    write = "import os, sys, json; json.dump(sys.argv[1:] + [os.environ['E'], sys.stdin.read()], open(sys.argv[1] + '.json', 'w'))"
    case.jobs({"id": "n", "for_each": {"range": len(HOSTILE)}, "command": "true"},
              {"id": "x", "for_each": [{"n": str(n), "t": text} for n, text in enumerate(HOSTILE)],
               "command": "%s -c \"%s\" ${item.n} \"${item.t}\" '${item.t}' end" % (case.python, write.replace('"', '\\"')),
               "env_variables": {"E": "${item.t}"}, "stdin": {"text": "${item.t}"}},
              {"id": "y", "for_each": HOSTILE, "command": ["printf", "%s", "${item}"]})
    document = case.run("run", "config.json", "--json").expect(0).json()
    assert {job["status"] for job in document["jobs"]} == {"SUCCESS"} and len(document["jobs"]) == 3 * len(HOSTILE)
    assert len({job["job_id"] for job in document["jobs"]}) == 3 * len(HOSTILE)
    for number, text in enumerate(HOSTILE):
        with open(case.path("%d.json" % number)) as file:
            assert json.load(file) == [str(number), text, text, "end", text, text]
    wrote = []
    for job in document["jobs"][2 * len(HOSTILE):]:
        with open(job["stdout_path"], encoding="utf-8", newline="") as file:
            wrote.append(file.read())
    assert wrote == HOSTILE
    assert not os.path.exists(case.path("hacked"))


def test_one_item_fails_and_the_resume_runs_it_alone(case: Case) -> None:
    case.jobs({"id": "load", "for_each": ["a", "b", "c"], "command": "echo ${item} >> ran; test ${item} != b || test -e good"},
              {"id": "report", "command": "echo report >> ran", "dependencies": ["load"]},
              {"id": "alarm", "command": "echo alarm >> ran", "dependencies": [{"job": "load", "when": "failure"}]},
              continue_on_error=True)
    result = case.run("run", "config.json", "--json").expect(1)
    assert statuses(result) == {"load[a]": "SUCCESS", "load[b]": "FAILED", "load[c]": "SUCCESS", "report": "BLOCKED", "alarm": "SUCCESS"}
    assert "needs load[b], which ended FAILED" in result.raw_out.decode()
    assert lines(case, "ran") == ["a", "b", "c", "alarm"]
    result = case.file("good", "").run("run", "config.json", "--resume", "last", "--json").expect(0)
    assert statuses(result) == {"load[a]": "SUCCESS", "load[b]": "SUCCESS", "load[c]": "SUCCESS", "report": "SUCCESS", "alarm": "SUCCESS"}
    assert lines(case, "ran")[4:] == ["b", "report"]


def test_a_resume_runs_the_files_that_were_planned(case: Case) -> None:
    for name in ("b.csv", "a.csv"):
        case.file(name, "")
    case.jobs({"id": "load", "for_each": {"glob": "*.csv"}, "command": "echo ${item} >> ran; test -e good"},
              {"id": "end", "command": "echo end >> ran", "dependencies": ["load"]}, continue_on_error=True)
    assert list(statuses(case.run("run", "config.json", "--json").expect(1))) == ["load[a.csv]", "load[b.csv]", "end"]
    # What came since, or is gone, is nothing to the resume.
    case.file("c.csv", "").file("good", "")
    os.unlink(case.path("a.csv"))
    result = case.run("run", "config.json", "--resume", "last", "--json").expect(0)
    assert list(statuses(result)) == ["load[a.csv]", "load[b.csv]", "end"]
    assert "job load: for_each changed" in result.err
    assert lines(case, "ran") == ["a.csv", "b.csv", "a.csv", "b.csv", "end"]
    os.unlink(case.path("good"))
    case.run("run", "config.json").expect(1)
    result = case.run("run", "config.json", "--resume", "last", "--with-current-config", "--only", "load", "--dry-run", "--json").expect(0)
    assert [job["job_id"] for job in result.json()["jobs"]] == ["load[b.csv]", "load[c.csv]", "end"]


def test_nothing_matches(case: Case) -> None:
    case.jobs({"id": "load", "for_each": {"glob": "*.csv"}, "command": "cat ${item}"},
              {"id": "end", "command": "echo end > ran", "dependencies": ["load"]})
    result = case.run("run", "config.json", "--json").expect(0)
    assert [(job["job_id"], job["status"], job["reason"]) for job in result.json()["jobs"]] == [
        ("load", "SKIPPED", "for_each has no items"), ("end", "SUCCESS", "exit code 0")]
    assert "W108" in case.run("validate", "config.json").expect(0).out
    with open(os.path.join(case.home, "logs", "executioner.jsonl")) as file:
        assert "nothing matches" in file.read()


def test_ids_that_mean_several_jobs(case: Case) -> None:
    case.jobs({"id": "a", "for_each": {"x": ["1", "2"], "y": ["3"]}, "command": "echo a${item.x} >> ran"},
              {"id": "b", "command": "echo b >> ran", "dependencies": ["a"]}, {"id": "c", "command": "echo c >> ran"})

    def runs(*words: str) -> List[str]:
        if os.path.exists(case.path("ran")):
            os.unlink(case.path("ran"))
        case.run("run", "config.json", *words).expect(0)
        return lines(case, "ran")

    assert runs("--only", "a") == ["a1", "a2"]
    assert runs("--only", "a[1,3],c") == ["a1", "c"]
    assert runs("--only", "a[2,3]", "--only", "b") == ["a2", "b"]
    assert runs("--from", "a") == ["a1", "a2", "b"]
    assert runs("--until", "b", "--skip", "a[1,3]") == ["a2", "b"]
    assert runs("--skip", "a") == ["b", "c"]
    case.run("run", "config.json", "--only", "a[9,9]").expect(
        2, "", 'executioner: --only: no job has the id "a[9,9]" (did you mean "a[2,3]"?)\n')


@pytest.mark.slow
def test_holding_and_marking_several(case: Case) -> None:
    case.jobs({"id": "a", "for_each": ["1", "2"], "command": "echo ${item} >> ran; test -e good"},
              {"id": "b", "command": "echo b >> ran", "dependencies": ["a"]}, continue_on_error=True)
    case.run("run", "config.json").expect(1)
    case.run("hold", "app", "a", "--because", "no room").expect(0, "a of app is held\n")
    result = case.run("run", "config.json", "--json").expect(1)
    assert statuses(result) == {"a[1]": "BLOCKED", "a[2]": "BLOCKED", "b": "BLOCKED"}
    case.run("release", "app", "a[1]").expect(
        2, "", "executioner: a[1] of app is held with all of a; release a, and hold others by themselves\n")
    case.run("release", "app", "a").expect(0)
    case.run("hold", "app", "a[1]").expect(0)
    case.file("good", "")
    assert statuses(case.run("run", "config.json", "--json").expect(1)) == {"a[1]": "BLOCKED", "a[2]": "SUCCESS", "b": "BLOCKED"}
    case.run("release", "app", "a[1]").expect(0)
    case.run("mark-success", "3", "a", "--because", "by hand").expect(0)
    result = case.run("run", "config.json", "--resume", "3", "--json").expect(0)
    assert [job["reason"].partition(" by ")[0] for job in result.json()["jobs"]] == ["marked as success in run 3", "kept from run 3", "exit code 0"]
    case.run("mark-success", "3", "c", "--because", "x").expect(2)


def test_outputs_from_item_to_item(case: Case) -> None:
    case.jobs({"id": "count", "for_each": ["x y", "z"], "command": "echo \"n=<${item}>\" >> $EXECUTIONER_OUTPUT", "outputs": ["n"]},
              {"id": "use", "for_each": ["x y", "z"], "dependencies": ["count[${item}]"],
               "command": "echo \"${item}: ${jobs.count[${item}].outputs.n}\" >> told; test \"${item}\" != z || test -e good"},
              {"id": "all", "dependencies": ["use"], "command": ["sh", "-c", "echo $0 $1 >> told", "${jobs.count[x y].outputs.n}",
                                                                 "${jobs.count[z].outputs.n}"]}, continue_on_error=True)
    case.run("plan", "config.json").expect(0)
    case.run("run", "config.json").expect(1)
    case.file("good", "").run("run", "config.json", "--resume", "last").expect(0)
    assert lines(case, "told") == ["x y: <x y>", "z: <z>", "z: <z>", "<x y> <z>"]


def test_what_is_shown_of_items(case: Case) -> None:
    case.jobs({"id": "a", "for_each": ["x y", "in/z"], "command": "echo out ${item}"}, {"id": "b", "command": "true", "dependencies": ["a"]})
    plan = case.run("plan", "config.json", "--json").expect(0).json()
    assert [job["job_id"] for job in plan["jobs"]] == ["a[x y]", "a[in/z]", "b"]
    assert plan["jobs"][2]["needs"] == [{"job": "a", "when": "success"}]
    case.run("run", "config.json").expect(0)
    shown = case.run("show", "1").expect(0).out
    assert "a[x y]" in shown and "a[in/z]" in shown
    assert case.run("logs", "1", "a[in/z]").expect(0).out.endswith("out in/z\n")
    both = case.run("logs", "1", "a", "--stdout").expect(0).out
    assert both == "==> a[x y], attempt 1, stdout <==\nout x y\n==> a[in/z], attempt 1, stdout <==\nout in/z\n"
    assert case.run("logs", "1", "a", "--stdout", "-f").expect(0).out == both
    case.run("logs", "1", "c").expect(2)
    case.run("report", "1", "-o", case.path("r.html")).expect(0)
    with open(case.path("r.html"), encoding="utf-8") as file:
        assert '{"job": "a[in/z]", "when": "success"}' in file.read().replace('":"', '": "').replace('","', '", "')


@pytest.mark.slow
def test_ten_thousand_items_are_planned(case: Case) -> None:
    case.jobs({"id": "a", "for_each": {"range": 10000}, "command": ["true"]},
              {"id": "b", "for_each": {"range": 10000}, "command": ["true"], "dependencies": ["a"]})
    plan = case.run("plan", "config.json", "--json", "--workers", "8").expect(0).json()
    assert len(plan["jobs"]) == 20000


def test_a_runner_that_dies_among_items(case: Case) -> None:
    case.jobs({"id": "a", "for_each": {"range": 4},
               "command": "echo ${item} >> ran; test ${item} != 2 || until test -e good; do sleep 0.05; done"},
              {"id": "b", "command": "echo b >> ran", "dependencies": ["a"]})
    with case.background("run", "config.json") as process:
        deadline = time.monotonic() + 60
        while not os.path.exists(case.path("ran")) or len(lines(case, "ran")) < 2:
            assert time.monotonic() < deadline
            time.sleep(0.02)
        process.kill()
    case.file("good", "")
    result = case.run("run", "config.json", "--resume", "last", "--json").expect(0)
    assert lines(case, "ran") == ["1", "2", "3", "4", "b"]
    assert [job["attempts"] for job in result.json()["jobs"]] == [0, 0, 1, 1, 1]


def test_a_history_that_is_made_again_knows_the_items(case: Case) -> None:
    case.jobs({"id": "a", "for_each": ["x y", "in/\u00e9", "z" * 100, "[w]"], "command": "echo \"${item}\""})
    before = case.run("run", "config.json", "--json").expect(0).json()
    case.file("home/history.db", b"no history" * 1000)
    for name in ("history.db-wal", "history.db-shm"):
        if os.path.exists(os.path.join(case.home, name)):
            os.unlink(os.path.join(case.home, name))
    case.run("db", "recover", "--rebuild").expect(0)
    after = case.run("show", "1", "--json").expect(0).json()
    assert [(job["job_id"], job["status"], job["stdout_path"]) for job in after["jobs"]] == [
        (job["job_id"], job["status"], job["stdout_path"]) for job in before["jobs"]]
