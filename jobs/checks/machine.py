"""The checks that look at the machine and at others: is there room on a disk, does somebody listen on a port."""
import os

from jobs.checks.parameters import Share
from jobs.checks.result import CheckContext, CheckResult
from jobs.keeper.verdict import bytes_text

__all__ = ["PORT_TIMEOUT_S", "check_disk_free", "check_port_open"]

#: Seconds that connecting may take, where nothing else is said.
PORT_TIMEOUT_S = 10.0


def check_disk_free(context: CheckContext, min_free: Share, path: str = ".") -> CheckResult:
    """Passes where the file system of a path has so much room left for us."""
    name = "check_disk_free"
    full = os.path.normpath(context.path(path))
    try:
        facts = os.statvfs(full)
    except OSError as error:
        return CheckResult(name, False, "cannot look at %s: %s" % (full, error.strerror or error))
    free, total = facts.f_bavail * facts.f_frsize, facts.f_blocks * facts.f_frsize
    percent = 100.0 * free / total if total else 0.0
    if min_free.percent is not None:
        is_enough, wanted = percent >= min_free.percent, "%g %%" % min_free.percent
    else:
        is_enough, wanted = free >= min_free.size_bytes, bytes_text(min_free.size_bytes)
    return CheckResult(name, is_enough, "%s has %s free (%.1f %% of %s); at least %s is asked for" % (
        full, bytes_text(free), percent, bytes_text(total), wanted))


def check_port_open(context: CheckContext, port: int, host: str = "localhost",
                    timeout: float = PORT_TIMEOUT_S) -> CheckResult:
    """Passes where somebody accepts a TCP connection.

    :param timeout: seconds that it may take, for each address that the host has
    """
    import socket

    name, place = "check_port_open", "%s:%d" % (host, port)
    try:
        socket.create_connection((host, port), timeout).close()
    except socket.timeout:
        return CheckResult(name, False, "%s does not answer within %g s" % (place, timeout))
    except socket.gaierror as error:
        return CheckResult(name, False, "%s: the host is not known: %s" % (place, error.strerror or error))
    except (OSError, UnicodeError) as error:
        return CheckResult(name, False, "%s: %s" % (place, getattr(error, "strerror", None) or error))
    return CheckResult(name, True, "%s is open" % place)
