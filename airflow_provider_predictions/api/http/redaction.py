"""Hide secrets in texts that a service sent, and in what libraries log."""

from __future__ import annotations

import base64
import logging
import re
from collections.abc import Callable, Iterator
from functools import partial

from airflow_provider_predictions.api.http.escapes import hide
from airflow_provider_predictions.api.limits import (
    MAX_MESSAGE_LENGTH,
    MAX_SERVICE_TEXT,
    MIN_SECRET_LENGTH,
    MIN_VALUE_LENGTH,
)

WITH_URLS = (
    "httpcore.http11",
    "httpcore.proxy",
    "httpx",
    "urllib3.connection",
    "urllib3.connectionpool",
    "urllib3.poolmanager",
)
"""Loggers that log whole URLs, some at DEBUG only."""
WITH_TOKENS = "requests_oauthlib.oauth2_session"
"""At DEBUG, logs the client secret and the token."""
_QUERY = re.compile(r"\?\S+")
_URL = re.compile(r"://[^\s\"'<>]+")
"""A URL, from the end of its scheme on."""
# Matches whole words. A pattern for a part of a word would start again at each letter.
_WORD = re.compile(r"[\w+/=-]+")


def without(text: str, *secrets: str) -> str:
    """Replace each secret by ``***``, also as it looks in a URL, in JSON, HTML or base64."""
    words = [*filter(None, secrets)]
    cores = {core for word in words for core in _in_base64(word)}
    for core in cores:
        if core in text:
            text = _WORD.sub(partial(_hidden, core), text)
    text = hide(text, {*words, *cores})
    # A text around a secret may continue an escape in it.
    for word in words:
        text = text.replace(word, "***")
    return text


def quotable(text: str, redact: Callable[[str], str]) -> str:
    """Shorten a text that a service sent, so that a message can quote it.

    Secrets are hidden, and so are the credentials and queries of URLs, which may be signed.

    :param redact: hides the secrets of the connection and of the request.
    """
    found = _URL.sub(_without_credentials, redact(text[:MAX_SERVICE_TEXT]))
    if len(text) > MAX_SERVICE_TEXT:
        # The cut may have halved a secret. As others shrank to ***, its first half could be quoted.
        found = found[: max(0, len(found) - MAX_SERVICE_TEXT // 2)]
    printable = "".join(letter if letter.isprintable() else " " for letter in found[:MAX_MESSAGE_LENGTH])
    return " ".join(printable.split())


def _without_credentials(url: re.Match[str]) -> str:
    address, mark, _ = url[0].partition("?")
    host, slash, path = address.removeprefix("://").partition("/")
    return f"://{host.rpartition('@')[2]}{slash}{path}{mark and '?***'}"


def without_values(text: str, *values: str) -> str:
    """Replace the values of a query, which may be signatures or page tokens."""
    return without(text, *(value for value in values if len(value) >= MIN_VALUE_LENGTH))


def _hidden(core: str, word: re.Match[str]) -> str:
    return "***" if core in word[0] else word[0]


def _in_base64(secret: str) -> Iterator[str]:
    """The base64 of a secret, without the letters that depend on the text around it."""
    for offset in range(3):
        for encode in (base64.b64encode, base64.urlsafe_b64encode):
            core = encode(b"\0" * offset + secret.encode()).decode().rstrip("=")[(0, 2, 3)[offset] : -1]
            if len(core) >= MIN_SECRET_LENGTH:
                yield core


def keep_secrets_out() -> None:
    """Filter the logs of the libraries that send requests, at all levels. The package calls it once."""
    for name in WITH_URLS:
        logging.getLogger(name).addFilter(_without_query)
    logging.getLogger(WITH_TOKENS).addFilter(lambda record: record.levelno > logging.DEBUG)


def _without_query(record: logging.LogRecord) -> bool:
    """Remove queries, which hold page tokens and signatures of files."""
    text = record.getMessage()
    if "?" in text:
        record.msg, record.args = _QUERY.sub("", text), ()
    return True
