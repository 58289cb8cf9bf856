"""One of many that use a history at the same time: ``writers_worker.py CHECKOUT ROLE PATH NUMBER LEDGER``, until it is killed.

ROLE is ``make`` (the tables), ``write``, ``checkpoint``, ``open`` or ``read``. It goes through the product's own adapter. LEDGER
gets ``A N`` after each commit, and ``X TEXT`` about what should not have been.
"""
import os
import sys
import time


def main():
    """Do what the role says, for ever."""
    checkout, role, path, number, ledger = sys.argv[1:6]
    sys.path[0] = checkout
    from db import sqlite_adapter
    from db.history import History
    # So that the log is copied back often.
    sqlite_adapter.CHECKPOINT_PAGES = 20
    out = os.open(ledger, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
    try:
        if role == "make":
            History.open(path).close()
            make(sqlite_adapter.SQLiteAdapter(path))
        else:
            ROLES[role](sqlite_adapter.SQLiteAdapter, path, int(number), out)
    except Exception as error:
        os.write(out, ("X %s: %s\n" % (type(error).__name__, str(error).replace("\n", " "))).encode("utf-8", "replace"))
        return 1
    return 0


def make(adapter):
    """The tables of this row, beside those of the history."""
    with adapter.transaction():
        adapter.execute("CREATE TABLE faults (writer INTEGER, number INTEGER, filler TEXT)")
        adapter.execute("CREATE TABLE faults_total (total INTEGER)")
        adapter.execute("INSERT INTO faults_total (total) VALUES (0)")
    adapter.close()


def write(adapter_of, path, number, out):
    """Commit after commit, each of which reads what it changes."""
    adapter = adapter_of(path)
    count = 0
    while True:
        count += 1
        with adapter.transaction():
            total = adapter.fetchone("SELECT total FROM faults_total")[0]
            adapter.execute("INSERT INTO faults (writer, number, filler) VALUES (?, ?, ?)", (number, count, "x" * (count * 97 % 3000)))
            adapter.execute("UPDATE faults_total SET total = ?", (total + 1,))
        os.write(out, b"A %d\n" % count)


def checkpoint(adapter_of, path, number, out):
    """Empty the log again and again."""
    adapter = adapter_of(path)
    while True:
        adapter.checkpoint()
        time.sleep(0.005)


def reopen(adapter_of, path, number, out):
    """Open and close: the close empties the log."""
    while True:
        adapter_of(path).close()
        time.sleep(0.005)


def read(adapter_of, path, number, out):
    """Every look finds a whole commit."""
    adapter = adapter_of(path, readonly=True)
    while True:
        row = adapter.fetchone("SELECT (SELECT total FROM faults_total), (SELECT COUNT(*) FROM faults)")
        if row[0] != row[1]:
            os.write(out, b"X a reader saw %d rows, counted were %d\n" % (row[1], row[0]))
        time.sleep(0.01)


ROLES = {"write": write, "checkpoint": checkpoint, "open": reopen, "read": read}

if __name__ == "__main__":
    sys.exit(main())
