"""Keep secrets out of what libraries log."""

from __future__ import annotations

import logging
import re

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


def _without_query(record: logging.LogRecord) -> bool:
    """Remove queries, which hold page tokens and signatures of files."""
    text = record.getMessage()
    if "?" in text:
        record.msg, record.args = _QUERY.sub("", text), ()
    return True


def _above_debug(record: logging.LogRecord) -> bool:
    return record.levelno > logging.DEBUG


def keep_secrets_out() -> None:
    """Filter the logs of the libraries that send requests, at all levels. The package calls it once."""
    for name in WITH_URLS:
        logging.getLogger(name).addFilter(_without_query)
    logging.getLogger(WITH_TOKENS).addFilter(_above_debug)
