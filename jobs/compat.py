"""The one module that asks which Python is running.

``typing`` gained ``Protocol`` and ``TypedDict`` in 3.8. Below that the
``typing_extensions`` backport gives them; where it is not installed (3.7 needs
nothing at run time) plain stand-ins do, since only type checkers look at them.
"""
import sys
from typing import TYPE_CHECKING

__all__ = ["Protocol", "TypedDict", "HAS_POSIX_SPAWN"]

if TYPE_CHECKING:
    from typing_extensions import Protocol, TypedDict
elif sys.version_info >= (3, 8):
    from typing import Protocol, TypedDict
else:
    try:
        from typing_extensions import Protocol, TypedDict
    except ImportError:
        Protocol = object

        def TypedDict(name, fields, total=True):
            """Stand-in of the functional form: at run time a typed dictionary is a dictionary."""
            return dict

#: ``os.posix_spawn`` with ``setsid`` is 3.8 and newer.
HAS_POSIX_SPAWN = sys.version_info >= (3, 8)
