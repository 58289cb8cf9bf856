"""The command with a wall clock that jumps: ``clock_entry.py CHECKOUT run ...``; ``FAULTS_OFFSET`` names a file of seconds.

The file is read at each question, in runner and keeper. Clocks that do not jump stay as they are.
"""
import os
import sys
import time

PATH = os.environ.get("FAULTS_OFFSET", "")


def shift():
    """Put the jumping clock in the place of the real one."""
    real = time.time

    def jumping():
        fd = os.open(PATH, os.O_RDONLY | os.O_CLOEXEC)
        try:
            return real() + float(os.read(fd, 64) or b"0")
        finally:
            os.close(fd)

    if PATH:
        time.time = jumping


def main():
    """Run the command line of the checkout."""
    checkout = sys.argv.pop(1)
    here = os.path.dirname(os.path.abspath(__file__))
    sys.path[0] = checkout
    import executioner.bootstrap
    problem = executioner.bootstrap.prepare()
    if problem is not None:
        raise SystemExit(problem)
    sys.path.append(here)
    import clock_entry
    import jobs.keeper.launch as launch
    shift()
    real_code_of = launch._code_of
    launch._code_of = lambda modules: real_code_of((clock_entry,) + tuple(modules))
    return executioner.bootstrap.main()


if __name__ == "__main__":
    sys.exit(main())
elif "jobs" in sys.modules and PATH and sys.argv[0] == "-c":
    # In the keeper, which executes the code of this module before its own.
    shift()
