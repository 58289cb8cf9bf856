#!/usr/bin/env bash
# Runs the first block of commands of README.md as a newcomer would, in the folder it is started from.
# readme_commands.sh [COUNT]: only so many of them; both where it is not said.
set -euo pipefail
commands=$(awk '/^```sh$/ { inside = 1; next } /^```$/ { if (inside) exit } inside' README.md)
[ "$(wc -l <<<"$commands")" -eq 2 ] || { echo "README.md does not begin with two commands: $commands"; exit 1; }
echo "$commands"
bash -euc "$(head -n "${1:-2}" <<<"$commands")"
