"""The table of bounds in docs/reliability.md says what the code does."""

from __future__ import annotations

import re
from pathlib import Path

from airflow_provider_predictions.api import errors
from airflow_provider_predictions.api.http import retry, token_endpoint, transport
from airflow_provider_predictions.api.pagination import base
from airflow_provider_predictions.api.waiting import decide, finished_events, pace
from airflow_provider_predictions.hooks.connection_settings import Settings
from airflow_provider_predictions.operators import landing_arguments, listing
from airflow_provider_predictions.sensors.vlmrun import VlmRunPredictionsSensor
from airflow_provider_predictions.storage import objects, scratch_dir
from airflow_provider_predictions.triggers.poller import Poller

PAGE = Path(__file__).parents[2].joinpath("docs", "reliability.md").read_text()
DAY = 24 * 3600
TIMEOUT = Settings().timeout
BOUNDS = {
    "connecting, sending, and each read": f"{TIMEOUT:g} s",
    "an answer in all, its headers included": f"{TIMEOUT * transport.TIMEOUTS:g} s",
    "an answer's body, unpacked": f"{Settings().max_response_bytes} bytes",
    "redirects that are followed": "0",
    "attempts of a request": f"{retry.ATTEMPTS}",
    "halving of a page that is too large or too slow (504, a timeout), to": (f"{base.MIN_PAGE_SIZE} rows"),
    "pages in a row without a new row": f"{base.MAX_PAGES_WITHOUT_NEW_ROWS}",
    "empty pages in a row": f"{base.MAX_PAGES_WITHOUT_NEW_ROWS * base.EMPTY_PAGES_AS_ONE}",
    "wait between two attempts; a longer `Retry-After` is left to the task's `retries`": (
        f"{retry.MAX_RETRY_WAIT:g} s"
    ),
    "time for which 429 is waited out": f"{retry.RATE_LIMIT_PATIENCE:g} s",
    "wait for a turn of `requests_per_minute`": f"{retry.RATE_LIMIT_PATIENCE:g} s",
    "delay of a task's retry that a `Retry-After` asks for": f"{pace.MAX_RETRY_AFTER:g} s",
    "attempts at a token that is refused with 400": f"{token_endpoint.TOKEN_ATTEMPTS}",
    "wait for a token in all": f"{TIMEOUT * transport.TIMEOUTS:g} s",
    "an answer of the token endpoint": f"{token_endpoint.MAX_TOKEN_RESPONSE_BYTES} bytes",
    "requests in flight of a landing": f"{landing_arguments.MAX_PREFETCH}",
    "pages in memory of a landing": "`prefetch` + 1",
    "a piece of a part on its way to an object store, whose smaller parts go whole": f"{objects.PIECE} bytes",
    "JSON that a list pushes": f"{listing.MEBIBYTE} bytes",
    "polls in T seconds": "T / `poke_interval` + 1",
    "first poll of a trigger, at the earliest": f"{Poller.shortest_interval:g} s",
    "time by which a service can put a poll off": f"{pace.MAX_RETRY_AFTER:g} s",
    "failed polls in a row": f"{pace.MAX_FAILURES}",
    "wait for an id that the service does not know": f"{decide.MISSING_TIMEOUT:g} s",
    "a wait in all": f"{VlmRunPredictionsSensor(task_id='wait').timeout / DAY:g} days",
    "an event of a watcher": f"{finished_events.MAX_EVENT_BYTES} bytes",
    "a service's words in an error": f"{errors.MAX_MESSAGE_LENGTH} characters",
    "predictions that an error names": f"{decide.NAMED}",
    "age of what a killed landing left on a worker, until another one removes it": (
        f"{2 * scratch_dir.LIFETIME / DAY:g} days"
    ),
}


def test_the_page_gives_every_bound_of_the_code_and_no_other() -> None:
    table = PAGE.split("\n## Bounds\n")[1].split("\n## ")[0]

    assert re.findall(r"^\| (?!what|---)(.*?) \| (.*?) \|", table, re.MULTILINE) == list(BOUNDS.items())
