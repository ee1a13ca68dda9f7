"""What libraries write into the log, without what nobody may read there."""

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
"""Loggers that write whole URLs, some of them at DEBUG only."""
WITH_TOKENS = "requests_oauthlib.oauth2_session"
"""Writes the request for a token, secret included, and the token, at DEBUG."""
_QUERY = re.compile(r"\?\S+")


def _without_query(record: logging.LogRecord) -> bool:
    """Page tokens and signatures of files stand in queries."""
    text = record.getMessage()
    if "?" in text:
        record.msg, record.args = _QUERY.sub("", text), ()
    return True


def _above_debug(record: logging.LogRecord) -> bool:
    return record.levelno > logging.DEBUG


def keep_secrets_out() -> None:
    """Filter what the libraries that send requests log, whatever levels are configured; done once."""
    for name in WITH_URLS:
        logging.getLogger(name).addFilter(_without_query)
    logging.getLogger(WITH_TOKENS).addFilter(_above_debug)
