"""Bearer tokens: made once, shown once, kept as SHA-256 in a file that nobody else may read.

    store = TokenStore(home.api_tokens)
    secret = store.create("grafana", "read", now)      # the only time that it is seen
    store.find("Bearer's value")                       # Token or None
"""
import hashlib
import hmac
import json
import os
import re
from typing import Dict, List, NamedTuple, Optional, Tuple

from jobs.atomic import write_atomically
from jobs.exceptions import ConfigurationError, StorageError
from jobs.locks import FileLock
from jobs.private_files import open_regular
from jobs.times import utc_text

__all__ = ["OPERATE", "READ", "ROLES", "Token", "TokenStore"]

READ = "read"
OPERATE = "operate"
#: What a token allows; each allows what stands before it, too.
ROLES = (READ, OPERATE)
_PREFIX = "exr_"
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.@-]{0,63}\Z")
_MOST_BYTES = 1 << 20
_Signature = Tuple[int, int, int, int]


class Token(NamedTuple):
    """A token, without its secret."""

    name: str
    role: str
    #: ISO 8601, UTC.
    created: str
    sha256: str

    def allows(self, role: str) -> bool:
        """Whether it may do what the role may."""
        return ROLES.index(role) <= ROLES.index(self.role)


class TokenStore:
    """The tokens of a home.

    :param path: the file; made with mode 0600 by the first ``create``
    """

    def __init__(self, path: str) -> None:
        self.path = path
        self._known: List[Token] = []
        self._digests: List[bytes] = []
        self._signature: Optional[_Signature] = None

    def all(self) -> List[Token]:
        """Every token, oldest first.

        :raises StorageError: where the file cannot be read, is not ours alone, or is damaged
        """
        signature = self._look()
        if signature is None or signature != self._signature:
            known = self._read() if signature is not None else []
            self._digests = [bytes.fromhex(token.sha256) for token in known]
            self._known, self._signature = known, signature
        return self._known

    def find(self, secret: str) -> Optional[Token]:
        """The token of this secret. Takes as long for a wrong one, whatever is wrong with it.

        :raises StorageError: as ``all``
        """
        # Of bytes: compare_digest refuses text that is not ASCII, and a hash has no prefix that could be guessed.
        digest = hashlib.sha256(secret.encode("utf-8", "surrogatepass")).digest()
        found = None
        for token, known in zip(self.all(), self._digests):
            if hmac.compare_digest(digest, known):
                found = token
        return found

    def create(self, name: str, role: str, at: float) -> str:
        """Make a token, keep its hash, and give its secret.

        :param at: epoch seconds
        :raises ConfigurationError: where the name or the role is impossible, or the name taken
        :raises StorageError: where it cannot be kept
        """
        if not _NAME.match(name):
            raise ConfigurationError('token name: expected up to 64 of A-Z a-z 0-9 _ . @ -, found "%s"' % name)
        if role not in ROLES:
            raise ConfigurationError('token role: expected %s, found "%s"' % (" or ".join(ROLES), role))
        secret = _PREFIX + os.urandom(32).hex()
        with FileLock(self.path + ".lock"):
            known = self.all()
            if any(token.name == name for token in known):
                raise ConfigurationError("there is a token %s already; revoke it first, or take another name" % name)
            self._write(known + [Token(name, role, utc_text(at), hashlib.sha256(secret.encode("ascii")).hexdigest())])
        return secret

    def revoke(self, name: str) -> None:
        """Forget a token; requests with it fail from now on, and its open streams end.

        :raises ConfigurationError: where there is none of that name
        :raises StorageError: where that cannot be kept
        """
        with FileLock(self.path + ".lock"):
            known = self.all()
            left = [token for token in known if token.name != name]
            if len(left) == len(known):
                names = ", ".join(token.name for token in known)
                raise ConfigurationError("there is no token %s%s" % (name, "; there are: " + names if names else ""))
            self._write(left)

    def _look(self) -> Optional[_Signature]:
        try:
            found = os.lstat(self.path)
        except FileNotFoundError:
            return None
        except OSError as error:
            raise StorageError("cannot read %s: %s" % (self.path, error.strerror))
        return found.st_ino, found.st_mtime_ns, found.st_size, found.st_mode

    def _read(self) -> List[Token]:
        descriptor = open_regular(self.path)
        try:
            status = os.fstat(descriptor)
            if status.st_uid != os.geteuid() or status.st_mode & 0o077:
                raise StorageError("%s: others may read or change it; chmod 600 it, and make new tokens" % self.path)
            data = os.read(descriptor, _MOST_BYTES)
        finally:
            os.close(descriptor)
        try:
            return [_token(entry) for entry in json.loads(data.decode("utf-8"))["tokens"]]
        except (ValueError, KeyError, TypeError, RecursionError):
            raise StorageError("%s: expected the file that `executioner token create` writes; remove it and make new "
                               "tokens" % self.path)

    def _write(self, tokens: List[Token]) -> None:
        entries: List[Dict[str, str]] = [{"name": token.name, "role": token.role, "created": token.created,
                                          "sha256": token.sha256} for token in tokens]
        write_atomically(self.path, (json.dumps({"tokens": entries}, indent=1) + "\n").encode("ascii"))


def _token(entry: Dict[str, str]) -> Token:
    found = Token(str(entry["name"]), entry["role"], str(entry["created"]), entry["sha256"])
    if found.role not in ROLES or len(bytes.fromhex(found.sha256)) != 32:
        raise ValueError("not a token")
    return found
