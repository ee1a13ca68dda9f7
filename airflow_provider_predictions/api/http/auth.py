"""Credentials of a service: a fixed API key, or a token that is fetched, shared and renewed."""

from __future__ import annotations

import asyncio
import math
import os
import threading
import time
from abc import abstractmethod
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Protocol

from typing_extensions import override

from airflow_provider_predictions.api.errors import NoAnswerError, PredictionsError
from airflow_provider_predictions.api.http.redaction import without
from airflow_provider_predictions.api.http.token_endpoint import Credentials, Token, fetch, too_slow
from airflow_provider_predictions.api.limits import MAX_TIMEOUTS, MIN_RENEWAL_SECONDS


class Auth(Protocol):
    """Where the bearer token comes from. Equal ones share a rate limit."""

    @property
    @abstractmethod
    def account(self) -> str:
        """What differs between accounts. It may be a secret, so only a hash of it may be stored."""

    @abstractmethod
    def token(self) -> str: ...

    async def atoken(self) -> str:
        """Get the token without blocking the event loop."""
        return self.token()

    def accept(self, token: str) -> None:
        """Note that the service accepted a token."""
        return

    def reject(self, token: str, status: int, *, renewed: bool = False, is_file: bool = False) -> bool:
        """Note that the service refused a token. Return whether another one may work.

        :param status: 401, or 403, which may also mean that a right is missing.
        :param renewed: whether the service refused the same request with another token before.
        :param is_file: whether the request was for a file, which may be forbidden by itself.
        """
        return False

    @abstractmethod
    def redact(self, text: str) -> str:
        """Remove the secrets from a text, since a service may echo them."""


@dataclass(frozen=True)
class BearerAuth(Auth):
    """A fixed API key (VLM Run: specification, ``HTTPBearer``)."""

    api_key: str = field(repr=False)

    @property
    @override
    def account(self) -> str:
        return self.api_key

    @override
    def token(self) -> str:
        return self.api_key

    @override
    def redact(self, text: str) -> str:
        return without(text, self.api_key)


@dataclass(frozen=True)
class ClientCredentialsAuth(Credentials, Auth):
    """OAuth2 client credentials, in the form body, with an ``audience`` (Cradl: api-reference, Introduction).

    Equal credentials share one token in a process. Fetching a token takes at most five timeouts.

    :param on_token: called with each new token before its first use.
    """

    on_token: Callable[[str], None] | None = field(default=None, repr=False, compare=False)

    @property
    @override
    def account(self) -> str:
        return f"{self.auth_url} {self.client_id} {self.audience}"

    @property
    def _source(self) -> _TokenSource:
        # setdefault is atomic: two threads that arrive at once get the same source.
        return sources.get(self) or sources.setdefault(self, _TokenSource(self))

    @override
    def token(self) -> str:
        fetching = self._source.fetch()
        try:
            return fetching.result(self.timeout * MAX_TIMEOUTS)
        except TimeoutError:
            raise self._source.give_up(fetching) from None

    @override
    async def atoken(self) -> str:
        fetching = self._source.fetch()
        try:
            return await asyncio.wait_for(asyncio.wrap_future(fetching), self.timeout * MAX_TIMEOUTS)
        except TimeoutError:
            raise self._source.give_up(fetching) from None

    @override
    def accept(self, token: str) -> None:
        self._source.accept(token)

    @override
    def reject(self, token: str, status: int, *, renewed: bool = False, is_file: bool = False) -> bool:
        return self._source.reject(token, status, renewed=renewed, is_file=is_file)

    @override
    def redact(self, text: str) -> str:
        return without(text, self.client_secret, self._source.value)


class _TokenSource:
    """The token of one credential. At most one fetch runs, and every caller waits for its future."""

    def __init__(self, credentials: ClientCredentialsAuth) -> None:
        self._credentials = credentials
        self._lock = threading.Lock()
        self._fetching: Future[str] | None = None
        self._token: Token | None = None
        self._accepted = False
        self._replaced_at = -math.inf
        self._no_renewal_until: dict[int, float] = {}

    @property
    def value(self) -> str:
        """The token, if there is one; else an empty text."""
        token = self._token
        return token.value if token else ""

    def fetch(self) -> Future[str]:
        """Return the running fetch, a finished one whose token is fresh, or start one in a thread."""
        with self._lock:
            is_fresh = self._token is not None and time.monotonic() < self._token.renew_at
            if self._fetching is None or (self._fetching.done() and not is_fresh):
                self._fetching = Future()
                # A waiter that is cancelled must not cancel the future that others wait for.
                self._fetching.set_running_or_notify_cancel()
                threading.Thread(
                    target=self._run, args=(self._fetching,), name="predictions-token", daemon=True
                ).start()
            return self._fetching

    def give_up(self, fetching: Future[str]) -> NoAnswerError:
        """Forget a fetch that takes too long. The next request for a token starts another."""
        with self._lock:
            if self._fetching is fetching:
                self._fetching = None
        error = too_slow(self._credentials)
        error.of_token = True
        return error

    def _run(self, future: Future[str]) -> None:
        try:
            token = fetch(self._credentials)
            if self._credentials.on_token:
                self._credentials.on_token(token.value)
        except BaseException as error:
            if isinstance(error, PredictionsError):
                error.of_token = True
            future.set_exception(error)
        else:
            with self._lock:
                if self._fetching is None:
                    self._fetching = future  # its callers gave up, but the next request can use the token
                if self._fetching is future:
                    self._token, self._accepted = token, False
            future.set_result(token.value)

    def accept(self, token: str) -> None:
        if self._token and self._token.value == token:
            self._accepted = True

    def reject(self, token: str, status: int, *, renewed: bool, is_file: bool) -> bool:
        """Renew a token once. A second refusal in a row is about the credentials or their rights."""
        with self._lock:
            if self._token is None or self._token.value != token:
                return not renewed  # another request replaced it
            now = time.monotonic()
            if renewed or (not self._accepted and now < self._replaced_at + MIN_RENEWAL_SECONDS):
                self._no_renewal_until[status] = now + MIN_RENEWAL_SECONDS
                return False
            # A new token did not help, so the token is not the reason, even if other requests succeed.
            if now < self._no_renewal_until.get(status, -math.inf):
                return False
            if is_file and status == 403 and self._accepted:
                return False
            self._token, self._replaced_at = None, now
            return True


sources: dict[ClientCredentialsAuth, _TokenSource] = {}
"""The shared tokens of this process."""

# A fork copies the lock and the future of a fetch, but not the thread that would end them.
os.register_at_fork(after_in_child=sources.clear)
