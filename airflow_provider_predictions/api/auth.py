"""Who asks: a fixed API key, or a token that is fetched, shared and renewed."""

from __future__ import annotations

import asyncio
import logging
import os
import threading
import time
from concurrent.futures import Future
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Protocol

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
from airflow_provider_predictions.api.retry import policy, retry_after

if TYPE_CHECKING:
    import requests

TOKEN_ATTEMPTS = 3
LEEWAY = 60.0
"""A token is renewed so many seconds before it ends, or after half of its life where that is less."""


class Auth(Protocol):
    """Where the bearer token comes from."""

    def token(self) -> str:
        """The token to send now."""

    async def atoken(self) -> str:
        """The same, without blocking the event loop."""

    def accept(self, token: str) -> None:
        """Hear that the service took a token."""

    def reject(self, token: str) -> bool:
        """Hear that the service refused a token; answer whether another one is worth a try."""

    def redact(self, text: str) -> str:
        """A text without the secrets that the service may have echoed."""


@dataclass(frozen=True)
class BearerAuth:
    """A fixed API key (VLM Run: specification, ``HTTPBearer``)."""

    api_key: str = field(repr=False)

    def token(self) -> str:
        """The key."""
        return self.api_key

    async def atoken(self) -> str:
        """The key."""
        return self.api_key

    def accept(self, token: str) -> None:
        """A key does not change."""

    def reject(self, token: str) -> bool:
        """There is no other key."""
        return False

    def redact(self, text: str) -> str:
        """A text without the key."""
        return text.replace(self.api_key, "***")


@dataclass(frozen=True)
class ClientCredentialsAuth:
    """OAuth2 client credentials, in the form body, with an ``audience`` (Cradl: api-reference, Introduction).

    Equal credentials share one token in a process, whoever asks for it and from wherever.
    """

    auth_url: str
    client_id: str
    client_secret: str = field(repr=False)
    audience: str

    @property
    def _source(self) -> _TokenSource:
        # setdefault is atomic: of two threads that come at once, both get the first one's source.
        return sources.get(self) or sources.setdefault(self, _TokenSource(self))

    def token(self) -> str:
        """The shared token, fetched where there is none or it is about to end."""
        source = self._source
        return source.fresh() or source.fetch().result()

    async def atoken(self) -> str:
        """The same; the fetch runs in a thread of its own."""
        source = self._source
        if token := source.fresh():
            return token
        return await asyncio.wrap_future(source.fetch())

    def accept(self, token: str) -> None:
        """The current token is good."""
        self._source.accept(token)

    def reject(self, token: str) -> bool:
        """Renew once: a second refusal in a row is about the credentials."""
        return self._source.reject(token)

    def redact(self, text: str) -> str:
        """A text without the secret."""
        return text.replace(self.client_secret, "***")


@dataclass(frozen=True)
class _Token:
    value: str
    renew_at: float


class _TokenSource:
    """One token for all who share a credential. At most one fetch runs; everyone waits for its future."""

    def __init__(self, credentials: ClientCredentialsAuth) -> None:
        self._credentials = credentials
        self._lock = threading.Lock()
        self._token: _Token | None = None
        self._refused = False
        self._fetching: Future[str] | None = None

    def fresh(self) -> str | None:
        token = self._token
        return token.value if token and time.monotonic() < token.renew_at else None

    def fetch(self) -> Future[str]:
        """Join the fetch that runs, or start one in a thread of its own, which blocks no loop."""
        with self._lock:
            if self._fetching is None:
                self._fetching = Future()
                # A waiter that is cancelled must not cancel the future that others wait for.
                self._fetching.set_running_or_notify_cancel()
                threading.Thread(
                    target=self._run, args=(self._fetching,), name="predictions-token", daemon=True
                ).start()
            return self._fetching

    def _run(self, future: Future[str]) -> None:
        try:
            token = _fetch(self._credentials)
        except BaseException as error:
            with self._lock:
                self._fetching = None
            future.set_exception(error)
        else:
            with self._lock:
                self._token, self._fetching = token, None
            future.set_result(token.value)

    def accept(self, token: str) -> None:
        if self._refused and self._token and self._token.value == token:
            self._refused = False

    def reject(self, token: str) -> bool:
        with self._lock:
            if self._token is None or self._token.value != token:
                return True  # somebody else has had it replaced meanwhile
            again, self._refused = self._refused, True
            self._token = None
            return not again


sources: dict[ClientCredentialsAuth, _TokenSource] = {}
"""The shared tokens of this process."""

# A fork copies the lock and the future of a fetch, but not the thread that would end them.
os.register_at_fork(after_in_child=sources.clear)


def _fetch(credentials: ClientCredentialsAuth) -> _Token:
    # Cradl's token endpoint answers a good request with 400 now and then, so a 400 is tried again;
    # the vendor's SDK does the same (cradl-sdk-python, changelog 0.6.1 and 0.6.2).
    try:
        return tenacity.Retrying(**policy(TOKEN_ATTEMPTS))(_fetch_once, credentials)
    except _Status400Error as error:
        raise AuthenticationError(
            f"The token endpoint (extra auth_url) answered 400 {TOKEN_ATTEMPTS} times: "
            "check client id (login), client secret (password) and extra audience",
            status=400,
        ) from error


class _Status400Error(TransientError):
    """Real and spurious refusals of the token endpoint look the same."""


def _fetch_once(credentials: ClientCredentialsAuth) -> _Token:
    import requests
    from oauthlib.oauth2 import BackendApplicationClient, InsecureTransportError, OAuth2Error
    from requests_oauthlib import OAuth2Session

    # It writes the request's body, secret included, and the token at DEBUG.
    logging.getLogger("requests_oauthlib").setLevel(logging.INFO)

    asked = time.monotonic()
    try:
        with OAuth2Session(client=BackendApplicationClient(client_id=credentials.client_id)) as session:
            session.max_redirects = 0  # the secret goes to auth_url and nowhere else
            session.register_compliance_hook("access_token_response", _refuse)
            answer: dict[str, Any] = session.fetch_token(
                credentials.auth_url,
                client_secret=credentials.client_secret,
                include_client_id=True,
                audience=credentials.audience,
                timeout=30,
            )
        lifetime = float(answer.get("expires_in") or "inf")
    except PredictionsError:
        raise
    except requests.TooManyRedirects:
        raise ConfigurationError("extra auth_url: redirects; give the URL that it leads to") from None
    except InsecureTransportError:
        raise ConfigurationError(
            "extra auth_url: must start with https:// "
            "(for a server on this machine set OAUTHLIB_INSECURE_TRANSPORT=1)"
        ) from None
    except requests.RequestException as error:
        raise NoAnswerError(
            f"The token endpoint (extra auth_url) did not answer: {type(error).__name__}"
        ) from None
    except (OAuth2Error, ValueError) as error:
        raise MalformedAnswerError(
            f"The token endpoint (extra auth_url) sent no token: {type(error).__name__}"
        ) from None
    return _Token(answer["access_token"], asked + lifetime - min(LEEWAY, lifetime / 2))


def _refuse(response: requests.Response) -> requests.Response:
    """Turn an error status into an error before oauthlib reads, and may quote, the body."""
    status = response.status_code
    where = f"The token endpoint (extra auth_url) answered {status}"
    after = retry_after(response.headers.get("Retry-After"), datetime.now(UTC))
    if status == 400:
        raise _Status400Error(where, status=status)
    if status in (401, 403):
        raise AuthenticationError(
            f"{where}: check client id (login) and client secret (password)", status=status
        )
    if status == 429:
        raise RateLimitedError(where, status=status, retry_after=after)
    if status >= 500:
        raise ServerError(where, status=status, retry_after=after)
    if status != 200:
        raise InvalidRequestError(f"{where}: check the URL", status=status)
    return response
