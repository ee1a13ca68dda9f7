"""Report on landed predictions."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterator
from contextlib import suppress
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypedDict

from airflow.providers.common.compat.sdk import AirflowFailException, Context, ObjectStoragePath

from airflow_provider_predictions.api.errors import ConfigurationError
from airflow_provider_predictions.api.limits import MAX_LOGO_BYTES
from airflow_provider_predictions.api.wording import counted
from airflow_provider_predictions.operators.arguments import path_of, storage_path
from airflow_provider_predictions.operators.lineage import (
    CONSOLE,
    ReportLink,
    console_link,
    report_facets,
    store_console_link,
)
from airflow_provider_predictions.operators.outlets import tell_outlets
from airflow_provider_predictions.operators.report_arguments import REPORT, as_data_url, check_together
from airflow_provider_predictions.operators.report_record import instance_of, push_record
from airflow_provider_predictions.report.source import landings
from airflow_provider_predictions.report.sql import csv_names
from airflow_provider_predictions.report.summary import Options
from airflow_provider_predictions.report.targets import count_missed
from airflow_provider_predictions.report.window import make_window
from airflow_provider_predictions.storage.attempt import path_in_use
from airflow_provider_predictions.storage.errors import extra, named, storage_errors
from airflow_provider_predictions.storage.local import sha256_of
from airflow_provider_predictions.storage.log import LOG
from airflow_provider_predictions.storage.manifest import MANIFEST
from airflow_provider_predictions.storage.objects import names, prepare, put, put_file, read, remove
from airflow_provider_predictions.tasks.arguments import ArgumentsTask
from airflow_provider_predictions.tasks.references import is_reference
from airflow_provider_predictions.tasks.retry import airflow_errors

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence
    from datetime import date
    from typing import Unpack

    from airflow.providers.openlineage.extractors import OperatorLineage

    from airflow_provider_predictions._compat import Ref
    from airflow_provider_predictions.report.summary import Content, Summary
    from airflow_provider_predictions.tasks.airflow_arguments import OtherArgs


PAGE = "report.html"
EVENT = ("path", "report", "services", "count", "text")
"""What the asset event of a report holds."""


class Report(TypedDict):
    """What a report returns, for a notifier to mail or to post.

    ``path``, ``report`` (the page) and ``tables`` (by name) are URLs for ``ObjectStoragePath``. ``text`` is a
    few sentences. ``mail`` is the body of a mail, as HTML. ``summary`` is the content of ``summary.json``.
    """

    path: str
    report: str
    tables: dict[str, str]
    services: list[str]
    count: int
    text: str
    mail: str
    summary: Summary


class PredictionsReportOperator(ArgumentsTask):
    """Write a report on landed predictions: a page, its tables as CSV, and a summary.

    Reads landings of VLM Run, of Cradl, or of both, in any format, in constant memory. Writes
    ``report.html``, ``summary.json`` and a CSV for each table under ``path``. Last, as the commit, it writes
    ``_manifest.json``. Needs the extra ``report``.
    """

    arguments = REPORT
    operator_extra_links = (ReportLink(),)
    _written: tuple[list[ObjectStoragePath], ObjectStoragePath, int] | None = None

    @classmethod
    def check_together(cls, values: Any) -> None:
        """Check the period and the money.

        :param values: all arguments.
        :raises ConfigurationError: naming the wrong argument.
        """
        super().check_together(values)
        check_together(values)
        is_known = not (is_reference(values.period) or is_reference(values.timezone))
        if is_known and not isinstance(values.period, str):
            make_window(values.period, values.timezone, datetime.now(UTC))

    def execute(self, context: Context) -> Report:
        """Write the report, and return where it is and what it says.

        :raises AirflowFailException: for what a retry cannot cure: no manifest, a part that is not what its
            manifest says, a wrong argument. With ``on_breach="fail"`` also for a missed target, after the
            report is written.
        """
        with airflow_errors():
            given = self.rendered()
            with extra("report"):
                from airflow_provider_predictions.report.build import build
            window = make_window(given.period, given.timezone, moment_of(context))
            path = path_of(given.path, self.log, self._given.get("path"))
            found = landings(given.source, partial(storage_path, argument="source"), window)
            _require_own(path, instance_of(context))
            number = counted(len(found), "landing")
            self.log.info("Reporting on %s (%s) from %s", window.title, given.timezone, number)
            with tempfile.TemporaryDirectory(prefix="predictions-report-") as directory:
                files, workspace = Path(directory, "files"), Path(directory, "workspace")
                files.mkdir()
                workspace.mkdir()
                content = build(found, window, files, workspace, self._options(given, context, path))
                report, written = _commit(path, content, sorted(files.iterdir()), instance_of(context))
            read_from = [landed.root for landed in found if not landed.outside(window.span)]
            (size,) = (file["bytes"] for file in written if file["uri"] == report["report"])
            self._written = read_from, path / PAGE, size
            store_console_link(self, context, path / PAGE)
            if page := push_record(context, report["path"], written, report["summary"]):
                setattr(self, CONSOLE, page)
            self.log.info("%s The page is %s", report["text"], report["report"])
            for doubt in _doubts(report["summary"], given.group_by):
                self.log.warning("%s", doubt)
            if given.on_breach == "fail" and (missed := count_missed(report["summary"]["targets"])):
                raise AirflowFailException(
                    f"{missed}. {report['summary']['verdict']['text']} The page is {report['report']}"
                )
            facts = {name: value for name, value in report.items() if name in EVENT}
            tell_outlets(context, self.outlets, report["path"], facts)
        return report

    def get_openlineage_facets_on_complete(self, task_instance: Any) -> OperatorLineage[Any, Any] | None:
        """What was read and written, for OpenLineage; None if no report was written."""
        return report_facets(*self._written) if self._written else None

    def _options(self, given: Any, context: Context, path: ObjectStoragePath) -> Options:
        """The options of the report."""
        ti = context.get("ti")
        chosen = ("title", "group_by", "price_per_credit", "currency")
        return Options(
            targets=given.targets or {},
            logo=as_data_url(_content(given.logo)) if given.logo else "",
            prediction_url=given.prediction_url or "",
            made_by=f"the task {ti.task_id} of the DAG {ti.dag_id}" if ti else "",
            page_url=console_link(path / PAGE) or "",
            **{name: getattr(given, name) for name in chosen},
        )

    if TYPE_CHECKING:  # written by scripts/signatures.py

        def __init__(
            self,
            *,
            source: str | ObjectStoragePath | Mapping[str, Any] | Collection[Any] | Ref,
            path: str | ObjectStoragePath | Ref,
            period: str | Sequence[datetime | date | str | Ref] | Ref = "day",
            timezone: str | Ref = "UTC",
            targets: Mapping[str, Mapping[str, float]] | Ref | None = None,
            on_breach: Literal["report", "fail"] = "report",
            group_by: str | Ref | None = None,
            price_per_credit: float | str | Ref | None = None,
            currency: str | Ref | None = None,
            title: str | Ref | None = None,
            logo: str | ObjectStoragePath | Ref | None = None,
            prediction_url: str | Ref | None = None,
            **kwargs: Unpack[OtherArgs],
        ) -> None: ...


def moment_of(context: Context) -> datetime:
    """The moment until which a run reports: its data interval's end, its logical date, or ``run_after``.

    A manual run and a run that an asset starts may have neither data interval nor logical date.
    """
    run = context.get("dag_run")
    given = (
        context.get("data_interval_end"),
        context.get("logical_date"),
        getattr(run, "run_after", None),
        datetime.now(UTC),
    )
    return next(moment for moment in given if moment is not None)


def _require_own(path: ObjectStoragePath, instance: list[Any] | None) -> None:
    """Refuse a directory that holds a landing, or what another task of this run has reported.

    The report would replace it.
    """
    content = None
    with suppress(FileNotFoundError, ValueError, RecursionError):
        content = json.loads(read(path / MANIFEST))
    content = content if isinstance(content, dict) else {}
    if "parts" in content or LOG in names(path):
        raise ConfigurationError(f"path: {path} holds landed predictions; give the report another directory")
    author = content.get("recorded_by")
    if instance and isinstance(author, list) and author[:2] == instance[:2] and author != instance:
        raise path_in_use(path, None if author[2:3] == instance[2:3] else " ".join(map(str, author[2:3])))


def _doubts(summary: Summary, group_by: str | None) -> Iterator[str]:
    """What was given and matched nothing: it may be a typo."""
    for target in summary["targets"]:
        name = ":".join(filter(None, (target["measure"], target["group"])))
        if target["state"] == "unknown":
            yield f"targets: {name} is unknown, and not missed: {target['why']}"
        elif target["why"]:
            yield f"targets: {name} is judged, but {target['why']}"
    is_grouped = any("predictions" in numbers for numbers in summary["groups"].values())
    if group_by and summary["count"] and not is_grouped:
        yield f"group_by: none of {counted(summary['count'], 'prediction')} has {group_by}"


def _content(path: str) -> bytes:
    """Read the logo, at most as much as a page takes."""
    try:
        target = storage_path(path, "logo")
        with named("logo"), storage_errors("read", target, FileNotFoundError), target.open("rb") as file:
            return bytes(file.read(MAX_LOGO_BYTES + 1))
    except FileNotFoundError:
        raise ConfigurationError(f"logo: there is no {path}") from None


def _commit(
    path: ObjectStoragePath, content: Content, files: list[Path], recorded_by: list[Any] | None
) -> tuple[Report, list[dict[str, Any]]]:
    """Store the files of a report, and its manifest last.

    :return: the report, and its files as the manifest lists them.
    """
    from airflow_provider_predictions.report.page import mail

    summary = content.summary
    prepare(path)
    remove(path / MANIFEST)
    for name in names(path):
        if name in csv_names() - {file.name for file in files}:  # of a report that this one replaces
            remove(path / name)
    for file in files:
        put_file(file, path / file.name)
    report: Report = {
        "path": str(path),
        "report": str(path / PAGE),
        "tables": {file.stem: str(path / file.name) for file in files if file.suffix == ".csv"},
        "services": summary["services"],
        "count": summary["count"],
        "text": summary["text"],
        "mail": mail(content),
        "summary": summary,
    }
    facts = [
        {"uri": str(path / file.name), "bytes": file.stat().st_size, "sha256": sha256_of(file)}
        for file in files
    ]
    manifest = {**report, "files": facts, "recorded_by": recorded_by, "complete": True}
    put(path / MANIFEST, json.dumps(manifest, indent=2).encode())
    return report, facts
