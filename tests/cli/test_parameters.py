"""``--param`` with the real command: values as data, mistakes before anything starts, and what a resume takes over."""
import json
import os

from cli_case import Case

PARAMETERS = {"mode": {"choices": ["full", "part"], "required": True}, "rows": {"type": "integer", "default": 10}, "text": {}}


def test_values_reach_the_jobs_as_data(case: Case) -> None:
    evil = "$(touch hacked); `touch hacked` \"'$HOME"
    case.jobs({"id": "a", "command": "printf '%s|%s|%s' \"${params.text}\" '${params.text}' ${params.rows} > a.txt"},
              {"id": "b", "command": ["sh", "-c", "printf '%s|%s' \"$1\" \"$E\" > b.txt", "-", "${params.text}"],
               "env_variables": {"E": "${params.text}"}},
              {"id": "c", "command": "touch c.txt", "run_if": {"param": "mode", "equals": "part"}}, parameters=PARAMETERS)
    case.run("run", "config.json", "--param", "mode=full", "--param", "text=" + evil).expect(0, "", "")
    with open(case.path("a.txt")) as file:
        assert file.read() == "%s|%s|10" % (evil, evil)
    with open(case.path("b.txt")) as file:
        assert file.read() == "%s|%s" % (evil, evil)
    assert not os.path.exists(case.path("hacked")) and not os.path.exists(case.path("c.txt"))
    case.run("run", "config.json", "--param", "mode=part").expect(0)
    assert os.path.exists(case.path("c.txt"))


def test_values_in_the_commands_of_checks_are_not_expanded_again(case: Case) -> None:
    case.jobs({"id": "a", "command": "true", "post_checks": [
        {"name": "check_command", "params": {"command": ["test", "${params.text}", "=", "${DOLLAR}{HOME}"]}},
        {"name": "check_command", "params": {"command": "test \"${params.text}\" = '${'HOME'}'"}}]},
              parameters=PARAMETERS, env_variables={"DOLLAR": "$"})
    case.run("run", "config.json", "--param", "mode=full", "--param", "text=${HOME}").expect(0, "", "")


def test_mistakes_start_nothing(case: Case) -> None:
    case.jobs({"id": "a", "command": "touch started"}, parameters=PARAMETERS)
    for words, line in (
            ((), "mode: a value is required; give it with --param mode=VALUE"),
            (("--param", "mode=ful"), '--param mode: must be one of "full", "part", got "ful"'),
            (("--param", "mode=full", "--param", "rows=x"), '--param rows: must be a whole number, got "x"'),
            (("--param", "mode=full", "--param", "row=1"), '--param: there is no parameter "row"; did you mean "rows"?')):
        for result in case.run_each(*[command + words + ("config.json",) for command in (
                ("run",), ("run", "--dry-run"), ("plan",), ("validate",))]):
            result.expect(2)
            assert line in result.out + result.err and (result.out + result.err).count("\n") == 1
    case.run("run", "config.json", "--param", "mode").expect(2, "", 'executioner: --param: expected NAME=VALUE, found "mode"\n')
    for result in case.run_each(*[command + ("config.json", "--param", "mode=full")
                                  for command in (("run", "--dry-run"), ("plan",), ("validate",))]):
        result.expect(0)
    assert not os.path.exists(case.path("started")) and not os.path.exists(case.home)


def test_a_resume_takes_them_over(case: Case) -> None:
    case.jobs({"id": "a", "command": "echo ${params.mode} ${params.rows} >> a.txt; test -e good"}, parameters=PARAMETERS)
    case.run("run", "config.json", "--param", "mode=part", "--param", "rows=5").expect(1)
    case.run("run", "config.json", "--resume", "last", "--param", "rows=6").expect(1)
    shown = json.loads(case.run("runs", "--json").raw_out.decode())
    assert len(shown["runs"] if isinstance(shown, dict) else shown) == 2
    case.file("good", "").run("run", "config.json", "--resume", "last").expect(0)
    with open(case.path("a.txt")) as file:
        assert file.read() == "part 5\npart 6\npart 6\n"


def test_a_secret_is_given_again(case: Case) -> None:
    case.jobs({"id": "a", "command": "test \"${params.token}\" = good-value"}, parameters={"token": {}})
    case.run("run", "config.json", "--param", "token=wrong-value").expect(1)
    case.run("run", "config.json", "--resume", "last").expect(
        2, "", "executioner: run 1 was given --param token, whose value is not kept: give it again\n")
    with open(os.path.join(case.home, "history.db"), "rb") as file:
        assert b"wrong-value" not in file.read()
    case.run("run", "config.json", "--resume", "last", "--param", "token=good-value").expect(0)
