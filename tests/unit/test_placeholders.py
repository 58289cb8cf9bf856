"""Placeholders are data: whatever a value holds, the shell gets it as one piece of text and runs nothing of it."""
import subprocess

import pytest

from jobs.placeholders import expand_command, expand_text, placeholders

NASTY = ["plain", "two words", "; echo PWNED", "$(echo PWNED)", "`echo PWNED`", "a'b", 'a"b', "a\\b", "*", "-n", "${HOME}",
         "a\nb", "&& echo PWNED", "'; echo PWNED; '"]


def lookup_of(values):
    return lambda name: values.get(name)


@pytest.mark.parametrize("value", NASTY)
@pytest.mark.parametrize("command", ('printf %s "${item}"', "printf %s '${item}'", "printf %s \"a b\"'${item}'",
                                     "printf %s pre\"${item}\"post", "printf %s \\''${item}'"))
def test_a_shell_takes_no_value_for_code(command, value):
    expanded, variables = expand_command(command, lookup_of({"item": value}), "X_")
    assert set(variables.values()) <= {value}
    done = subprocess.run(["/bin/sh", "-c", expanded], stdout=subprocess.PIPE, env=dict(variables, PATH="/usr/bin:/bin"))
    written = done.stdout.decode()
    assert done.returncode == 0 and value in written
    assert "PWNED" not in written.replace(value, "")


def test_unknown_names_and_variables_of_the_environment_stay():
    assert expand_command("echo ${HOME} ${params.x} ${item}", lookup_of({"params.x": "1"}), "V") == (
        "echo ${HOME} ${V1} ${item}", {"V1": "1"})
    assert expand_command(("echo", "${params.x}", "${item.name}"), lookup_of({"params.x": "; x"}), "V") == (
        ("echo", "; x", "${item.name}"), {})
    assert expand_text("/data/${params.day}/${PATH}", lookup_of({"params.day": "monday"})) == "/data/monday/${PATH}"


def test_names_are_found():
    assert placeholders("${params.a} ${item} ${item.b} ${jobs.load[x].outputs.rows} ${HOME} $item") == [
        "params.a", "item", "item.b", "jobs.load[x].outputs.rows"]
