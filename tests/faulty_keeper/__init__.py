"""Modules that a keeper under test executes before its loop: each puts failing parts in the place of real ones.

They are imported by the test as well, and must do nothing there.
"""
import sys

#: Whether this is the keeper's process.
IN_KEEPER = "executioner-keeper" in sys.argv
