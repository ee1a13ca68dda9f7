"""Records land through the package's own code, and are reported on."""

from __future__ import annotations

import csv
import itertools
import tempfile
from collections.abc import Sequence
from contextlib import AbstractContextManager, ExitStack, nullcontext
from datetime import datetime
from pathlib import Path
from typing import Any

import time_machine
from airflow.providers.common.compat.sdk import ObjectStoragePath
from pydantic import TypeAdapter

from airflow_provider_predictions.api.cradl import Cradl
from airflow_provider_predictions.api.http.auth import BearerAuth
from airflow_provider_predictions.api.page import Page
from airflow_provider_predictions.api.service import Service
from airflow_provider_predictions.api.vlmrun import VlmRun
from airflow_provider_predictions.operators.arguments import Source
from airflow_provider_predictions.report.build import build
from airflow_provider_predictions.report.source import landings
from airflow_provider_predictions.report.summary import Options, Summary
from airflow_provider_predictions.report.window import Window
from airflow_provider_predictions.storage.attempt import TaskRun
from airflow_provider_predictions.storage.commit import LandingPath
from airflow_provider_predictions.storage.formats.factory import make_format
from airflow_provider_predictions.storage.landed import Landed
from airflow_provider_predictions.storage.landing import Landing
from airflow_provider_predictions.storage.manifest import Manifest, is_written
from airflow_provider_predictions.storage.objects import prepare

SERVICES: dict[str, Service[Any]] = {
    "vlmrun": VlmRun(base_url="http://localhost", auth=BearerAuth("key")),
    "cradl": Cradl(base_url="http://localhost", auth=BearerAuth("key")),
}
FORMS = (("jsonl", None), ("jsonl", "gzip"), ("jsonl", "zstd"), ("parquet", None))


_RUNS = itertools.count()


def land(
    service_name: str,
    path: Path | ObjectStoragePath,
    records: Sequence[bytes],
    form: str = "jsonl",
    codec: str | None = None,
    *,
    records_per_part: int = 100_000,
    incremental: bool | dict[str, Any] = False,
    at: datetime | None = None,
    began: datetime | None = None,
    statuses: Sequence[str] | None = None,
    shape: str = "records",
    partition_by: str | None = None,
    **facts: Any,
) -> Manifest:
    """Land records, as the operator does with what a service answers.

    :param incremental: or what the manifest of a run says about it. Such a run commits whatever it found.
    :param at: when it is committed; by default now.
    :param began: when it begins to read the list; by default when it is committed.
    :param statuses: that were asked for.
    :param facts: of the manifest, where they are to differ.
    """
    service, task = SERVICES[service_name], TaskRun(f"run {next(_RUNS)}")
    root = ObjectStoragePath(str(path))
    prepare(root)
    target = LandingPath(root, task, service_name if incremental else None)
    rows = service.rows(b"[" + b",".join(records) + b"]")
    fine = tuple(row for row in rows if row.fault is None)
    page = Page(fine, rejected=tuple(row for row in rows if row.fault))
    made = make_format(form, codec, service, shape)
    landing = Landing(
        target.attempt, made, records_per_part=records_per_part, arguments="", partition_by=partition_by
    )
    with ExitStack() as stack:
        with travelling(began or at):
            stack.enter_context(landing)
        landing.take(page, {}, 1)
        given: dict[str, Any] = {
            "requests": 1,
            "service": service_name,
            "format": form,
            "compression": codec,
            "ordered": True,
            "consistent": True,
            "inconsistency": None,
            "generation": target.attempt.generation,
            "filters": {"statuses": statuses},
        }
        if incremental:
            nothing = {"watermark": None, "unfinished": 0}
            given["incremental"] = nothing if incremental is True else incremental
        content = landing.finish(**given | facts)
        with travelling(at):
            if incremental is True and target.state.generation and not is_written(content):
                return target.end_without_commit(content)
            return target.commit(content, target.state if incremental else None)


def travelling(at: datetime | None) -> AbstractContextManager[Any]:
    """At a moment; by default now."""
    return time_machine.travel(at, tick=False) if at else nullcontext()


def landings_of(source: object, window: Window) -> list[Landed]:
    """The landings that a source names, as the operator finds them."""
    return landings(TypeAdapter(Source).validate_python(source), ObjectStoragePath, window)


def report(source: object, window: Window, files: Path, **options: Any) -> Summary:
    """Write the files of a report, and answer its summary."""
    files.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as workspace:
        found = landings_of(source, window)
        return build(found, window, files, Path(workspace), Options(**options)).summary


def table(files: Path, name: str) -> list[list[str]]:
    """The rows of a CSV, without the names of its columns."""
    with (files / f"{name}.csv").open(encoding="utf-8", newline="") as file:
        return list(csv.reader(file))[1:]


def left_out(files: Path) -> dict[str, int]:
    """What is not counted, by reason."""
    counts: dict[str, int] = {}
    for reason, count, _ in table(files, "left_out"):
        counts[reason] = counts.get(reason, 0) + int(count)
    return counts
