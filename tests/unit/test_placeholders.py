"""Placeholders are data: whatever a value holds, the shell gets it as one piece of text and runs nothing of it."""
import shutil
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


#: Commands in which a quote stands where the shell sees none: in a comment, a here-document, an expansion.
MISLEADING = ["# don't\nprintf %s \"${item}\"", "cat > /dev/null <<EOF\nit's\nEOF\nprintf %s \"${item}\"", "true # isn't it\nprintf '%s' \"${item}\"",
              "printf %s \"${item}\" # don't\nprintf %s ${item} > /dev/null", "x=$'it\\'s'; printf %s \"${item}\"; : '"]


@pytest.mark.parametrize("shell", ["sh", "bash"])
@pytest.mark.parametrize("value", NASTY)
@pytest.mark.parametrize("command", MISLEADING)
def test_a_quote_that_is_none_lets_nothing_out(command, value, shell):
    if shutil.which(shell) is None:
        pytest.skip("there is no " + shell)
    expanded, variables = expand_command(command, lookup_of({"item": value}), "X_")
    done = subprocess.run([shell, "-c", expanded], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
                          env=dict(variables, PATH="/usr/bin:/bin"))
    assert b"PWNED" not in done.stdout.replace(value.encode(), b"")


@pytest.mark.parametrize("value", NASTY)
@pytest.mark.parametrize("command", [
    "# don't\nprintf '<%s>' \"${item}\"", "cat > /dev/null <<EOF\nit's\nEOF\nprintf '<%s>' \"${item}\"",
    "printf '<%s>' \"$(printf %s '${item}')\"", "cat <<EOF\n<${item}>\nEOF", "cat <<'EOF'\n<${item}>\nEOF",
    "cat <<-\\E\n\t<${item}>\n\tE\nprintf %s '${item}' >/dev/null", "cat <<A; cat <<'B'\n$(printf %s 'x')'\nA\n<${item}>\nB\n",
    "x=a#b; printf '<%s>' '${item}'", "(printf '<%s>' '${item}')", "printf '<%s>' \"a\"'${item}'\"b\"",
    "cat <<< 'x' >/dev/null; printf '<%s>' '${item}'", "echo \"(\" ')' >/dev/null; printf '<%s>' '${item}'"])
def test_the_value_stands_where_it_should(command, value):
    if ("<<'" in command or "<<-" in command) and "\n" in value:
        return  # a here-document without expansion takes one line
    expanded, variables = expand_command(command, lookup_of({"item": value}), "X_")
    shell = "bash" if "<<<" in command else "sh"
    if shutil.which(shell) is None:
        pytest.skip("there is no " + shell)
    done = subprocess.run([shell, "-c", expanded], stdout=subprocess.PIPE, env=dict(variables, PATH="/usr/bin:/bin"))
    assert value.encode() in done.stdout and done.returncode == 0, (expanded, done.stdout)
    assert b"PWNED" not in done.stdout.replace(value.encode(), b"")


def test_a_here_document_is_not_ended_by_a_value():
    for value in ("EOF", "EOF\necho PWNED", "x\nEOF\necho PWNED\n", "\tEOF"):
        for begin in ("<<'EOF'", "<<-'EOF'"):
            expanded, variables = expand_command("cat %s\n${item}\nEOF\n" % begin, lookup_of({"item": value}), "X_")
            done = subprocess.run(["sh", "-c", expanded], stdout=subprocess.PIPE, env=dict(variables, PATH="/usr/bin:/bin"))
            assert done.stdout == b"${X_1}\n" and variables == {"X_1": value}


def test_unknown_names_and_variables_of_the_environment_stay():
    assert expand_command("echo ${HOME} ${params.x} ${item}", lookup_of({"params.x": "1"}), "V") == (
        "echo ${HOME} ${V1} ${item}", {"V1": "1"})
    assert expand_command(("echo", "${params.x}", "${item.name}"), lookup_of({"params.x": "; x"}), "V") == (
        ("echo", "; x", "${item.name}"), {})
    assert expand_text("/data/${params.day}/${PATH}", lookup_of({"params.day": "monday"})) == "/data/monday/${PATH}"


def test_names_are_found():
    assert placeholders("${params.a} ${item} ${item.b} ${jobs.load[x].outputs.rows} ${HOME} $item") == [
        "params.a", "item", "item.b", "jobs.load[x].outputs.rows"]
