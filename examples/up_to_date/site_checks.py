"""Checks of our own, which the configuration adds with dependency_plugins."""
import csv


def check_rows(path, least=1):
    """Passes where a CSV file has so many rows below its heading."""
    with open(path, newline="") as lines:
        rows = len(list(csv.reader(lines))) - 1
    return rows >= least, "%s has %d rows, at least %d are wanted" % (path, rows, least)
