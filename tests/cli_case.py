"""The ``case`` of a command test: files in a temporary folder, the real command, its whole output compared.

    case.config({"jobs": [{"id": "a", "command": "true"}]}).run("run", "config.json").expect(code=0)
"""
import contextlib
import json
import os
import re
import subprocess
import sys
import tempfile
import threading
from typing import Any, Dict, Iterator, List, Optional, Sequence, Union

__all__ = ["Case", "Result"]

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
#: Longer than any command of a test takes; a command that hangs fails the test instead of the suite.
PATIENCE_S = 90

#: Runs each command as ``python -m executioner`` does, in a child, and prints the exit codes.
_EACH = """
import json, os, runpy, sys
import executioner.cli, config.pipeline
folder, commands = sys.argv[1], json.loads(sys.argv[2])
for number, words in enumerate(commands):
    pid = os.fork()
    if pid == 0:
        for descriptor, stream in ((1, "out"), (2, "err")):
            made = os.open(os.path.join(folder, "%d.%s" % (number, stream)), os.O_WRONLY | os.O_CREAT, 0o600)
            os.dup2(made, descriptor)
            os.close(made)
        sys.argv = ["executioner"] + words
        runpy.run_module("executioner", run_name="__main__", alter_sys=True)
        sys.exit(0)
    status = os.waitpid(pid, 0)[1]
    print(status >> 8 if status & 127 == 0 else -(status & 127), flush=True)
"""

_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z")
_DURATION = re.compile(r"\b(\d+ h \d\d min|\d+ min \d\d s|\d+(\.\d+)? s)\b")
_COLUMNS = re.compile(r"(?<=\S) {2,}(?=\S)")
_SIZE = re.compile(r"\b\d+(\.\d+)? [KMG]iB")
_PID = re.compile(r"\bpid \d+")
#: As it is shown to whoever is to type it, which depends on where python3 is found.
_PROGRAM = re.compile(r"\b(PYTHON|python3) '?%s'?" % re.escape(os.path.join(ROOT, "executioner")))


class Result:
    """What a command gave back, with times, durations and the paths of the test made the same everywhere."""

    def __init__(self, case: "Case", words: Sequence[str], code: int, out: bytes, err: bytes) -> None:
        self.words = words
        self.code = code
        #: The bytes as they came.
        self.raw_out = out
        self.raw_err = err
        self.out = case.normalised(out)
        self.err = case.normalised(err)

    def expect(self, code: int = 0, out: Optional[str] = None, err: Optional[str] = None) -> "Result":
        """Compare the exit code and, where given, the whole of an output; leading newline and indent are the test's."""
        told = "%s\nexit %s\n--- stdout\n%s--- stderr\n%s" % (" ".join(self.words), self.code, self.out, self.err)
        assert self.code == code, told
        if out is not None:
            assert _squeezed(self.out) == _squeezed(_document(out)), told
        if err is not None:
            assert _squeezed(self.err) == _squeezed(_document(err)), told
        assert "Traceback" not in self.err, told
        return self

    def json(self) -> Any:
        """The one JSON document on standard output."""
        return json.loads(self.raw_out.decode("utf-8"), parse_constant=_no_constant)


class Case:
    """A folder with a configuration and a home of its own."""

    def __init__(self, folder: str) -> None:
        self.folder = folder
        self.home = os.path.join(folder, "home")
        self.python = sys.executable
        self.environ = {key: value for key, value in os.environ.items()
                        if not key.startswith("EXECUTIONER_") and key not in ("NO_COLOR", "PYTHONPATH")}
        self.environ["PYTHONPATH"] = ROOT

    def config(self, content: Union[Dict[str, Any], str, bytes], name: str = "config.json") -> "Case":
        """Write the configuration: an object, or a text or bytes just as they are."""
        if isinstance(content, dict):
            content = json.dumps(content)
        return self.file(name, content)

    def jobs(self, *jobs: Dict[str, Any], **top: Any) -> "Case":
        """Write a configuration of these jobs, named ``app``."""
        return self.config(dict(top, application_name="app", jobs=list(jobs)))

    def file(self, name: str, content: Union[str, bytes]) -> "Case":
        """Write a file."""
        with open(self.path(name), "wb") as stream:
            stream.write(content if isinstance(content, bytes) else content.encode("utf-8"))
        return self

    def path(self, *names: str) -> str:
        """A path in the folder of the test."""
        return os.path.join(self.folder, *names)

    def command(self, *words: str) -> List[str]:
        """The command line of ``executioner WORDS`` with this case's home."""
        return [self.python, "-m", "executioner", "--home", self.home] + list(words)

    def run(self, *words: str, **options: Any) -> Result:
        """Run the command to its end.

        ``env``: variables over the environment, None removes one; ``stdin``: bytes; ``preexec``: called in the child.
        """
        environ = dict(self.environ)
        for key, value in options.pop("env", {}).items():
            if value is None:
                environ.pop(key, None)
            else:
                environ[key] = value
        stdin = options.pop("stdin", b"")
        preexec = options.pop("preexec", None)
        assert not options, options
        done = subprocess.run(self.command(*words), cwd=self.folder, env=environ, input=stdin, stdout=subprocess.PIPE,
                              stderr=subprocess.PIPE, preexec_fn=preexec, timeout=PATIENCE_S)
        return Result(self, words, done.returncode, done.stdout, done.stderr)

    def run_each(self, *commands: Sequence[str]) -> List[Result]:
        """Run several commands that start nothing: each in a fork of one interpreter, which is most of what they cost."""
        with tempfile.TemporaryDirectory() as folder:
            words = [self.python, "-c", _EACH, folder, json.dumps([["--home", self.home] + list(one) for one in commands])]
            codes = subprocess.check_output(words, cwd=self.folder, env=self.environ, stdin=subprocess.DEVNULL,
                                            timeout=PATIENCE_S).split()
            said = []
            for number in range(len(commands)):
                for stream in ("out", "err"):
                    with open(os.path.join(folder, "%d.%s" % (number, stream)), "rb") as kept:
                        said.append(kept.read())
        return [Result(self, one, int(code), out, err)
                for one, code, out, err in zip(commands, codes, said[::2], said[1::2])]

    @contextlib.contextmanager
    def background(self, *words: str, **options: Any) -> "Iterator[subprocess.Popen[bytes]]":
        """The command, running beside the test; one that hangs is killed, and whatever reads from it goes on."""
        process = subprocess.Popen(self.command(*words), cwd=self.folder, env=self.environ, **options)
        timer = threading.Timer(PATIENCE_S, process.kill)
        timer.start()
        try:
            yield process
        finally:
            process.wait()
            timer.cancel()
            for stream in (process.stdout, process.stderr):
                if stream is not None:
                    stream.close()

    def normalised(self, output: bytes) -> str:
        """The output with HOME, DIR, HOST, TIME, ``T s`` and ``pid N`` where those stand."""
        text = output.decode("utf-8", "backslashreplace")
        text = text.replace(self.home, "HOME").replace(self.folder, "DIR").replace(sys.executable, "PYTHON")
        text = _PROGRAM.sub("EXECUTIONER", text)
        text = text.replace("  host     %s\n" % os.uname().nodename, "  host     HOST\n")
        text = _SIZE.sub("SIZE", text)
        return _PID.sub("pid N", _DURATION.sub("T s", _TIME.sub("TIME", text)))


def _document(text: str) -> str:
    if not text.startswith("\n"):
        return text
    lines = text[1:].split("\n")
    indent = min([len(line) - len(line.lstrip()) for line in lines if line.strip()] or [0])
    return "\n".join(line[indent:] for line in lines[:-1]) + "\n"


def _squeezed(text: str) -> str:
    """Columns of a table are as wide as times and sizes happen to be: two blanks stand for any more."""
    return _COLUMNS.sub("  ", text)


def _no_constant(name: str) -> None:
    raise AssertionError("%s is no JSON" % name)
