"""Every error of Executioner: one tree, one table of codes.

    ExecutionerError                  E000
    +-- ConfigurationError            E100   the file, the arguments or the environment: exit 2
    |   +-- DependencyError           E130   a cycle or a dependency that does not exist
    |   `-- SecurityError             E150   refused by a security rule
    +-- JobExecutionError             E200   a job could not be run as asked: exit 1
    |   `-- JobTimeoutError           E210   a time limit was passed
    +-- OverlapError                  E300   another run of the application holds the lock: exit 75
    +-- StorageError                  E400   the history or the home cannot be used: exit 3
    |   +-- DatabaseError             E410   the database refused
    |   `-- MigrationError            E420   the schema is newer, or a migration failed
    +-- NotificationError             E500   a message could not be delivered
    +-- APIError                      E600   a request cannot be answered
    `-- InternalError                 E900   a defect of ours: exit 3

An error carries facts (``context``); sentences are made where they are shown.
"""
import time
from typing import Any, Dict, Optional

from jobs.times import utc_text

__all__ = [
    "APIError", "ConfigurationError", "DatabaseError", "DependencyError", "ERROR_CODES", "ExecutionerError",
    "InternalError", "JobExecutionError", "JobTimeoutError", "MigrationError", "NotificationError", "OverlapError",
    "SecurityError", "StorageError", "EXIT_FAILED", "EXIT_INTERNAL", "EXIT_LOCKED", "EXIT_OK", "EXIT_SIGNAL",
    "EXIT_USAGE",
]

EXIT_OK = 0
EXIT_FAILED = 1
EXIT_USAGE = 2
EXIT_INTERNAL = 3
EXIT_LOCKED = 75
EXIT_SIGNAL = 128


class ExecutionerError(Exception):
    """Base of all errors.

    :param message: one line: what is wrong, where, and what to do
    :param error_code: stable code; the class's own where not given
    :param context: facts for machines (paths, values, ids); must be JSON-able
    """

    default_code = "E000"
    exit_code = EXIT_INTERNAL

    def __init__(self, message: str, error_code: Optional[str] = None,
                 context: Optional[Dict[str, Any]] = None) -> None:
        super().__init__(message)
        self.message = message
        self.error_code = error_code or self.default_code
        self.context = dict(context or {})
        self.timestamp = utc_text(time.time())

    def to_dict(self) -> Dict[str, Any]:
        """The error as a JSON-able object, for logs and the API."""
        return {"error": type(self).__name__, "error_code": self.error_code, "message": self.message,
                "context": self.context, "timestamp": self.timestamp}


class ConfigurationError(ExecutionerError):
    """The configuration, the command line or the environment is wrong; nothing was started."""

    default_code = "E100"
    exit_code = EXIT_USAGE


class DependencyError(ConfigurationError):
    """A dependency names no job, or the dependencies form a cycle."""

    default_code = "E130"


class SecurityError(ConfigurationError):
    """Refused by a security rule (policy, permissions, set-uid)."""

    default_code = "E150"


class JobExecutionError(ExecutionerError):
    """A job could not be run as asked."""

    default_code = "E200"
    exit_code = EXIT_FAILED


class JobTimeoutError(JobExecutionError):
    """A job passed one of its time limits."""

    default_code = "E210"


class OverlapError(ExecutionerError):
    """Another run of the same application holds the lock."""

    default_code = "E300"
    exit_code = EXIT_LOCKED


class StorageError(ExecutionerError):
    """The home folder or a file in it cannot be used."""

    default_code = "E400"


class DatabaseError(StorageError):
    """The database refused a statement or cannot be opened."""

    default_code = "E410"


class MigrationError(StorageError):
    """The schema of the history is newer than this version, or a migration failed."""

    default_code = "E420"


class NotificationError(ExecutionerError):
    """A notification could not be delivered; never changes the result of a run."""

    default_code = "E500"


class APIError(ExecutionerError):
    """A request to the HTTP API cannot be answered."""

    default_code = "E600"


class InternalError(ExecutionerError):
    """This is a bug: a state that must not be."""

    default_code = "E900"


#: The documented table of class codes (the validator's own codes stand in ``config/problems.py``).
ERROR_CODES = {cls.default_code: cls for cls in (
    ExecutionerError, ConfigurationError, DependencyError, SecurityError, JobExecutionError, JobTimeoutError,
    OverlapError, StorageError, DatabaseError, MigrationError, NotificationError, APIError, InternalError)}
