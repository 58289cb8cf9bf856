"""Loads cleaned order files into a fresh SQLite database: load.py DATABASE CUSTOMERS ORDERS..."""
import csv
import os
import sqlite3
import sys

SCHEMA = """
CREATE TABLE customers (id TEXT PRIMARY KEY, name TEXT NOT NULL);
CREATE TABLE orders (
    id TEXT PRIMARY KEY, region TEXT NOT NULL, customer TEXT NOT NULL REFERENCES customers (id), cents INTEGER NOT NULL
);
"""


def rows(path, skip=0):
    """The lines of a CSV file."""
    with open(path, encoding="utf-8", newline="") as source:
        return list(csv.reader(source))[skip:]


database, customers, orders = sys.argv[1], sys.argv[2], sys.argv[3:]
if os.path.exists(database):
    os.unlink(database)
connection = sqlite3.connect(database)
connection.executescript(SCHEMA)
with connection:
    connection.executemany("INSERT INTO customers VALUES (?, ?)", rows(customers, skip=1))
    for path in orders:
        found = [(key, region, who, round(float(amount) * 100)) for key, region, who, amount in rows(path)]
        connection.executemany("INSERT INTO orders VALUES (?, ?, ?, ?)", found)
print("%d orders" % connection.execute("SELECT count(*) FROM orders").fetchone())
connection.close()
