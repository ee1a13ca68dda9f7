"""Secrets that can be told apart, in front of the sandbox, and the search for them in whatever form."""

from __future__ import annotations

import base64
import gzip
import html
import json
import logging
import re
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import parse_qs, parse_qsl, quote, quote_plus, urlencode

import zstandard
from airflow.providers.common.compat.sdk import AirflowException

from airflow_provider_predictions.api.errors import PredictionsError
from airflow_provider_predictions.sandbox import app
from airflow_provider_predictions.sandbox.server import Sandbox
from tests.faults import App, Message, Receive, Send

# Each reads otherwise in a URL, in JSON, in HTML and in base64.
API_KEY = 'canary-key/+="\\&<%2F>-of-vlmrun'
CLIENT_SECRET = 'canary-secret/+="\\&<%2F>-of-cradl'
SIGNATURE = "canary-signature/+=-of-a-file"

LIBRARIES = (
    "httpx",
    "httpcore.connection",
    "httpcore.http11",
    "httpcore.proxy",
    "oauthlib.oauth2",
    "requests",
    "requests_oauthlib",
    "requests_oauthlib.oauth2_session",
    "urllib3.connection",
    "urllib3.connectionpool",
    "urllib3.poolmanager",
    "urllib3.util.retry",
)
"""What each of these says at DEBUG is searched, too."""
OTHER_END = ("uvicorn", "starlette", "asyncio")
"""Loggers of the server, which runs in the same process."""


def forms(secret: str) -> Iterator[str]:
    """How a secret may be written."""
    yield secret
    yield quote(secret)
    yield quote(secret, safe="")
    yield quote_plus(secret)
    yield json.dumps(secret)[1:-1]
    yield json.dumps(json.dumps(secret))[3:-3]
    yield repr(secret)[1:-1]
    yield html.escape(secret)
    for offset in range(3):
        # In base64, what stands in front shifts what follows; the first and the last letter are shared.
        for encode in (base64.b64encode, base64.urlsafe_b64encode):
            text = encode(b"\0" * offset + secret.encode()).decode().rstrip("=")
            yield text[(0, 2, 3)[offset] : -1]


@dataclass
class Echo:
    """Answers that quote the whole request, as a service does that is helpful or misconfigured.

    :param later: only of requests with something in the query that a page before has given.
    :param times: how many.
    """

    status: int
    later: bool = False
    times: int = 1_000_000


class Disguise:
    """ASGI middleware that lets the sandbox have the canaries for credentials, and signs its files.

    :param app: the sandbox.
    """

    def __init__(self, app: App) -> None:
        self.app = app
        self.tokens: set[str] = set()
        self.echo: dict[str, Echo] = {}
        """By the beginning of the path."""

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        """Serve one request."""
        body = (await receive()).get("body", b"")
        if status := self._echoes(scope):
            await _send(send, status, _echo(scope, body), {"location": f"/elsewhere?{_quoted(scope, body)}"})
            return
        form = dict(parse_qsl(body.decode()))
        if form.get("client_secret") == CLIENT_SECRET:
            body = urlencode(form | {"client_secret": app.CLIENT_SECRET}).encode()
        given = {name: value for name, value in scope["headers"] if name != b"content-length"}
        if given.get(b"authorization") == f"Bearer {API_KEY}".encode():
            given[b"authorization"] = f"Bearer {app.API_KEY}".encode()
        messages: list[Message] = []

        async def take() -> Message:
            return {"type": "http.request", "body": body}

        async def keep(message: Message) -> None:
            messages.append(message)

        await self.app({**scope, "headers": list(given.items())}, take, keep)
        text = b"".join(message.get("body", b"") for message in messages)
        text = re.sub(rb'("fileUrl": ?"[^"]+)', rb"\1?X-Signature=" + quote_plus(SIGNATURE).encode(), text)
        self.tokens |= {token.decode() for token in re.findall(rb"sandbox-token-[\w-]+", text)}
        await _send(send, messages[0]["status"], text)

    def _echoes(self, scope: Message) -> int | None:
        for start, echo in self.echo.items():
            is_later = re.search(rb"nextToken=|skip=[1-9]|X-Signature", scope["query_string"])
            if scope["path"].startswith(start) and echo.times and (is_later or not echo.later):
                echo.times -= 1
                return echo.status
        return None


async def _send(send: Send, status: int, body: bytes, more: dict[str, str] | None = None) -> None:
    headers = {"content-type": "application/json", "content-length": str(len(body)), **(more or {})}
    pairs = [(name.encode(), value.encode()) for name, value in headers.items()]
    await send({"type": "http.response.start", "status": status, "headers": pairs})
    await send({"type": "http.response.body", "body": body})


def _given(scope: Message, body: bytes) -> list[str]:
    """All that a request holds and nobody else may see."""
    bearer = dict(scope["headers"]).get(b"authorization", b"").decode().removeprefix("Bearer ")
    query = parse_qs(scope["query_string"].decode())
    secret = parse_qs(body.decode()).get("client_secret", [])
    return [value for value in (bearer, *query.get("nextToken", ()), *secret) if value]


def _quoted(scope: Message, body: bytes) -> str:
    return "&".join(f"seen={quote(value, safe='')}" for value in _given(scope, body))


def _echo(scope: Message, body: bytes) -> bytes:
    """A refusal as both services word it, which quotes the request in every form, the longest of it first."""
    written = dict.fromkeys(form for value in _given(scope, body) for form in forms(value))
    words = " ".join(f"[{form}]" for form in written)
    return json.dumps({"message": words, "detail": [{"loc": ["header", "x"], "msg": words}]}).encode()


class Evidence(logging.Handler):
    """All that was produced, as text, by where it was found."""

    def __init__(self, server: Sandbox, disguise: Disguise) -> None:
        super().__init__(logging.NOTSET)
        self._server = server
        self.disguise = disguise
        self.texts: list[tuple[str, str]] = []
        self._allowed: list[tuple[str, str]] = []

    def allow(self, canary: str, *places: str) -> None:
        """Let a canary be where it must be."""
        self._allowed += [(canary, place) for place in places]

    def emit(self, record: logging.LogRecord) -> None:
        """Note a record as it is printed, and all that it holds."""
        if not record.name.startswith(OTHER_END):
            text = logging.Formatter().format(record)
            self.texts.append((f"log of {record.name}", f"{text}\n{vars(record)}"))

    def note(self, where: str, *things: object) -> None:
        """Note what something says of itself."""
        for thing in things:
            if isinstance(thing, BaseException):
                self.texts.append((where, "".join(traceback.format_exception(thing))))
                chain: BaseException | None = thing
                while chain:
                    # Airflow prints what a traceback prints; a tool that reports errors may print this, too.
                    self.texts.append((where, f"{chain!r} {chain.args} {vars(chain)}"))
                    chain = chain.__cause__
            else:
                self.texts.append((where, f"{thing} {thing!r}"))

    @contextmanager
    def of_failure(self, where: str) -> Iterator[None]:
        """Note the error that ends the block, if one of those does that a task may end with."""
        try:
            yield
        except (AirflowException, PredictionsError) as error:
            self.note(where, error)

    def note_files(self, directory: Path) -> None:
        """Note what files hold, and what they are called."""
        for file in directory.rglob("*"):
            if file.is_file():
                self.texts.append((f"file {file}", _text_of(file)))

    def note_requests(self) -> None:
        """Note what the server was asked for, but for the parts of the query that are for it."""
        for seen in self._server.wire.seen:
            query = re.sub(r"(nextToken|X-Signature)=[^&]*", "", seen.query)
            self.texts.append((f"request to {seen.part}", f"{seen.path} {query}"))

    def page_tokens(self) -> set[str]:
        """Every page token that the server was asked with."""
        queries = (parse_qs(seen.query) for seen in self._server.wire.seen if seen.part == "cradl")
        return {token for query in queries for token in query.get("nextToken", ())}

    def found(self) -> set[tuple[str, str]]:
        """Which canary was found where."""
        canaries = {
            "API key": {API_KEY},
            "client secret": {CLIENT_SECRET},
            "access token": self.disguise.tokens,
            "page token": self.page_tokens(),
            "signature": {SIGNATURE},
        }
        return {
            (name, where)
            for name, secrets in canaries.items()
            for form in {form for secret in secrets for form in forms(secret)}
            for where, text in self.texts
            if form in text and not any(name == one and place in where for one, place in self._allowed)
        }


def _text_of(file: Path) -> str:
    content = file.read_bytes()
    if file.suffix == ".gz":
        content = gzip.decompress(content)
    elif file.suffix == ".zst":
        content = zstandard.ZstdDecompressor().decompressobj().decompress(content)
    elif file.suffix == ".parquet":
        import pyarrow.parquet

        return str(pyarrow.parquet.read_table(file).to_pylist())
    return content.decode("utf-8", "replace")


@contextmanager
def everything_logs_to(handler: logging.Handler) -> Iterator[None]:
    """Let every logger there is log at DEBUG, to one handler."""
    root = logging.getLogger()
    for name in LIBRARIES:
        logging.getLogger(name)
    loggers = [root, *(it for it in root.manager.loggerDict.values() if isinstance(it, logging.Logger))]
    before = [(logger, logger.level) for logger in loggers]
    ends = [logger for logger in loggers if logger is root or not logger.propagate]
    for logger in loggers:
        if not logger.name.startswith(OTHER_END):
            logger.setLevel(logging.DEBUG)
    for logger in ends:
        logger.addHandler(handler)
    try:
        yield
    finally:
        for logger in ends:
            logger.removeHandler(handler)
        for logger, level in before:
            logger.setLevel(level)
