"""What a file may say: key table, loader, validator, JSON Schema, and the way from a file to a pipeline."""
from config.features import FEATURES

__all__ = ["FEATURES"]
