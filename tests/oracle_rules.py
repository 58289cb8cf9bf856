"""What Oracle 12.1 and newer refuses and HSQLDB's Oracle mode lets through, as rules about a statement's text."""
import re
from typing import List

__all__ = ["broken_rules", "RESERVED"]

#: Oracle's reserved words; none may name a table or a column of ours.
RESERVED = frozenset("""ACCESS ADD ALL ALTER AND ANY AS ASC AUDIT BETWEEN BY CHAR CHECK CLUSTER COLUMN COLUMN_VALUE
    COMMENT COMPRESS CONNECT CREATE CURRENT DATE DECIMAL DEFAULT DELETE DESC DISTINCT DROP ELSE EXCLUSIVE EXISTS FILE
    FLOAT FOR FROM GRANT GROUP HAVING IDENTIFIED IMMEDIATE IN INCREMENT INDEX INITIAL INSERT INTEGER INTERSECT INTO IS
    LEVEL LIKE LOCK LONG MAXEXTENTS MINUS MLSLABEL MODE MODIFY NESTED_TABLE_ID NOAUDIT NOCOMPRESS NOT NOWAIT NULL NUMBER
    OF OFFLINE ON ONLINE OPTION OR ORDER PCTFREE PRIOR PUBLIC RAW RENAME RESOURCE REVOKE ROW ROWID ROWNUM ROWS SELECT
    SESSION SET SHARE SIZE SMALLINT START SUCCESSFUL SYNONYM SYSDATE TABLE THEN TO TRIGGER UID UNION UNIQUE UPDATE USER
    VALIDATE VALUES VARCHAR VARCHAR2 VIEW WHENEVER WHERE WITH""".split())
#: Columns of ours that are CLOBs: neither compared nor sorted by, nor made distinct.
CLOBS = ("config_text", "reason", "config_path", "options", "record_path", "log_dir", "description", "recovery",
         "stdout_path", "stderr_path", "survivors", "value", "why", "details")
#: What must not stand outside of quotes, and why.
_FORBIDDEN = (
    (r"\bLIMIT\b", "no LIMIT"), (r"\b(BIGINT|BOOLEAN|TEXT|REAL|DOUBLE PRECISION|SERIAL|BIGSERIAL)\b", "no such type"),
    (r"\bIF (NOT )?EXISTS\b", "no IF EXISTS"), (r"\bAUTOINCREMENT\b", "no AUTOINCREMENT"), (r"\bEXCEPT\b", "no EXCEPT"),
    (r"\bGROUP_CONCAT\b", "no GROUP_CONCAT"), (r"\b(FROM|JOIN)\s+\w+\s+AS\b", "no AS before a table's alias"),
    (r"\)\s*,\s*\(", "one row behind VALUES"), (r"\bON CONFLICT\b|\bOR REPLACE INTO\b|\bOR IGNORE\b", "no upsert"),
    (r"\?", "a placeholder of another style"), (r'"', "no quoted names"), (r"\b(TRUE|FALSE)\b", "no truth values"),
    (r"\bVARCHAR\b", "VARCHAR2"), (r"\bVARCHAR2(?!\s*\()", "VARCHAR2 without a length"),
    (r"\bVARCHAR2\s*\(\d+\)", "VARCHAR2 counts bytes without CHAR"), (r"\bUNSIGNED\b", "no UNSIGNED"),
    (r"\bNOT NULL\s+DEFAULT\b", "DEFAULT stands before NOT NULL"), (r"\bON UPDATE\b", "no ON UPDATE"),
    (r";", "no semicolon at the end"), (r"\bLIMIT|OFFSET\s+:\d+\s*\Z", "no OFFSET alone"),
    (r"\b(BEGIN|COMMIT|ROLLBACK|PRAGMA)\b", "not through a cursor"), (r"==", "one = compares"),
    (r"\bADD COLUMN\b", "ADD without COLUMN"))


def broken_rules(sql: str) -> List[str]:
    """Every rule that a statement breaks."""
    problems = []
    if "''" in re.findall(r"'(?:[^']|'')*'", sql):
        problems.append("an empty text is NULL")
    outside = re.sub(r"'(?:[^']|'')*'", "' '", sql)
    for pattern, why in _FORBIDDEN:
        if re.search(pattern, outside, re.IGNORECASE):
            problems.append(why)
    for size in re.findall(r"\bVARCHAR2\s*\((\d+)", outside):
        if int(size) > 4000:
            problems.append("VARCHAR2 has 4000 at most")
    for size in re.findall(r"\bNUMBER\s*\((\d+)", outside):
        if int(size) > 38:
            problems.append("NUMBER has 38 digits at most")
    problems += ["%s is longer than 30" % word for word in re.findall(r"\b[A-Za-z_][A-Za-z0-9_]*", outside)
                 if len(word) > 30]
    if re.match(r"\s*SELECT\b", outside) and not re.search(r"\bFROM\b", outside):
        problems.append("SELECT without FROM")
    if re.match(r"\s*CREATE TABLE\b", outside):
        for line in outside.splitlines()[1:-1]:
            words = line.split()
            if words and words[0].upper() in RESERVED:
                problems.append("the column %s bears a reserved word" % words[0])
    if not re.match(r"\s*(CREATE|ALTER|INSERT|UPDATE)\b", outside):
        for name in CLOBS:
            if re.search(r"\b%s\s*(=|<>|<|>|IN\b|LIKE\b)" % name, outside):
                problems.append("the CLOB %s is compared" % name)
        clause = re.search(r"\b(ORDER|GROUP) BY\b(.*)\Z", outside, re.DOTALL)
        if clause is not None and set(re.findall(r"\w+", clause.group(2))).intersection(CLOBS):
            problems.append("sorted or grouped by a CLOB")
        if re.search(r"\bDISTINCT\b", outside) and set(re.findall(r"\w+", outside)).intersection(CLOBS):
            problems.append("DISTINCT with a CLOB")
    return problems
