"""The migrations of the history, in order. They are modules, so that they come along in a zip archive too."""
from typing import Tuple

from db.migration import Migration
from db.migrations.m0001_history import MIGRATION as _HISTORY
from db.migrations.m0002_upkeep import MIGRATION as _UPKEEP
from db.migrations.m0003_central import MIGRATION as _CENTRAL
from db.migrations.m0004_waits import MIGRATION as _WAITS

__all__ = ["MIGRATIONS"]

#: Every schema change there ever was; the last one's version is the schema that this program knows.
MIGRATIONS: Tuple[Migration, ...] = (_HISTORY, _UPKEEP, _CENTRAL, _WAITS)
