"""The token endpoint: OAuth2 client credentials become a bearer token."""

from __future__ import annotations

import json
import math
import time
from dataclasses import dataclass
from functools import partial
from io import BytesIO
from typing import TYPE_CHECKING, Any

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

if TYPE_CHECKING:
    import requests

    from airflow_provider_predictions.api.http.auth import ClientCredentialsAuth

TOKEN_ATTEMPTS = 3
GOOD = (200, 201, 203)
"""The specification says 200; some endpoints create a token (201), and a proxy may have changed it (203)."""
MAX_TOKEN_RESPONSE_BYTES = 1 << 20
"""Bytes, unpacked."""
ANSWERED = "The token endpoint (extra auth_url) answered"
LEEWAY = 60.0
"""A token is renewed so many seconds before it ends, or after half of its life where that is less."""


@dataclass(frozen=True)
class Token:
    """A bearer token, and when it is to be replaced, in monotonic seconds."""

    value: str
    renew_at: float


def fetch(credentials: ClientCredentialsAuth) -> Token:
    """Ask for a token; whether to ask again is left to who needs it, but for a spurious refusal.

    :raises AuthenticationError: where the credentials are refused.
    :raises PredictionsError: for whatever else is wrong.
    """
    # Cradl's token endpoint answers a good request with 400 now and then, so a 400 is tried again;
    # the vendor's SDK does the same (cradl-sdk-python, changelog 0.6.1 and 0.6.2).
    spurious = tenacity.retry_if_exception_type(_Status400Error)
    try:
        return tenacity.Retrying(**policy(TOKEN_ATTEMPTS) | {"retry": spurious})(_fetch_once, credentials)
    except _Status400Error as error:
        raise AuthenticationError(
            f"The token endpoint (extra auth_url) answered 400 {TOKEN_ATTEMPTS} times: "
            "check client id (login), client secret (password) and extra audience",
            status=400,
        ) from error


class _Status400Error(TransientError):
    """Real and spurious refusals of the token endpoint look the same."""


def _fetch_once(credentials: ClientCredentialsAuth) -> Token:
    import requests
    from oauthlib.oauth2 import BackendApplicationClient, InsecureTransportError, OAuth2Error
    from requests_oauthlib import OAuth2Session

    asked = time.monotonic()
    lifetimes: list[object] = []
    try:
        with OAuth2Session(client=BackendApplicationClient(client_id=credentials.client_id)) as session:
            session.stream = True
            session.hooks["response"] = [partial(_read, lifetimes)]
            answer: dict[str, Any] = session.fetch_token(
                credentials.auth_url,
                client_secret=credentials.client_secret,
                include_client_id=True,
                audience=credentials.audience,
                timeout=credentials.timeout,
            )
    except PredictionsError:
        raise
    except InsecureTransportError:
        raise ConfigurationError(
            "extra auth_url: must start with https:// "
            "(for a server on this machine set OAUTHLIB_INSECURE_TRANSPORT=1)"
        ) from None
    except requests.exceptions.SSLError:
        raise NoAnswerError(
            "The token endpoint (extra auth_url) did not answer: SSLError. Check the URL; if you trust its "
            "authority, name that in the environment variable REQUESTS_CA_BUNDLE"
        ) from None
    except requests.RequestException as error:
        raise NoAnswerError(
            f"The token endpoint (extra auth_url) did not answer: {type(error).__name__}"
        ) from None
    # The last three are those of JSON that is no object, or too deep a one.
    except (OAuth2Error, ValueError, TypeError, AttributeError, RecursionError) as error:
        raise MalformedAnswerError(
            f"The token endpoint (extra auth_url) sent no token: {type(error).__name__}"
        ) from None
    token = answer["access_token"]
    if not (
        isinstance(token, str) and token and token.isascii() and token.isprintable() and " " not in token
    ):
        raise MalformedAnswerError("The token endpoint (extra auth_url) sent a token that no header can hold")
    lifetime = _lifetime(*lifetimes)
    return Token(token, asked + lifetime - min(LEEWAY, lifetime / 2))


def _lifetime(given: object) -> float:
    """Seconds that a token is good for: none where the answer makes no sense, for ever where it does not say.

    :param given: ``expires_in`` of the answer.
    """
    if given is None:
        return math.inf
    try:
        seconds = float(given) if isinstance(given, float | str) else 0.0
    except ValueError:
        return 0.0
    return seconds if 0 < seconds < math.inf else 0.0


def _read(lifetimes: list[object], response: requests.Response, **_: object) -> requests.Response:
    """Read the body, but of no error: oauthlib may quote that. However it ends, the connection is closed.

    :param lifetimes: gets ``expires_in``, of which oauthlib drops 0 and refuses what is no number.
    """
    with response:
        _refuse_errors(response)
        content = b""
        for chunk in response.iter_content(MAX_TOKEN_RESPONSE_BYTES // 64):
            content += chunk
            if len(content) > MAX_TOKEN_RESPONSE_BYTES:
                raise MalformedAnswerError(
                    f"{ANSWERED} {response.status_code} and more than {MAX_TOKEN_RESPONSE_BYTES} bytes: "
                    f"check the URL"
                )
    given = json.loads(content, parse_int=float)  # int() refuses thousands of digits
    lifetimes.append(given.pop("expires_in", None))
    given.pop("expires_at", None)
    whole = type(response)()
    whole.status_code, whole.headers, whole.url = response.status_code, response.headers, response.url
    whole.request, whole.encoding, whole.raw = response.request, "utf-8", BytesIO(json.dumps(given).encode())
    return whole


def _refuse_errors(response: requests.Response) -> None:
    status = response.status_code
    where = f"{ANSWERED} {status}"
    after = retry_after(response.headers.get("Retry-After"), response.headers.get("Date"))
    if response.is_redirect:
        # The secret goes to auth_url and nowhere else.
        raise ConfigurationError("extra auth_url: redirects; give the URL that it leads to")
    if status == 400:
        raise _Status400Error(where)
    if status in (401, 403):
        raise AuthenticationError(
            f"{where}: check client id (login) and client secret (password)", status=status
        )
    if status == 429:
        raise RateLimitedError(where, status=status, retry_after=after)
    if status >= 500:
        raise ServerError(where, status=status, retry_after=after)
    if status not in GOOD:
        raise InvalidRequestError(f"{where}: check the URL", status=status)
