"""Runs ``jobs.checks.child`` in a Python of its own, where the code of others can hurt nobody: not the loop, which a
regular expression could hold up as well, not the streams, not the files that are open."""
import json
import marshal
import sys
from typing import Dict, List, Mapping, Tuple

from jobs.checks import child
from jobs.checks.commands import COMMAND_TIMEOUT_S, run_program
from jobs.module_code import code_of

__all__ = ["run_apart"]

#: Takes the code from standard input, and keeps what is printed away from the answer. The folder in which it runs is
#: nobody's place for modules; and what a plugin has left to be done at the end is not done.
_BOOTSTRAP = """\
import sys
sys.path[:]=[p for p in sys.path if p]
import marshal,os
c,t,r=marshal.load(sys.stdin.buffer)
a=os.dup(1)
n=os.open(os.devnull,os.O_RDWR)
for f in 0,1,2:os.dup2(n,f)
m={'__name__':'executioner_child'}
exec(c,m)
m['main'](t,r,a)
os._exit(0)
"""


def run_apart(task: str, request: Dict[str, object], working_dir: str, environment: Mapping[str, str],
              timeout_s: float = COMMAND_TIMEOUT_S, isolated: bool = False) -> Tuple[bool, str]:
    """Have a task done: whether it passed, and what was found.

    :param isolated: whether it needs nothing of the environment and of what is installed
    """
    argv: List[str] = [sys.executable or "/proc/self/exe"] + (["-I", "-S"] if isolated else []) + ["-c", _BOOTSTRAP]
    given = marshal.dumps((code_of(child), task, request))
    answer = run_program(argv, working_dir, environment, timeout_s, given, listens_to_output=True)
    if answer.exit_code is None:
        return False, answer.what
    try:
        passed, found = json.loads(answer.said.decode("ascii"))
        return bool(passed), str(found)
    except (ValueError, TypeError):
        return False, "it ended without an answer (%s)" % answer.what
