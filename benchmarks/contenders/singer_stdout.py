"""Singer SDK: a REST stream whose messages go to a file instead of a target."""

from __future__ import annotations

from contextlib import redirect_stdout
from pathlib import Path
from typing import Any

from job import Job
from requests import Response
from server import API_KEY
from singer_sdk import RESTStream, Stream, Tap
from singer_sdk import typing as th
from singer_sdk.authenticators import BearerTokenAuthenticator
from singer_sdk.pagination import OffsetPaginator

WRITES = "messages.jsonl"


class Offsets(OffsetPaginator):
    def has_more(self, response: Response) -> bool:
        return response.content != b"[]"


class Predictions(RESTStream[int]):
    name = "predictions"
    path = "/predictions"
    primary_keys = ("id",)
    schema = th.PropertiesList(
        th.Property("id", th.StringType),
        th.Property("created_at", th.DateTimeType),
        th.Property("completed_at", th.DateTimeType),
        th.Property("status", th.StringType),
        th.Property("domain", th.StringType),
        th.Property("usage", th.ObjectType(additional_properties=True)),
        th.Property("response", th.ObjectType(additional_properties=True)),
    ).to_dict()

    @property
    def url_base(self) -> str:
        url: str = self.config["url"]
        return url

    @property
    def authenticator(self) -> BearerTokenAuthenticator:
        return BearerTokenAuthenticator(token=API_KEY)

    def get_new_paginator(self) -> Offsets:
        return Offsets(start_value=0, page_size=self.config["page_size"])

    def get_url_params(self, context: Any, next_page_token: int | None) -> dict[str, Any]:
        return {"skip": next_page_token, "limit": self.config["page_size"]}


class TapPredictions(Tap):
    name = "tap-predictions"
    config_jsonschema = th.PropertiesList(
        th.Property("url", th.StringType, required=True),
        th.Property("page_size", th.IntegerType, required=True),
    ).to_dict()

    def discover_streams(self) -> list[Stream]:
        return [Predictions(self)]


def read(job: Job, url: str, count: int, folder: Path) -> None:
    with (folder / "messages.jsonl").open("w") as out, redirect_stdout(out):
        TapPredictions(config={"url": url, "page_size": job.page_size}).sync_all()
