"""Fetch a bearer token with OAuth2 client credentials."""

from __future__ import annotations

import json
import math
import time
from dataclasses import dataclass, field
from functools import partial
from io import BytesIO
from typing import TYPE_CHECKING, Any

import httpx
import tenacity

from airflow_provider_predictions.api.errors import (
    AuthenticationError,
    ConfigurationError,
    InvalidRequestError,
    MalformedAnswerError,
    NoAnswerError,
    PredictionsError,
    RateLimitedError,
    ServerError,
    TransientError,
)
from airflow_provider_predictions.api.http.retry import policy, retry_after
from airflow_provider_predictions.api.http.transport import Proxies, unreadable_certificates
from airflow_provider_predictions.api.limits import (
    MAX_TIMEOUTS,
    MAX_TOKEN_ATTEMPTS,
    MAX_TOKEN_RESPONSE_BYTES,
    TIMEOUT_SECONDS,
    TOKEN_LEEWAY_SECONDS,
)

if TYPE_CHECKING:
    import requests

GOOD = (200, 201, 203)
"""The specification says 200. Some endpoints send 201, and a proxy may send 203."""
ENDPOINT = "The token endpoint (extra auth_url)"


@dataclass(frozen=True)
class Credentials:
    """What the endpoint requires. ``timeout`` is seconds to connect, to send, and for each read."""

    auth_url: str
    client_id: str
    client_secret: str = field(repr=False)
    audience: str
    timeout: float = field(default=TIMEOUT_SECONDS, compare=False)


@dataclass(frozen=True)
class Token:
    """A bearer token. ``renew_at`` is in monotonic seconds."""

    value: str
    renew_at: float


class _Status400Error(TransientError):
    """A real refusal of the endpoint, or a spurious one: they look the same."""


def fetch(credentials: Credentials) -> Token:
    """Request a token within five timeouts. Only a 400 is retried here; the caller retries the rest.

    :raises AuthenticationError: if the endpoint rejects the credentials.
    :raises PredictionsError: for any other failure.
    """
    # Cradl's token endpoint now and then answers a good request with 400. The vendor's SDK retries it, too
    # (cradl-sdk-python, changelog 0.6.1 and 0.6.2).
    retrying = tenacity.Retrying(
        **policy(MAX_TOKEN_ATTEMPTS) | {"retry": tenacity.retry_if_exception_type(_Status400Error)}
    )
    deadline = time.monotonic() + credentials.timeout * MAX_TIMEOUTS
    try:
        return retrying(_fetch_once, credentials, deadline)
    except _Status400Error as error:
        raise AuthenticationError(
            f"{ENDPOINT} answered 400 {MAX_TOKEN_ATTEMPTS} times: "
            "check client id (login), client secret (password) and extra audience",
            status=400,
        ) from error


def too_slow(credentials: Credentials) -> NoAnswerError:
    return NoAnswerError(
        f"{ENDPOINT} sent no token within {credentials.timeout * MAX_TIMEOUTS:g} s, "
        f"{MAX_TIMEOUTS} times extra timeout"
    )


def _fetch_once(credentials: Credentials, deadline: float) -> Token:
    import requests
    from oauthlib.oauth2 import BackendApplicationClient, InsecureTransportError, OAuth2Error
    from requests_oauthlib import OAuth2Session

    from airflow_provider_predictions.api.http.deadline_adapter import DeadlineAdapter

    asked = time.monotonic()
    lifetimes: list[object] = []
    proxies, url = Proxies.of_environment(), httpx.URL(credentials.auth_url)
    # requests reads NO_PROXY in other ways than the clients. An empty text keeps it from doing so.
    proxy = proxies.of(url) or ""
    try:
        with OAuth2Session(client=BackendApplicationClient(client_id=credentials.client_id)) as session:
            session.stream = True
            for scheme in ("https://", "http://"):
                session.mount(scheme, DeadlineAdapter(deadline))
            session.hooks["response"] = [partial(_read, lifetimes)]
            answer: dict[str, Any] = session.fetch_token(
                credentials.auth_url,
                client_secret=credentials.client_secret,
                include_client_id=True,
                audience=credentials.audience,
                timeout=credentials.timeout,
                proxies={"http": proxy, "https": proxy},
            )
    except PredictionsError:
        raise
    except InsecureTransportError:
        raise ConfigurationError(
            "extra auth_url: must start with https:// "
            "(for a server on this machine set OAUTHLIB_INSECURE_TRANSPORT=1)"
        ) from None
    except requests.RequestException as error:
        if time.monotonic() >= deadline:
            raise too_slow(credentials) from None
        text = f"{ENDPOINT} did not answer: {type(error).__name__}{_hint(error, proxies.variable(url))}"
        raise NoAnswerError(text) from None
    except OSError as error:
        raise unreadable_certificates(error, "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE") from None
    # The last three come from JSON that is not an object or is nested too deeply.
    except (OAuth2Error, ValueError, TypeError, AttributeError, RecursionError) as error:
        raise MalformedAnswerError(f"{ENDPOINT} sent no token: {type(error).__name__}") from None
    lifetime = _lifetime(*lifetimes)
    return Token(_bearer(answer), asked + lifetime - min(TOKEN_LEEWAY_SECONDS, lifetime / 2))


def _hint(error: requests.RequestException, variable: str) -> str:
    """What to check after a failed connection. The variable of the environment names the proxy."""
    from requests.exceptions import ProxyError, SSLError

    trust = "If you trust its certificate authority, name it in the environment variable REQUESTS_CA_BUNDLE"
    if isinstance(error, SSLError):
        return f". Check the URL. {trust}"
    return f". Check the environment variable {variable}" if isinstance(error, ProxyError) else ""


def _bearer(answer: dict[str, Any]) -> str:
    token = answer["access_token"]
    if not (
        isinstance(token, str) and token and token.isascii() and token.isprintable() and " " not in token
    ):
        raise MalformedAnswerError(f"{ENDPOINT} sent a token that no header can hold")
    return token


def _lifetime(given: object) -> float:
    """Read ``expires_in`` as seconds: 0 if it makes no sense, infinite if there is none."""
    if given is None:
        return math.inf
    try:
        seconds = float(given) if isinstance(given, float | str) else 0.0
    except ValueError:
        return 0.0
    return seconds if 0 < seconds < math.inf else 0.0


def _read(lifetimes: list[object], response: requests.Response, **_: object) -> requests.Response:
    """Read the body, but not that of an error, since oauthlib may quote it. Close the connection.

    :param lifetimes: gets ``expires_in``, since oauthlib drops 0 and refuses text that is not a number.
    """
    with response:
        _refuse_errors(response)
        content = b""
        for chunk in response.iter_content(MAX_TOKEN_RESPONSE_BYTES // 64):
            content += chunk
            if len(content) > MAX_TOKEN_RESPONSE_BYTES:
                raise MalformedAnswerError(
                    f"{ENDPOINT} answered {response.status_code} and more than {MAX_TOKEN_RESPONSE_BYTES} "
                    "bytes: check the URL"
                )
    given = json.loads(content, parse_int=float)  # int() refuses thousands of digits
    lifetimes.append(given.pop("expires_in", None))
    given.pop("expires_at", None)
    whole = type(response)()
    whole.status_code, whole.headers, whole.url = response.status_code, response.headers, response.url
    whole.request, whole.encoding, whole.raw = response.request, "utf-8", BytesIO(json.dumps(given).encode())
    return whole


def _refuse_errors(response: requests.Response) -> None:
    status, after = response.status_code, retry_after(response.headers)
    where = f"{ENDPOINT} answered {status}"
    if response.is_redirect:
        # The secret goes to auth_url and nowhere else.
        raise ConfigurationError("extra auth_url: redirects; enter the URL that it redirects to")
    if status == 400:
        raise _Status400Error(where)
    if status in (401, 403):
        raise AuthenticationError(
            f"{where}: check client id (login) and client secret (password)", status=status
        )
    if status == 429:
        raise RateLimitedError(where, status=status, retry_after=after)
    if status >= 500 or status == 408:
        raise ServerError(where, status=status, retry_after=after)
    if status not in GOOD:
        raise InvalidRequestError(f"{where}: check the URL", status=status)
