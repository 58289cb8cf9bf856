"""Webhooks: the message as JSON, posted once per attempt, signed where a secret is given.

``X-Executioner-Signature: sha256=HEX`` is the HMAC-SHA256 of the body's bytes with the secret as key. The body holds
``id`` (the same for each attempt) and ``sent``, so that a receiver can tell what it has seen before or what is old.
"""
import hashlib
import hmac
import json
from typing import IO, TYPE_CHECKING, Dict, Optional, Tuple

from jobs.exceptions import NotificationError
from monitoring.message import Message

if TYPE_CHECKING:
    from email.message import Message as Headers
    from urllib.request import Request

__all__ = ["SIGNATURE_HEADER", "TIMEOUT_S", "post", "signature"]

SIGNATURE_HEADER = "X-Executioner-Signature"
#: Seconds that one step of the conversation may take.
TIMEOUT_S = 10.0
#: Answers that may be others the next time.
_TRANSIENT = (408, 425, 429)


def signature(secret: str, body: bytes) -> str:
    """What the header says for a body."""
    return "sha256=" + hmac.new(secret.encode("utf-8", "surrogatepass"), body, hashlib.sha256).hexdigest()


def post(url: str, secret: str, message: Message, identity: str, sent: str) -> None:
    """Post a message; an answer of 2xx means that it arrived.

    :param identity: names the message, the same for each attempt
    :param sent: when this attempt was made, ISO 8601
    :raises NotificationError: where it did not arrive (``context["permanent"]``: nor ever will)
    """
    from http.client import HTTPException
    from urllib.error import HTTPError, URLError
    from urllib.request import HTTPRedirectHandler, Request, build_opener

    class NoRedirect(HTTPRedirectHandler):
        """A message goes where the file says, and nowhere else."""

        def redirect_request(self, req: "Request", fp: IO[bytes], code: int, msg: str, headers: "Headers",
                             newurl: str) -> "Optional[Request]":
            """Never follow."""
            return None

    address, headers = _address(url)
    body = json.dumps(dict(message.payload, id=identity, sent=sent), sort_keys=True).encode("ascii")
    headers.update({"Content-Type": "application/json", "User-Agent": "executioner",
                    "X-Executioner-Event": str(message.payload.get("event", "")), "X-Executioner-Delivery": identity})
    if secret:
        headers[SIGNATURE_HEADER] = signature(secret, body)
    host = address.partition("://")[2].partition("/")[0]
    try:
        request = Request(address, data=body, headers=headers, method="POST")
        with build_opener(NoRedirect()).open(request, timeout=TIMEOUT_S) as answer:
            status = answer.getcode()
    except HTTPError as error:
        with error:
            permanent = 300 <= error.code < 500 and error.code not in _TRANSIENT
            raise NotificationError("%s answered %d %s" % (host, error.code, error.reason),
                                    context={"permanent": permanent, "status": error.code}) from None
    except URLError as error:
        raise _failed(host, error.reason) from None
    except (OSError, HTTPException, ValueError) as error:
        raise _failed(host, error) from None
    if not 200 <= status < 300:
        raise NotificationError("%s answered %d" % (host, status), context={"permanent": False, "status": status})


def _failed(host: str, why: object) -> NotificationError:
    return NotificationError("cannot post to %s: %s" % (host, " ".join(str(why).split()) or type(why).__name__),
                             context={"permanent": False})


def _address(url: str) -> Tuple[str, Dict[str, str]]:
    """The address without user and password, and the header that carries them."""
    scheme, _, rest = url.partition("://")
    place = min([index for index in (rest.find("/"), rest.find("?"), rest.find("#")) if index >= 0] or [len(rest)])
    user, at, host = rest[:place].rpartition("@")
    if not at:
        return url, {}
    from base64 import b64encode
    from urllib.parse import unquote
    word = b64encode(unquote(user).encode("utf-8")).decode("ascii")
    return "%s://%s%s" % (scheme, host, rest[place:]), {"Authorization": "Basic " + word}
