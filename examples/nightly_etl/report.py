"""Writes the orders and their sum for each customer or region: report.py DATABASE customer|region CSV"""
import csv
import sqlite3
import sys

QUERIES = {
    "customer": "SELECT c.name, count(*), sum(o.cents) FROM orders o JOIN customers c ON c.id = o.customer"
                " GROUP BY c.name ORDER BY c.name",
    "region": "SELECT region, count(*), sum(cents) FROM orders GROUP BY region ORDER BY region",
}

database, by, target = sys.argv[1:]
connection = sqlite3.connect(database)
with open(target, "w", encoding="utf-8", newline="") as out:
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow([by, "orders", "amount"])
    for name, count, cents in connection.execute(QUERIES[by]):
        writer.writerow([name, count, "%.2f" % (cents / 100)])
connection.close()
