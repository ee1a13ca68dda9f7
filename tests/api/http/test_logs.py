"""What the libraries that send requests may write into the log."""

from __future__ import annotations

import logging

import pytest


@pytest.mark.parametrize(
    "name",
    [
        "httpcore.http11", "httpcore.proxy", "httpx",
        "urllib3.connection", "urllib3.connectionpool", "urllib3.poolmanager",
    ],
)  # fmt: skip
def test_a_query_is_left_out_of_what_a_library_writes(name: str, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG, name)
    logger = logging.getLogger(name)

    logger.debug("GET %s answered %d", "https://host.test/list?nextToken=hush", 200)
    logger.info("nothing to hide")

    assert caplog.messages == ["GET https://host.test/list answered 200", "nothing to hide"]


def test_the_request_for_a_token_is_not_written(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG, "requests_oauthlib.oauth2_session")
    logger = logging.getLogger("requests_oauthlib.oauth2_session")

    logger.debug("client_secret=hush")
    logger.info("passes")

    assert caplog.messages == ["passes"]
