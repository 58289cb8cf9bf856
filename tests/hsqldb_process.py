"""HSQLDB in a process of its own, spoken to by JSON lines: a Java machine in the process of the tests changes the guards of
its stack, and what recurses deeply there dies.

Each request is one line, ``[what, connection, ...]``; the answer is ``["ok", ...]`` or ``["error", code, text]``. Run as a
script it is that process; ``Engine`` is the other end.
"""
import atexit
import json
import os
import subprocess
import sys
from typing import Any, Dict, List, Optional, Sequence

__all__ = ["Engine", "JARS"]

JARS = ("/usr/share/java/hsqldb.jar", "/usr/share/java/hsqldb-2.6.0.jar")


class Engine:
    """The process with HSQLDB, one for all tests of this process; it ends with us."""

    _one: "Optional[Engine]" = None

    def __init__(self) -> None:
        environ = {name: value for name, value in os.environ.items() if name != "TEST_LEFTOVER_MARK"}
        self._child = subprocess.Popen([sys.executable, "-W", "ignore", os.path.abspath(__file__)], env=environ,
                                       stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        atexit.register(self.close)

    @classmethod
    def get(cls) -> "Engine":
        """The one engine, started where it is not there yet."""
        if cls._one is None or cls._one._child.poll() is not None:
            cls._one = cls()
        return cls._one

    def ask(self, *request: object) -> List[Any]:
        """One request and its answer."""
        assert self._child.stdin is not None and self._child.stdout is not None
        self._child.stdin.write(json.dumps(request).encode("ascii") + b"\n")
        self._child.stdin.flush()
        answer: List[Any] = json.loads(self._child.stdout.readline().decode("ascii"))
        return answer

    def close(self) -> None:
        """End it."""
        for stream in (self._child.stdin, self._child.stdout):
            if stream is not None:
                stream.close()
        self._child.wait(60)


def plain(value: Any) -> Any:
    """A value of Java as one of JSON."""
    name = type(value).__name__
    if "Clob" in name:
        return str(value.getSubString(1, int(value.length())))
    if "Long" in name or "Integer" in name or name == "JInt":
        return int(value)
    if "Double" in name:
        return float(value)
    if "BigDecimal" in name:
        return int(str(value)) if int(value.scale()) <= 0 else float(str(value))
    return str(value) if "String" in name else value


def code_of(error: BaseException) -> int:
    """HSQLDB's number of an error."""
    for cause in (error,) + tuple(getattr(error, "args", ())):
        code = getattr(cause, "getErrorCode", lambda: 0)()
        if code:
            return int(code)
    return 0


def answer(connections: Dict[int, Any], what: str, number: int, rest: Sequence[Any]) -> List[Any]:
    """Do what is asked."""
    import jaydebeapi
    if what == "connect":
        jar = next(jar for jar in JARS if os.path.exists(jar))
        connection = jaydebeapi.connect("org.hsqldb.jdbc.JDBCDriver", rest[0], ["SA", ""], jar)
        connection.jconn.setAutoCommit(False)
        connections[max(connections, default=0) + 1] = connection
        return [max(connections)]
    if what == "close":
        connections.pop(number).close()
        return []
    if what in ("commit", "rollback"):
        getattr(connections[number], what)()
        return []
    cursor = connections[number].cursor()
    try:
        cursor.execute(rest[0], rest[1])
        rows = None if cursor.description is None else [[plain(value) for value in row] for row in cursor.fetchall()]
        return [cursor.rowcount, rows]
    finally:
        cursor.close()


def main() -> None:
    """Answer until the end of the input."""
    connections: Dict[int, Any] = {}
    out = os.fdopen(os.dup(1), "w", encoding="ascii")
    os.dup2(2, 1)  # whatever Java prints is no answer
    for line in sys.stdin:
        request = json.loads(line)
        try:
            found = ["ok"] + answer(connections, request[0], request[1], request[2:])
        except Exception as error:  # noqa: BLE001 - whatever JDBC says
            found = ["error", code_of(error), " ".join(str(error).split())]
        out.write(json.dumps(found) + "\n")
        out.flush()


if __name__ == "__main__":
    main()
