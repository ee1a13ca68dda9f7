"""What can go wrong, and whether asking again helps.

    PredictionsError
    ├── ConfigurationError          a connection field or an argument is wrong
    ├── RejectedRowsError           a landing held rows that are no records
    ├── MissingValuesError          a landing held records whose values could not be fetched
    ├── DamagedLandingError         what has landed is not what its manifest says
    ├── AnswerTooLargeError         an answer is larger than the connection allows
    ├── RefusedError                the service understood and said no
    │   ├── AuthenticationError     401, 403: who asks, or what they may see
    │   │   └── TokenRefusedError   the same, and another token is worth a try: the client tries it
    │   ├── NotFoundError           404
    │   ├── InvalidRequestError     400, 415, 422 and what else of 4xx there is
    │   │   ├── RedirectError       3xx: what was asked for lies elsewhere
    │   │   └── UnusableFileError   a record names no file that may be opened
    │   └── QuotaExceededError      the plan's quota is used up until it is renewed
    └── TransientError              the next attempt may work
        ├── RateLimitedError        429
        ├── ServerError             5xx
        ├── NoAnswerError           refused, reset, truncated or timed out
        ├── MalformedAnswerError    an answer that is not what the specification says
        ├── StorageError            the storage, or the worker's own disk, failed
        └── ConflictError           another run landed under the same path meanwhile

``retryable`` of a class says the same to a program.
"""

from __future__ import annotations

from typing import Any, ClassVar

import msgspec

TOO_MUCH = (413, 504, 524)
"""Statuses of a response that is too large, or took too long to make; 524 is a proxy's timeout."""


class PredictionsError(Exception):
    """The root of every error that this package raises for a service.

    :param message: for the person who reads the log: what happened and what to do. Holds no secret, no query
        string and no response body.
    :param status: the HTTP status, where there was one.
    :param retry_after: seconds that the service asked to wait, where it did.
    :param timed_out: whether the answer did not come in time.
    """

    retryable: ClassVar[bool] = False
    """Whether asking again, later and unchanged, may work."""

    def __init__(
        self,
        message: str,
        *,
        status: int | None = None,
        retry_after: float | None = None,
        timed_out: bool = False,
    ) -> None:
        super().__init__(message)
        self.status = status
        self.retry_after = retry_after
        self.timed_out = timed_out

    @property
    def asks_for_less(self) -> bool:
        """Whether a smaller page may work, since this one was too large or took too long."""
        return self.timed_out or self.status in TOO_MUCH


class ConfigurationError(PredictionsError, ValueError):
    """A connection field or an argument is wrong; the message starts with its name."""


class RefusedError(PredictionsError):
    """The service understood the request and said no."""


class AuthenticationError(RefusedError):
    """401 or 403: the credentials are wrong, or may not read predictions."""


class TokenRefusedError(AuthenticationError):
    """401 or 403 with a token that another one may replace; the client tries that at once, once."""

    retryable = True


class NotFoundError(RefusedError):
    """404: no such prediction, or a base URL that is not the API's."""


class InvalidRequestError(RefusedError):
    """The service does not take this request as it is."""


class RedirectError(InvalidRequestError):
    """What was asked for lies elsewhere.

    :param location: the header ``Location``, which may hold a signature: not for messages.
    """

    def __init__(self, message: str, *, location: str = "", **kwargs: Any) -> None:
        super().__init__(message, **kwargs)
        self.location = location


class UnusableFileError(InvalidRequestError):
    """A record names no file with its values, or one that may not be opened."""


class QuotaExceededError(RefusedError):
    """The quota of the plan is used up; only time or a larger plan helps."""


class TransientError(PredictionsError):
    """The next attempt may work."""

    retryable = True


class RateLimitedError(TransientError):
    """429: too many requests at the moment."""


class ServerError(TransientError):
    """5xx: the service, or something in front of it, failed."""


class NoAnswerError(TransientError):
    """The connection was refused, reset, cut off or timed out."""


class MalformedAnswerError(TransientError):
    """The answer is not what the specification says.

    :param is_web_page: something in front of the service has sent it, or another server.
    :ivar host: of the file that was asked for; empty where it was none.
    """

    def __init__(self, message: str, *, is_web_page: bool = False, **kwargs: Any) -> None:
        super().__init__(message, **kwargs)
        self.is_web_page = is_web_page
        self.host = ""


class AnswerTooLargeError(PredictionsError):
    """An answer is larger than ``max_response_bytes`` of the connection; it was not read to its end."""

    @property
    def asks_for_less(self) -> bool:
        """A smaller page may work."""
        return True


class StorageError(TransientError):
    """The storage, or the disk of the worker, failed; a retry goes on from what has landed."""


class ConflictError(TransientError):
    """Another run committed to the same path meanwhile; nothing is lost, and a retry lands the rest."""


class DamagedLandingError(PredictionsError):
    """What has landed is not what its manifest says: a part is missing, or was changed since."""


class RejectedRowsError(PredictionsError):
    """Landed, but more rows than allowed were no records; they are kept beside the parts."""


class MissingValuesError(PredictionsError):
    """Landed, but more records than allowed are without their values."""


MAX_MESSAGE_LENGTH = 300
"""Characters of a service's own message that an error quotes."""
MAX_SERVICE_TEXT = 20_000
"""Characters of a service's own message that are searched for secrets."""
MAX_ERROR_BYTES = 1 << 20
"""Bytes of an answer whose message is read."""


def message_in(body: bytes) -> str:
    """The service's own words in the body of an error; none where that is large, or no JSON of a known shape.

    Seen are ``{"detail": "…"}``, ``{"detail": [{"loc", "msg"}]}``, ``{"detail": {"error": {"message"}}}`` and
    ``{"error": {"message"}}`` of VLM Run, ``{"message": "…"}`` and ``{"Message": "…"}`` of Cradl.
    """
    if len(body) > MAX_ERROR_BYTES:
        return ""
    try:
        found = msgspec.json.decode(body)
    except (ValueError, RecursionError):
        return ""
    while isinstance(found, dict):
        found = next((found[k] for k in ("detail", "message", "Message", "error") if k in found), None)
    if isinstance(found, list):
        found = "; ".join(_invalid(item) for item in found if isinstance(item, dict))
    return " ".join(found.split()) if isinstance(found, str) else ""


def _invalid(item: dict[str, Any]) -> str:
    where = item.get("loc")
    path = ".".join(map(str, where)) if isinstance(where, list) else where
    return f"{path}: {item.get('msg')}"
