"""A keeper that fails before it begins."""
from faulty_keeper import IN_KEEPER

if IN_KEEPER:
    raise ZeroDivisionError("stillborn")
