"""Schema 4: ``attempts.ready_at``, since when an attempt waited for nothing but its turn.

Epoch seconds: its dependencies were settled, or the wait for a retry was over. NULL for what older versions ran.
"""
from db.migration import Migration

__all__ = ["MIGRATION"]

MIGRATION = Migration(4, "waits", {"sqlite": ("ALTER TABLE attempts ADD COLUMN ready_at REAL",)})
