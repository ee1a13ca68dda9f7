"""Faults of a service, and what becomes of a landing and of a list that meet them."""

from __future__ import annotations

import gzip
from dataclasses import dataclass, field, replace
from typing import Any

from airflow_provider_predictions.api.errors import (
    AnswerTooLargeError,
    AuthenticationError,
    ConfigurationError,
    InvalidRequestError,
    MalformedAnswerError,
    NoAnswerError,
    PredictionsError,
    QuotaExceededError,
    RateLimitedError,
    ServerError,
)
from airflow_provider_predictions.api.limits import (
    MAX_ATTEMPTS,
    MAX_RATE_LIMIT_WAIT,
    MAX_RETRY_WAIT,
    MAX_TIMEOUTS,
)
from tests.conftest import SERVICES
from tests.faults import Fault, quota, rate_limit

COUNT, SIZE = 40, 10
TIMEOUT = 0.5
"""Seconds of a step, where a fault is about time."""
PATIENT = 10
"""Seconds of a step elsewhere, which no busy machine takes."""
LARGEST = 1 << 20
FOREVER = 1_000_000
BACKOFF = 1.25 * (1 + 2 + 4 + 8)
"""Seconds that the four waits between five attempts take at most."""
PAGES = COUNT // SIZE + 2
"""The last of VLM Run's proves the end."""
HALVED = PAGES + 2
"""Requests of a list whose second page, and those behind it, are asked for at half their size."""
HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"


@dataclass(frozen=True)
class Case:
    """A fault of a service, from its second page on, and what becomes of a landing.

    :param name: as the table has it.
    :param faults: for the part ``service``, which stands for the service's own.
    :param ends: the error; None where the landing succeeds.
    :param asked: how many requests the service gets at most before it ends.
    :param waits: seconds between attempts at most.
    :param steps: how many times the timeout of a step passes at most.
    :param services: whose.
    :param connection: fields to replace while the fault lasts.
    :param timeout: seconds of a step.
    :param token_lifetime: seconds.
    :param passes: seconds of simulated time that each request to the service takes.
    :param slow: whether it takes long where no step times out, too.
    """

    name: str
    faults: tuple[Fault, ...] = ()
    ends: type[PredictionsError] | None = None
    asked: int = MAX_ATTEMPTS + 1
    waits: float = BACKOFF
    steps: int = 0
    services: tuple[str, ...] = SERVICES
    connection: dict[str, Any] = field(default_factory=dict)
    timeout: float = PATIENT
    token_lifetime: float = 3600
    passes: float = 0
    slow: bool = False

    @property
    def is_quick(self) -> bool:
        """Whether no real time passes."""
        return not (self.steps or self.slow)


def service(**fault: Any) -> tuple[Fault, ...]:
    return (Fault("service", **{"times": FOREVER, "after": 1} | fault),)  # type: ignore[arg-type]


def plays(*script: bytes | float, **fault: Any) -> tuple[Fault, ...]:
    return service(how="play", script=script, **fault)


def token(**fault: Any) -> tuple[Fault, ...]:
    return (Fault("token", **{"times": FOREVER, "status": 200, "body": b"{}"} | fault),)


def limited(times: int = 1, retry_after: str | None = None) -> tuple[Fault, ...]:
    return (replace(rate_limit("service", times=times, retry_after=retry_after), after=1),)  # type: ignore[arg-type]


def spent() -> tuple[Fault, ...]:
    return (replace(quota(), part="service", after=1),)  # type: ignore[arg-type]


SOON = "the date in 30 s"
PACKED = {"Content-Encoding": "gzip"}
PACKED_TWICE = {"Content-Encoding": "gzip, gzip"}
BOMB = gzip.compress(b" " * (8 * LARGEST))
DRIP = (b" ", TIMEOUT / 2) * 60
LONG = HEAD + b"Content-Length: 9999\r\n\r\n"
ELSEWHERE = {"Location": "https://elsewhere.invalid/v1/predictions"}
BARE_TOKEN = b'{"access_token": "a-token", "token_type": "bearer"}'
DELAYS = 1.1 * (5 + 20 * 3)
MINUTE = 61
"""Seconds of a window of the rate limit, in which no more is asked than was answered in the one before."""
CASES = [
    Case("connection refused", ends=NoAnswerError, asked=0, connection={"host": "http://127.0.0.1:1/v1"}),
    Case("the name is not known", ends=NoAnswerError, asked=0, connection={"host": "https://it.invalid"},
         slow=True),
    Case("reset before the answer", service(how="reset"), NoAnswerError),
    Case("reset in the body", plays(LONG + b"[{", 0.01), NoAnswerError),
    Case("body cut, with a length", service(how="truncate"), NoAnswerError),
    Case("body cut, in chunks", plays(HEAD + b"Transfer-Encoding: chunked\r\n\r\n2\r\n[{"), NoAnswerError),
    Case("body cut, without a length", plays(HEAD + b"Connection: close\r\n\r\n[{"), MalformedAnswerError),
    Case("no answer at all", plays(10.0), NoAnswerError, steps=MAX_ATTEMPTS, timeout=TIMEOUT),
    Case("a body that stalls", plays(LONG + b"[", 10.0), NoAnswerError, steps=MAX_ATTEMPTS, timeout=TIMEOUT),
    Case("a body that trickles once", plays(LONG, *DRIP, times=1), asked=HALVED, steps=MAX_TIMEOUTS + 1,
         timeout=TIMEOUT),
    Case("headers that trickle once", plays(HEAD + b"X: ", *DRIP, times=1), asked=HALVED,
         steps=MAX_TIMEOUTS + 1, timeout=TIMEOUT),
    Case("a body that trickles for ever", plays(LONG, *DRIP), NoAnswerError,
         steps=MAX_ATTEMPTS * (MAX_TIMEOUTS + 1), timeout=TIMEOUT, services=("vlmrun",)),
    Case("200 with a web page", service(status=200), MalformedAnswerError),
    Case("gzip bomb", service(status=200, body=BOMB, headers=PACKED), AnswerTooLargeError, 2, 0),
    Case("gzip in gzip", service(status=200, body=BOMB, headers=PACKED_TWICE), MalformedAnswerError),
    Case("too large an answer", service(status=200, body=b" " * (LARGEST + 1)), AnswerTooLargeError, 2, 0),
    Case("302 to another host", service(status=302, headers=ELSEWHERE), InvalidRequestError, 2, 0),
    Case("401 in mid-list, once", service(status=401, times=1), None, PAGES + 1, 0, services=("cradl",)),
    Case("401 in mid-list", service(status=401), AuthenticationError, 2, 0, services=("vlmrun",)),
    Case("401 with a fresh token, too", service(status=401), AuthenticationError, 3, 0, services=("cradl",)),
    Case("403", service(status=403), AuthenticationError, 2, 0, services=("vlmrun",)),
    Case("403 in mid-list, once", service(status=403, times=1), None, PAGES + 1, 0, services=("cradl",)),
    Case("403 with a fresh token, too", service(status=403), AuthenticationError, 3, 0, services=("cradl",)),
    Case("429 four times, without Retry-After", limited(4), None, PAGES + 4, DELAYS + PAGES * MINUTE),
    Case("429, Retry-After: 0", limited(1, "0"), None, PAGES + 1, 1.1 * 5),
    Case("429, Retry-After: 5", limited(1, "5"), None, PAGES + 1, 1.1 * 5),
    Case("429, Retry-After: a date in 30 s", limited(1, SOON), None, PAGES + 1, 31),
    Case("429, Retry-After: 1000000000", limited(1, "1000000000"), RateLimitedError, 2, 0),
    Case("429, Retry-After: soon", limited(1, "soon"), None, PAGES + 1, 1.1 * 5 + PAGES * MINUTE),
    Case("429 for ever", limited(FOREVER), RateLimitedError, 100, MAX_RATE_LIMIT_WAIT + 2 * MAX_RETRY_WAIT),
    Case("the monthly quota is used up", spent(), QuotaExceededError, 2, 0, services=("cradl",)),
    Case("502 once", service(times=1), None, PAGES + 1, 1.25),
    Case("502 for ever", service(), ServerError),
    Case("token endpoint: a spurious 400", token(times=1, status=400), None, PAGES, 0, services=("cradl",)),
    Case("token endpoint: 400 for ever", token(status=400), AuthenticationError, 0, 0, services=("cradl",)),
    Case("token endpoint: 500 for ever", token(status=500), ServerError, 0, services=("cradl",)),
    Case("token endpoint: no token", token(), MalformedAnswerError, 0, services=("cradl",)),
    Case("token endpoint: megabytes", token(body=b" " * (2 * LARGEST)), MalformedAnswerError, 0,
         services=("cradl",)),
    Case("token endpoint: no answer", token(how="play", script=(10.0,)), NoAnswerError, 0, steps=MAX_ATTEMPTS,
         timeout=TIMEOUT, services=("cradl",)),
    Case("token endpoint: an answer that trickles", token(how="play", script=(LONG, *DRIP)), NoAnswerError, 0,
         steps=MAX_ATTEMPTS * MAX_TIMEOUTS, timeout=TIMEOUT, services=("cradl",)),
    Case("token endpoint: 302", token(status=302, headers=ELSEWHERE), ConfigurationError, 0, 0,
         services=("cradl",)),
    Case("a token without scope and expiry", token(times=1, body=BARE_TOKEN), None, PAGES + 1, 0,
         services=("cradl",)),
    Case("a token that expires at every page", asked=PAGES, waits=0, services=("cradl",), token_lifetime=2,
         passes=1.2),
]  # fmt: skip
