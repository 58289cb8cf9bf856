"""Messages between runner and keeper: a length, then a marshalled value, over two pipes that never block.

Both ends run the same interpreter and trust each other, so ``marshal`` does. What cannot be written at once stays in a
buffer; neither end ever waits for the other to read.
"""
import marshal
import os
import struct

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, List, Tuple

__all__ = ["Channel", "frame"]

_LENGTH = struct.Struct(">I")
_READ_BYTES = 1 << 16


def frame(message: "Any") -> bytes:
    """A message as it travels."""
    body = marshal.dumps(message)
    return _LENGTH.pack(len(body)) + body


class Channel:
    """One end of the conversation: reads from one pipe, writes to another.

    :param read_fd: both become non-blocking and are closed by ``close``
    """

    def __init__(self, read_fd: int, write_fd: int) -> None:
        os.set_blocking(read_fd, False)
        os.set_blocking(write_fd, False)
        self.read_fd = read_fd
        self.write_fd = write_fd
        #: The other end is gone: nothing will come any more, nothing can be sent.
        self.ended = False
        self._unread = bytearray()
        self._unwritten = bytearray()

    @property
    def wants_write(self) -> bool:
        """Whether something waits until the pipe has room."""
        return bool(self._unwritten)

    def send(self, message: "Any") -> None:
        """Send a message, or keep it until ``flush`` can."""
        self.send_bytes(frame(message))

    def send_bytes(self, data: bytes) -> None:
        """Send bytes that ``frame`` made."""
        self._unwritten += data
        self.flush()

    def flush(self) -> None:
        """Write as much as the pipe takes."""
        while self._unwritten:
            try:
                written = os.write(self.write_fd, self._unwritten)
            except BlockingIOError:
                return
            except OSError:
                # EPIPE: the end of the reader is also seen by reading, after what it still said.
                self._unwritten = bytearray()
                return
            del self._unwritten[:written]

    def receive(self) -> "List[Tuple[object, ...]]":
        """Every whole message that is there; sets ``ended`` at the end of the stream."""
        while True:
            try:
                data = os.read(self.read_fd, _READ_BYTES)
            except BlockingIOError:
                break
            except OSError:
                data = b""
            if not data:
                self.ended = True
                break
            self._unread += data
            if len(data) < _READ_BYTES and not self._lacks_bytes():
                break
        return self._whole_messages()

    def receive_all(self) -> "List[Tuple[object, ...]]":
        """As ``receive``, and surely up to the end of what is there: where the end of the stream must be noticed."""
        messages = []
        while True:
            found = self.receive()
            messages += found
            if self.ended or not found:
                return messages

    def close(self) -> None:
        """Close both pipes."""
        os.close(self.read_fd)
        os.close(self.write_fd)

    def _lacks_bytes(self) -> bool:
        if len(self._unread) < _LENGTH.size:
            return True
        length: int = _LENGTH.unpack_from(self._unread)[0]
        return len(self._unread) < _LENGTH.size + length

    def _whole_messages(self) -> "List[Tuple[object, ...]]":
        messages = []
        at = 0
        while len(self._unread) - at >= _LENGTH.size:
            length: int = _LENGTH.unpack_from(self._unread, at)[0]
            if len(self._unread) - at - _LENGTH.size < length:
                break
            at += _LENGTH.size
            messages.append(marshal.loads(bytes(self._unread[at:at + length])))  # noqa: S302
            at += length
        if at:
            del self._unread[:at]
        return messages
