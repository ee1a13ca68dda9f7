"""Who asks: a fixed API key, or a token that is fetched, shared and renewed."""

from __future__ import annotations

import asyncio
import math
import os
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Protocol

from airflow_provider_predictions.api.errors import NoAnswerError
from airflow_provider_predictions.api.http.redaction import without
from airflow_provider_predictions.api.http.token_endpoint import Token, fetch
from airflow_provider_predictions.api.http.transport import TIMEOUTS

INTERVAL = 60.0
"""Seconds after a replacement that was refused, too, before another token is tried."""


class Auth(Protocol):
    """Where the bearer token comes from."""

    def token(self) -> str:
        """The token to send now."""

    async def atoken(self) -> str:
        """The same, without blocking the event loop."""

    def accept(self, token: str) -> None:
        """Hear that the service took a token."""

    def reject(self, token: str, status: int, *, renewed: bool = False, is_file: bool = False) -> bool:
        """Hear that the service refused a token; answer whether another one is worth a try.

        :param status: 401, or 403, which may also mean that a right is lacking.
        :param renewed: whether the same request was refused with the token before, too.
        :param is_file: whether it was a request for a file, which may be forbidden by itself.
        """

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

    def reject(self, token: str, status: int, *, renewed: bool = False, is_file: bool = False) -> bool:
        """There is no other key."""
        return False

    def redact(self, text: str) -> str:
        """A text without the key."""
        return without(text, self.api_key)


def _tell_nobody(token: str) -> None:
    """Nobody wants to know."""


@dataclass(frozen=True)
class ClientCredentialsAuth:
    """OAuth2 client credentials, in the form body, with an ``audience`` (Cradl: api-reference, Introduction).

    Equal credentials share one token in a process, whoever asks for it and from wherever.

    :param timeout: seconds for each of connecting, sending and each read; a token may take five
        times as long in all.
    :param on_token: is told of each new token before it is used.
    """

    auth_url: str
    client_id: str
    client_secret: str = field(repr=False)
    audience: str
    timeout: float = field(default=60, compare=False)
    on_token: Callable[[str], None] = field(default=_tell_nobody, repr=False, compare=False)

    @property
    def _source(self) -> _TokenSource:
        # setdefault is atomic: of two threads that come at once, both get the first one's source.
        return sources.get(self) or sources.setdefault(self, _TokenSource(self))

    def token(self) -> str:
        """The shared token, fetched where there is none or it is about to end."""
        source = self._source
        if token := source.fresh():
            return token
        fetching = source.fetch()
        try:
            return fetching.result(self.timeout * TIMEOUTS)
        except TimeoutError:
            raise source.give_up(fetching) from None

    async def atoken(self) -> str:
        """The same; the fetch runs in a thread of its own."""
        source = self._source
        if token := source.fresh():
            return token
        fetching = source.fetch()
        try:
            return await asyncio.wait_for(asyncio.wrap_future(fetching), self.timeout * TIMEOUTS)
        except TimeoutError:
            raise source.give_up(fetching) from None

    def accept(self, token: str) -> None:
        """The current token is good."""
        self._source.accept(token)

    def reject(self, token: str, status: int, *, renewed: bool = False, is_file: bool = False) -> bool:
        """Renew once: a second refusal in a row is about the credentials, or about their rights."""
        return self._source.reject(token, status, renewed=renewed, is_file=is_file)

    def redact(self, text: str) -> str:
        """A text without the secret."""
        return without(text, self.client_secret)


class _TokenSource:
    """One token for all who share a credential. At most one fetch runs; everyone waits for its future."""

    def __init__(self, credentials: ClientCredentialsAuth) -> None:
        self._credentials = credentials
        self._lock = threading.Lock()
        self._token: Token | None = None
        self._accepted = False
        self._replaced_at = -math.inf
        self._in_vain_until: dict[int, float] = {}
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

    def give_up(self, fetching: Future[str]) -> NoAnswerError:
        """Wait for this fetch no more; the next who needs a token starts another."""
        self._end(fetching)
        return NoAnswerError(
            "The token endpoint (extra auth_url) sent no token within "
            f"{self._credentials.timeout * TIMEOUTS:g} s, {TIMEOUTS} times extra timeout"
        )

    def _end(self, fetching: Future[str]) -> None:
        with self._lock:
            if self._fetching is fetching:
                self._fetching = None

    def _run(self, future: Future[str]) -> None:
        try:
            token = fetch(self._credentials)
            self._credentials.on_token(token.value)
        except BaseException as error:
            self._end(future)
            future.set_exception(error)
        else:
            self._token, self._accepted = token, False
            self._end(future)
            future.set_result(token.value)

    def accept(self, token: str) -> None:
        if not self._accepted and self._token and self._token.value == token:
            self._accepted = True

    def reject(self, token: str, status: int, *, renewed: bool, is_file: bool) -> bool:
        with self._lock:
            if self._token is None or self._token.value != token:
                return not renewed  # somebody else has had it replaced meanwhile
            now = time.monotonic()
            if renewed or (not self._accepted and now < self._replaced_at + INTERVAL):
                self._in_vain_until[status] = now + INTERVAL
                return False
            # What a new token did not help against is not about the token, even if other requests go well.
            if now < self._in_vain_until.get(status, -math.inf):
                return False
            if is_file and status == 403 and self._accepted:
                return False
            self._token, self._replaced_at = None, now
            return True


sources: dict[ClientCredentialsAuth, _TokenSource] = {}
"""The shared tokens of this process."""

# A fork copies the lock and the future of a fetch, but not the thread that would end them.
os.register_at_fork(after_in_child=sources.clear)
