"""What every database behind the seam does alike. An adapter joins by a line in ``MAKERS``."""
import time
from typing import Callable, Dict, Iterator

import pytest

from db.interface import DatabaseInterface
from db.migration import Migration, apply_pending, pending
from db.sqlite_adapter import SQLiteAdapter
from jobs.exceptions import DatabaseError, ExecutionerError, InternalError, MigrationError

FIRST = Migration(1, "things", {
    "sqlite": (
        "CREATE TABLE schema_version (version INTEGER PRIMARY KEY, name TEXT NOT NULL, checksum TEXT NOT NULL, "
        "applied_at REAL NOT NULL)",
        "CREATE TABLE things (thing_id INTEGER PRIMARY KEY AUTOINCREMENT, name TEXT NOT NULL UNIQUE, size INTEGER)",
        "CREATE TABLE parts (thing_id INTEGER NOT NULL REFERENCES things (thing_id) ON DELETE CASCADE, weight REAL)",
    ),
    "postgresql": (
        "CREATE TABLE schema_version (version BIGINT PRIMARY KEY, name TEXT NOT NULL, checksum TEXT NOT NULL, "
        "applied_at DOUBLE PRECISION NOT NULL)",
        "CREATE TABLE things (thing_id BIGSERIAL PRIMARY KEY, name TEXT NOT NULL UNIQUE, size BIGINT)",
        "CREATE TABLE parts (thing_id BIGINT NOT NULL REFERENCES things (thing_id) ON DELETE CASCADE, "
        "weight DOUBLE PRECISION)",
    ),
})
ADD_COLOUR = {"sqlite": "ALTER TABLE things ADD COLUMN colour TEXT",
              "postgresql": "ALTER TABLE things ADD COLUMN colour TEXT"}
SECOND = Migration(2, "colours", {dialect: (statement,) for dialect, statement in ADD_COLOUR.items()})
BROKEN = Migration(2, "broken", {dialect: (
    statement,
    "INSERT INTO things (name) VALUES ('half')",
    "INSERT INTO no_such_table VALUES (1)",
) for dialect, statement in ADD_COLOUR.items()})

Maker = Callable[[], DatabaseInterface]


def sqlite_maker(request: "pytest.FixtureRequest", folder: str) -> Maker:
    """Opens one and the same SQLite file, again and again."""
    path = folder + "/things.db"
    SQLiteAdapter.create(path, lambda database: [apply_pending(database, (FIRST,))] and None)
    return lambda: SQLiteAdapter(path, lock_timeout_s=0.2)


def postgresql_maker(request: "pytest.FixtureRequest", folder: str) -> Maker:
    """Connects to one and the same schema of a PostgreSQL server, again and again."""
    place = request.getfixturevalue("postgresql").place()
    from db.postgresql_adapter import PostgreSQLAdapter
    first = PostgreSQLAdapter(place)
    apply_pending(first, (FIRST,))
    first.close()
    return lambda: PostgreSQLAdapter(place, lock_timeout_s=0.2)


MAKERS: Dict[str, Callable[["pytest.FixtureRequest", str], Maker]] = {
    "postgresql": postgresql_maker, "sqlite": sqlite_maker}


@pytest.fixture(params=sorted(MAKERS))
def connect(request: "pytest.FixtureRequest", tmp_path: object) -> Iterator[Maker]:
    """Connects to one database; all connections are closed in the end."""
    made = []
    maker = MAKERS[request.param](request, str(tmp_path))

    def connection() -> DatabaseInterface:
        made.append(maker())
        return made[-1]

    yield connection
    for database in made:
        database.close()


@pytest.fixture
def database(connect: Maker) -> DatabaseInterface:
    return connect()


def test_values_are_bound_and_come_back(database: DatabaseInterface) -> None:
    name = "Robert'); DROP TABLE things;-- ü %s %% :1 ?"
    assert database.execute("INSERT INTO things (name, size) VALUES (?, ?)", (name, 7)) == 1
    assert database.fetchone("SELECT name, size FROM things WHERE name = ?", (name,)) == (name, 7)
    assert database.fetchall("SELECT name, size FROM things") == [(name, 7)]
    assert database.has_table("things")
    assert not database.has_table("thing")


def test_what_stands_in_quotes_is_no_placeholder(database: DatabaseInterface) -> None:
    assert database.fetchone("SELECT 'it''s 100 % ? :1', name FROM things WHERE name LIKE '%?%' OR name = ?",
                             ("a",)) is None
    database.execute("INSERT INTO things (name) VALUES ('so?')")
    assert database.fetchone("SELECT 'it''s 100 % ? :1', name FROM things WHERE name LIKE '%?%' OR name = ?",
                             ("a",)) == ("it's 100 % ? :1", "so?")


def test_a_text_with_a_nul_is_kept_or_escaped(database: DatabaseInterface) -> None:
    database.execute("INSERT INTO things (name) VALUES (?)", ("a\0b",))
    database.executemany("INSERT INTO things (name) VALUES (?)", [("c\0d",)])
    kept = [row[0] for row in database.fetchall("SELECT name FROM things ORDER BY name")]
    assert kept in (["a\0b", "c\0d"], ["a\\x00b", "c\\x00d"])


def test_nothing_found(database: DatabaseInterface) -> None:
    assert database.fetchone("SELECT name FROM things WHERE size = ?", (1,)) is None
    assert database.fetchall("SELECT name FROM things") == []


def test_counts_of_changed_rows(database: DatabaseInterface) -> None:
    insert = "INSERT INTO things (name, size) VALUES (?, ?)"
    assert database.executemany(insert, [("a", 1), ("b", 1), ("c", 2)]) == 3
    assert database.execute("UPDATE things SET size = ? WHERE size = ?", (5, 1)) == 2
    assert database.executemany("UPDATE things SET size = 9 WHERE size = ?", [(5,), (2,), (77,)]) == 3
    assert database.execute("DELETE FROM things WHERE size = ?", (77,)) == 0
    assert database.executemany(insert, []) == 0
    assert database.execute("CREATE TABLE more (x INTEGER)") == 0


def test_new_ids_grow_and_are_never_given_twice(database: DatabaseInterface) -> None:
    insert = "INSERT INTO things (name) VALUES (?)"
    first = database.insert(insert, ("a",), "thing_id")
    second = database.insert(insert, ("b",), "thing_id")
    database.execute("DELETE FROM things WHERE thing_id = ?", (second,))
    third = database.insert(insert, ("c",), "thing_id")
    assert first < second < third
    assert database.fetchone("SELECT name FROM things WHERE thing_id = ?", (third,)) == ("c",)


def test_pages(database: DatabaseInterface) -> None:
    database.executemany("INSERT INTO things (name, size) VALUES (?, ?)", [(str(n), n) for n in range(10)])
    query = database.paged("SELECT size FROM things WHERE size < ? ORDER BY size DESC")
    assert database.fetchall(query, (8, 3)) == [(7,), (6,), (5,)]
    assert database.fetchall(query, (2, 3)) == [(1,), (0,)]
    assert database.fetchall(query, (2, 0)) == []


def test_a_transaction_is_kept_as_a_whole(connect: Maker) -> None:
    one, other = connect(), connect()
    with one.transaction():
        assert one.in_transaction
        one.execute("INSERT INTO things (name) VALUES ('a')")
        assert other.fetchall("SELECT name FROM things") == []
        one.execute("INSERT INTO things (name) VALUES ('b')")
    assert not one.in_transaction
    assert other.fetchall("SELECT name FROM things ORDER BY name") == [("a",), ("b",)]


@pytest.mark.parametrize("error", [ValueError("ours"), KeyboardInterrupt()])
def test_any_exception_undoes_a_transaction(database: DatabaseInterface, error: BaseException) -> None:
    with pytest.raises(type(error)):
        with database.transaction():
            database.execute("INSERT INTO things (name) VALUES ('a')")
            raise error
    assert not database.in_transaction
    assert database.fetchall("SELECT name FROM things") == []
    with database.transaction():
        database.execute("INSERT INTO things (name) VALUES ('b')")
    assert database.fetchall("SELECT name FROM things") == [("b",)]


def test_no_transaction_inside_a_transaction(database: DatabaseInterface) -> None:
    with pytest.raises(InternalError):
        with database.transaction():
            with database.transaction():
                pass
    assert not database.in_transaction


def test_writers_wait_for_each_other_and_then_give_up(connect: Maker) -> None:
    one, other = connect(), connect()
    change = "UPDATE things SET size = size + 1 WHERE name = 'both'"
    one.execute("INSERT INTO things (name, size) VALUES ('both', 1)")
    with one.transaction():
        one.execute(change)
        before = time.monotonic()
        with pytest.raises(DatabaseError) as caught:
            with other.transaction():
                other.execute(change)
        assert time.monotonic() - before >= 0.2
    assert caught.value.context["cause"] == "locked"
    assert not other.in_transaction
    with other.transaction():
        other.execute(change)
    assert one.fetchone("SELECT size FROM things WHERE name = 'both'") == (3,)


def test_exclusive_holds_over_several_transactions(connect: Maker) -> None:
    one, other = connect(), connect()
    with one.exclusive():
        with one.transaction():
            one.execute("INSERT INTO things (name) VALUES ('a')")
        with pytest.raises(DatabaseError):
            with other.transaction():
                pass
    with other.transaction():
        other.execute("INSERT INTO things (name) VALUES ('b')")


@pytest.mark.parametrize("sql, values", [
    ("INSERT INTO things (name) VALUES (?)", ("a",)),
    ("INSERT INTO things (name) VALUES (?)", (None,)),
    ("INSERT INTO parts (thing_id) VALUES (?)", (99,)),
])
def test_constraints_are_kept(database: DatabaseInterface, sql: str, values: tuple) -> None:
    database.execute("INSERT INTO things (name) VALUES ('a')")
    for attempt in (lambda: database.execute(sql, values), lambda: database.executemany(sql, [values])):
        with pytest.raises(DatabaseError) as caught:
            attempt()
        assert caught.value.context["cause"] == "constraint"


def test_what_belongs_to_a_row_goes_with_it(database: DatabaseInterface) -> None:
    thing = database.insert("INSERT INTO things (name) VALUES ('a')", (), "thing_id")
    database.execute("INSERT INTO parts (thing_id, weight) VALUES (?, ?)", (thing, 1.5))
    database.execute("DELETE FROM things WHERE thing_id = ?", (thing,))
    assert database.fetchall("SELECT weight FROM parts") == []


@pytest.mark.parametrize("sql", ["SELEKT 1", "SELECT nothing FROM things", "INSERT INTO nowhere VALUES (1)"])
def test_a_wrong_statement_is_one_line_that_names_the_place(database: DatabaseInterface, sql: str) -> None:
    with pytest.raises(DatabaseError) as caught:
        database.execute(sql)
    assert "\n" not in caught.value.message
    assert database.where in caught.value.message


@pytest.mark.parametrize("value, kept", [
    (1 << 63, (1 << 63) - 1), (-(1 << 80), -(1 << 63)), ((1 << 63) - 1, (1 << 63) - 1), (True, 1),
    (None, None), (10 ** 400, (1 << 63) - 1),
])
def test_any_integer_can_be_stored(database: DatabaseInterface, value: int, kept: int) -> None:
    database.execute("INSERT INTO things (name, size) VALUES ('a', ?)", (value,))
    found = database.fetchone("SELECT size FROM things")
    assert found == (kept,) and type(found[0]) is not bool


@pytest.mark.parametrize("value", [0.0, -1.5, 1700000000.123456, 1e-300, float("inf"), float("-inf"), 1 / 3])
def test_any_float_comes_back_exactly(database: DatabaseInterface, value: float) -> None:
    thing = database.insert("INSERT INTO things (name) VALUES ('a')", (), "thing_id")
    database.executemany("INSERT INTO parts (thing_id, weight) VALUES (?, ?)", [(thing, value)])
    assert database.fetchall("SELECT weight FROM parts WHERE weight = ?", (value,)) == [(value,)]


def test_any_text_can_be_stored_and_asked_for(database: DatabaseInterface) -> None:
    name = b"/data/\xff\xfe".decode("utf-8", "surrogateescape")
    assert database.execute("INSERT INTO things (name) VALUES (?)", (name,)) == 1
    assert database.fetchone("SELECT name FROM things WHERE name = ?", (name,)) == ("/data/\\udcff\\udcfe",)


@pytest.mark.parametrize("value", ["\udcff", 1 << 70, object()])
def test_a_value_that_was_not_made_storable_is_an_error_of_ours(database: DatabaseInterface, value: object) -> None:
    with pytest.raises(ExecutionerError):
        database.executemany("INSERT INTO things (name) VALUES (?)", [("a",), (value,)])


def test_a_wrong_number_of_values_is_a_bug(database: DatabaseInterface) -> None:
    with pytest.raises(InternalError):
        database.execute("INSERT INTO things (name) VALUES (?)", ())


def test_the_clock(database: DatabaseInterface) -> None:
    assert abs(database.now() - time.time()) < 5


def test_closing_twice_and_using_afterwards(database: DatabaseInterface) -> None:
    database.close()
    database.close()
    assert not database.in_transaction
    for use in (lambda: database.fetchone("SELECT 1"), lambda: database.executemany("SELECT ?", [(1,)]),
                lambda: database.execute("SELECT 1")):
        with pytest.raises(InternalError):
            use()


def test_closing_within_a_transaction_keeps_nothing_of_it(connect: Maker) -> None:
    one = connect()
    with pytest.raises(InternalError):
        with one.transaction():
            one.execute("INSERT INTO things (name) VALUES ('a')")
            one.close()
    other = connect()
    assert other.fetchall("SELECT name FROM things") == []
    with other.transaction():
        other.execute("INSERT INTO things (name) VALUES ('b')")


# ---- migrations ----------------------------------------------------------------------------------------------------


def test_pending_steps_are_applied_once_and_recorded(database: DatabaseInterface) -> None:
    assert [step.version for step in pending(database, (FIRST, SECOND))] == [2]
    assert apply_pending(database, (FIRST, SECOND)) == [2]
    assert apply_pending(database, (FIRST, SECOND)) == []
    assert pending(database, (FIRST, SECOND)) == []
    rows = database.fetchall("SELECT version, name, checksum, applied_at FROM schema_version ORDER BY version")
    assert [row[:3] for row in rows] == [(1, "things", FIRST.checksum(database.dialect)),
                                         (2, "colours", SECOND.checksum(database.dialect))]
    assert all(abs(row[3] - time.time()) < 60 for row in rows)
    database.execute("INSERT INTO things (name, colour) VALUES ('a', 'red')")


def test_a_newer_schema_is_refused(database: DatabaseInterface) -> None:
    apply_pending(database, (FIRST, SECOND))
    for refused in (lambda: pending(database, (FIRST,)), lambda: apply_pending(database, (FIRST,))):
        with pytest.raises(MigrationError) as caught:
            refused()
        assert caught.value.context == {"path": database.where, "found": 2, "known": 1}
        assert caught.value.message == (
            "%s was written by a newer executioner (schema 2, this one knows 1); install that version, or choose "
            "another --home" % database.where)


def test_a_step_that_is_not_ours_is_refused(database: DatabaseInterface) -> None:
    changed = Migration(1, "things", {database.dialect: FIRST.statements[database.dialect] + ("SELECT 2",)})
    renamed = Migration(1, "stuff", FIRST.statements)
    for other in (changed, renamed):
        with pytest.raises(MigrationError) as caught:
            apply_pending(database, (other, SECOND))
        assert "migration 1 (things) is not the one" in caught.value.message
    assert pending(database, (FIRST,)) == []


def test_a_gap_in_the_record_is_refused(database: DatabaseInterface) -> None:
    apply_pending(database, (FIRST, SECOND))
    database.execute("DELETE FROM schema_version WHERE version = 1")
    with pytest.raises(MigrationError):
        pending(database, (FIRST, SECOND))


def test_a_failed_step_is_undone_as_a_whole(database: DatabaseInterface) -> None:
    with pytest.raises(MigrationError) as caught:
        apply_pending(database, (FIRST, BROKEN))
    assert "migration 2 (broken) failed and was undone" in caught.value.message
    assert "\n" not in caught.value.message
    assert database.fetchall("SELECT version FROM schema_version") == [(1,)]
    assert database.fetchall("SELECT * FROM things") == []
    with pytest.raises(DatabaseError):
        database.fetchone("SELECT colour FROM things")
    assert apply_pending(database, (FIRST, SECOND)) == [2]


def test_steps_before_a_failed_one_are_kept(database: DatabaseInterface) -> None:
    broken = Migration(3, "broken", {database.dialect: ("INSERT INTO no_such_table VALUES (1)",)})
    with pytest.raises(MigrationError):
        apply_pending(database, (FIRST, SECOND, broken))
    assert pending(database, (FIRST, SECOND)) == []
