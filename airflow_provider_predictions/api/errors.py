"""The errors of this package, and whether a retry helps.

    PredictionsError
    ├── ConfigurationError          a connection field or an argument is wrong
    ├── RejectedRowsError           a landing held rows that are not records
    ├── MissingValuesError          a landing held records whose values could not be fetched
    ├── DamagedLandingError         the parts of a landing differ from its manifest
    ├── AnswerTooLargeError         a response is larger than the connection allows
    ├── RefusedError                the service refused the request
    │   ├── AuthenticationError     401, 403: wrong credentials, or missing rights
    │   │   └── TokenRefusedError   the same, but the client tries another token
    │   ├── NotFoundError           404
    │   ├── InvalidRequestError     400, 415, 422 and other 4xx
    │   │   ├── RedirectError       3xx: a file is elsewhere
    │   │   └── UnusableFileError   a record names no file that may be opened
    │   └── QuotaExceededError      the plan's quota is used up until it is renewed
    └── TransientError              the next attempt may work
        ├── RateLimitedError        429
        ├── ServerError             408, 5xx
        ├── NoAnswerError           refused, reset, truncated or timed out
        ├── MalformedAnswerError    a response that does not fit the specification
        ├── StorageError            the storage, or the worker's own disk, failed
        └── ConflictError           another run landed under the same path meanwhile

``retryable`` of a class says whether a retry may help.
"""

from __future__ import annotations

from typing import Any, ClassVar

import msgspec

from airflow_provider_predictions.api.limits import MAX_ERROR_BYTES

TOO_MUCH = (413, 504, 524)
"""Statuses for a response that is too large or took too long. 524 is a proxy's timeout."""
MAYBE_TOO_MUCH = (500, 502)
"""Statuses that also stand for a response that is larger than the upstream of a gateway may send."""


class PredictionsError(Exception):
    """The base of all errors of this package.

    :param message: what happened and what to do. It holds no secret, no query string and no response body.
    :param status: of the response, if there was one.
    :param retry_after: seconds that the service asks to wait, as ``api.http.retry.retry_after`` reads them.
    :param timed_out: whether the response did not come in time.
    """

    retryable: ClassVar[bool] = False
    """Whether the same request may work later."""
    of_token = False
    """Whether the token endpoint caused it."""
    is_too_large: ClassVar[bool] = False

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
        """Whether a smaller page may work, because this one was too large or too slow."""
        is_too_much = self.is_too_large or self.timed_out or self.status in TOO_MUCH
        return is_too_much and not self.of_token

    @property
    def may_ask_for_less(self) -> bool:
        """Whether the service fails, perhaps for a large page only."""
        return self.status in MAYBE_TOO_MUCH and not self.of_token


class ConfigurationError(PredictionsError, ValueError):
    """A connection field or an argument is wrong. The message starts with its name."""


class RefusedError(PredictionsError):
    """The service refused the request."""


class AuthenticationError(RefusedError):
    """401 or 403: the credentials are wrong, or may not read predictions."""


class TokenRefusedError(AuthenticationError):
    """401 or 403 for a token. The client tries another token, once."""

    retryable = True


class NotFoundError(RefusedError):
    """404: the service has no such prediction, or the base URL is not the API's."""


class InvalidRequestError(RefusedError):
    """The service does not accept this request."""


class RedirectError(InvalidRequestError):
    """A file is elsewhere.

    :param location: the header ``Location``. It may hold a signature, so no message quotes it.
    """

    def __init__(self, message: str, *, location: str = "", **kwargs: Any) -> None:
        super().__init__(message, **kwargs)
        self.location = location


class UnusableFileError(InvalidRequestError):
    """A record names no file with its values, or one that may not be opened."""


class QuotaExceededError(RefusedError):
    """The quota of the plan is used up. Only time or a larger plan helps."""


class TransientError(PredictionsError):
    """The next attempt may work."""

    retryable = True


class RateLimitedError(TransientError):
    """429: too many requests at the moment."""


class ServerError(TransientError):
    """408 or 5xx: the service, or something in front of it, failed or was too slow."""


class NoAnswerError(TransientError):
    """The connection was refused, reset, cut off or timed out."""


class MalformedAnswerError(TransientError):
    """The response does not fit the specification.

    :param is_web_page: whether it is HTML, as a proxy or another server sends it.
    :ivar host: of the requested file; empty for other requests.
    """

    def __init__(self, message: str, *, is_web_page: bool = False, **kwargs: Any) -> None:
        super().__init__(message, **kwargs)
        self.is_web_page = is_web_page
        self.host = ""


class AnswerTooLargeError(PredictionsError):
    """A response is larger than ``max_response_bytes`` of the connection."""

    is_too_large = True


class StorageError(TransientError):
    """The storage, or the worker's disk, failed. A retry continues from what has landed."""


class ConflictError(TransientError):
    """Another run committed to the same path meanwhile. Nothing is lost. A retry lands the rest."""


class DamagedLandingError(PredictionsError):
    """A part of a landing is missing, or differs from the manifest."""


class RejectedRowsError(PredictionsError):
    """The landing is committed, but too many rows are not records. They are stored beside the parts."""


class MissingValuesError(PredictionsError):
    """The landing is committed, but too many records lack their values."""


def message_in(body: bytes) -> str:
    """The message in the body of an error; empty if the body is too large, or not JSON of a known shape.

    VLM Run: ``{"detail": "…"}``, ``{"detail": [{"loc", "msg"}]}``, ``{"detail": {"error": {"message"}}}`` and
    ``{"error": {"message"}}``. Cradl: ``{"message": "…"}`` and ``{"Message": "…"}``.
    """
    if len(body) > MAX_ERROR_BYTES:
        return ""
    try:
        found = msgspec.json.decode(body)
    except (ValueError, RecursionError):
        return ""
    return text_in(found)


def text_in(found: Any) -> str:
    """The text of a message: the value itself, a member of it, or the members of its list. May be empty."""
    while isinstance(found, dict):
        found = next((found[k] for k in ("detail", "message", "Message", "error") if k in found), None)
    if isinstance(found, list):
        found = "; ".join(filter(None, map(_item, found)))
    return " ".join(found.split()) if isinstance(found, str) else ""


def _item(item: Any) -> str:
    """A text, or an error of validation. A row of a list, in a response that is no error, is neither."""
    if not isinstance(item, dict):
        return item if isinstance(item, str) else ""
    where, message = item.get("loc"), item.get("msg")
    path = ".".join(map(str, where)) if isinstance(where, list) else where
    return f"{path}: {message}" if isinstance(message, str) else ""
