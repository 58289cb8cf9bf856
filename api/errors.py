"""What a request can be refused with: an HTTP status, a word for programs, and a sentence for people."""
from typing import Dict, Tuple

from jobs.exceptions import APIError

__all__ = ["PROBLEMS", "Refusal", "refusal"]

#: Every word that ``code`` can be, with its HTTP status and its meaning. ``docs/api.md`` has the same table.
PROBLEMS: Dict[str, Tuple[int, str]] = {
    "bad_request": (400, "the request is not understood"),
    "not_authenticated": (401, "a valid token is needed: Authorization: Bearer TOKEN"),
    "role": (403, "the token may only read"),
    "foreign_origin": (403, "the request comes from another site's page"),
    "not_found": (404, "there is nothing of that name"),
    "method": (405, "the resource does not know this method"),
    "too_slow": (408, "the request did not arrive in time"),
    "conflict": (409, "the state of things does not allow it now"),
    "body_too_large": (413, "the body is larger than 64 KiB"),
    "target_too_long": (414, "the path is too long"),
    "media_type": (415, "the body must be application/json"),
    "expectation": (417, "only 100-continue can be expected"),
    "misdirected": (421, "the Host is none of this server's names"),
    "too_many_failures": (429, "too many requests with a wrong token; wait a second"),
    "head_too_large": (431, "the head of the request is too large"),
    "internal": (500, "this is a bug; the log of the server has the details"),
    "not_implemented": (501, "transfer encodings are not supported"),
    "busy": (503, "too many connections; try again"),
    "storage": (503, "the history cannot be read or written now"),
    "version": (505, "only HTTP/1.0 and HTTP/1.1 are spoken"),
}


class Refusal(APIError):
    """A request that is not answered as asked."""

    def __init__(self, code: str, message: str = "", **headers: str) -> None:
        status, meaning = PROBLEMS[code]
        super().__init__(message or meaning)
        #: A key of ``PROBLEMS``.
        self.code = code
        self.status = status
        #: Headers of the answer, with ``_`` for ``-``.
        self.headers = {name.replace("_", "-"): value for name, value in headers.items()}

    def document(self) -> Dict[str, object]:
        """The body of the answer."""
        return refusal(self.code, self.message, self.error_code)


def refusal(code: str, message: str, error_code: str) -> Dict[str, object]:
    """The body of every answer that is no success.

    :param error_code: of the table in ``docs/errors.md``
    """
    return {"code": code, "error_code": error_code, "message": message}
