"""The rules about statements for Oracle catch what they are for, and let pass what is right."""
import os
import re

import pytest

from db.export import literal
from db.migrations import MIGRATIONS
from db.oracle_adapter import blank_for_empty, empty_for_blank
from oracle_rules import RESERVED, broken_rules

SCRIPTS = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "db", "migrations", "oracle")


@pytest.mark.parametrize("sql", [
    "SELECT a FROM t LIMIT 3", "CREATE TABLE t (\na BIGINT\n)", "CREATE TABLE t (\na BOOLEAN\n)",
    "CREATE TABLE t (\nlevel NUMBER(19)\n)", "CREATE TABLE t (\na VARCHAR2\n)", "CREATE TABLE t (\na VARCHAR2(10)\n)",
    "CREATE TABLE t (\na VARCHAR2(5000 CHAR)\n)", "CREATE TABLE t (\na NUMBER(40)\n)", "CREATE TABLE IF NOT EXISTS t (a)",
    "INSERT INTO t VALUES (1), (2)", "SELECT x.a FROM t AS x", "SELECT a FROM t EXCEPT SELECT b FROM u", "SELECT 1",
    "SELECT a FROM t WHERE reason = :1", "SELECT DISTINCT details FROM t", "SELECT a FROM t ORDER BY why",
    "SELECT a FROM t WHERE b = ?", "INSERT INTO t VALUES ('')", "SELECT \"a\" FROM t", "SELECT a FROM t;",
    "SELECT a FROM this_name_has_thirty_one_charact", "INSERT INTO t VALUES (1) ON CONFLICT DO NOTHING",
    "UPDATE t SET a = TRUE", "ALTER TABLE t ADD COLUMN a NUMBER(1)", "CREATE TABLE t (\na NUMBER(1) NOT NULL DEFAULT 0\n)",
    "INSERT OR REPLACE INTO t VALUES (1)",
])
def test_what_oracle_refuses_is_caught(sql: str) -> None:
    assert broken_rules(sql)


@pytest.mark.parametrize("sql", [
    "SELECT a FROM t WHERE b = :1 AND c = 'it''s LIMIT ? TRUE'", "SELECT 1 FROM dual",
    "INSERT INTO t (a, reason) VALUES (:1, ' ')", "SELECT * FROM (SELECT a FROM t ORDER BY a) WHERE ROWNUM <= :1",
    "UPDATE t SET reason = :1 WHERE a = :2", "SELECT a, reason FROM t ORDER BY a",
])
def test_what_is_right_passes(sql: str) -> None:
    assert broken_rules(sql) == []


def test_every_statement_of_the_migrations_keeps_them() -> None:
    for migration in MIGRATIONS:
        for statement in migration.text("oracle"):
            assert broken_rules(statement) == [], statement


def test_there_is_a_script_for_each_migration() -> None:
    assert sorted(os.listdir(SCRIPTS)) == ["%04d_%s.sql" % (one.version, one.name) for one in MIGRATIONS]


def test_no_table_and_no_column_bears_a_reserved_word() -> None:
    for migration in MIGRATIONS:
        for statement in migration.text("oracle"):
            words = re.match(r"CREATE TABLE (\w+)|ALTER TABLE (\w+) ADD (\w+)", statement)
            assert words is None or not {word.upper() for word in words.groups() if word} & RESERVED


@pytest.mark.parametrize("text", ["", " ", "   ", "a", " a", "a ", "\n", "ü", " \n "])
def test_an_empty_text_is_told_from_every_other(text: str) -> None:
    kept = blank_for_empty(text)
    assert kept and empty_for_blank(kept) == text


def test_blanks_stay_apart() -> None:
    assert len({blank_for_empty(" " * count) for count in range(10)}) == 10


@pytest.mark.parametrize("value, shown", [
    (None, "NULL"), (3, "3"), (-1.5, "-1.5"), ("", "' '"), ("it's", "'it''s'"), ("a\nb", "'a'\n    ||CHR(10)\n    ||'b'"),
    (float("inf"), "BINARY_DOUBLE_INFINITY"), (float("-inf"), "-BINARY_DOUBLE_INFINITY"),
])
def test_literals(value: object, shown: str) -> None:
    assert literal(value) == shown  # type: ignore[arg-type]


def test_no_line_of_a_long_literal_is_long() -> None:
    lines = literal("x'\n" * 5000).splitlines()
    assert max(len(line.encode()) for line in lines) < 2000
    assert all(line.lstrip(" |").startswith("TO_CLOB(") for line in lines)
