"""No signal reaches anybody, as with a process that hangs in a device, or is another user's."""
from faulty_keeper import IN_KEEPER
from jobs import system


def deny(pid: int, number: int) -> None:
    """As the kernel answers for another user's process."""
    raise PermissionError(1, "Operation not permitted")


if IN_KEEPER:
    system.kill = deny
    system.killpg = deny
