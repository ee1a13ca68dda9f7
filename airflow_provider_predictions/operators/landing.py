"""Land pages in object storage: the same for every service."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any, cast

import msgspec
from airflow.providers.common.compat.sdk import Context, ObjectStoragePath
from typing_extensions import override

from airflow_provider_predictions.api.errors import ConfigurationError, PredictionsError
from airflow_provider_predictions.api.filters import Filters, utc
from airflow_provider_predictions.api.http.client import Client
from airflow_provider_predictions.api.incremental import IncrementalCursor
from airflow_provider_predictions.api.observed import expected_words, no_match, unmatched_filters
from airflow_provider_predictions.api.page import Observed, Page
from airflow_provider_predictions.api.pagination.base import Paginator
from airflow_provider_predictions.api.service import Service
from airflow_provider_predictions.api.wording import counted, joined
from airflow_provider_predictions.operators.arguments import path_of
from airflow_provider_predictions.operators.increment import cursor_of, narrowing, tell
from airflow_provider_predictions.operators.landing_arguments import LANDING, NOT_INCREMENTAL, check_shape
from airflow_provider_predictions.operators.lineage import ManifestLink, landing_facets, store_console_link
from airflow_provider_predictions.operators.outcome import end_empty, judge_rejected, judge_values
from airflow_provider_predictions.operators.outlets import check_partitions, tell_outlets
from airflow_provider_predictions.operators.progress import ProgressLog
from airflow_provider_predictions.operators.xcom import xcom_value
from airflow_provider_predictions.storage.attempt import TaskRun
from airflow_provider_predictions.storage.commit import LandingPath
from airflow_provider_predictions.storage.errors import worker_disk
from airflow_provider_predictions.storage.formats.base import RECORDS, Format
from airflow_provider_predictions.storage.formats.factory import make_format
from airflow_provider_predictions.storage.landing import Landing, forget
from airflow_provider_predictions.storage.manifest import MANIFEST, Manifest, is_written
from airflow_provider_predictions.storage.objects import prepare
from airflow_provider_predictions.tasks.base import DashboardLink, PredictionsTask
from airflow_provider_predictions.tasks.retry import airflow_errors

if TYPE_CHECKING:
    from airflow.providers.openlineage.extractors import OperatorLineage

NOT_OF_A_KIND = {*NOT_INCREMENTAL, "created_after", "order", "page_size"}
"""Filters that may differ between incremental landings under one path."""
SMALL = ("path", "service", "format", "shape", "compression", "count", "rows", "statuses", "created_min",
         "created_max", "complete")  # fmt: skip
"""The facts of a manifest that are small enough for the event of an asset."""


class PredictionsToObjectStorageOperator(PredictionsTask):
    """Land predictions in object storage, byte for byte, and push the manifest to XCom.

    Writes parts under ``path`` and commits them at once: ``_manifest.json`` names the parts of the newest
    landing. A retry resumes where the previous attempt was interrupted. A later run replaces the landing, or
    with ``incremental`` adds one.
    """

    arguments = LANDING
    operator_extra_links = (DashboardLink(), ManifestLink())
    fetch_values = False
    max_values_missing: int | None = None
    _committed: tuple[Format, ObjectStoragePath, Manifest] | None = None
    _observed: Observed | None = None

    @classmethod
    @override
    def check_together(cls, values: Any) -> None:
        super().check_together(values)
        check_partitions(values.partition_keys, values.outlets)
        known, unfinished = cls.known(values), cls.hook_class.service_class.unfinished_statuses
        check_shape(known, has_paths=cls._stands(values, "paths"))
        if known.incremental and known.statuses and unfinished.issuperset(known.statuses):
            raise ConfigurationError(
                "statuses: incremental lands finished predictions only, and these are not: "
                f"{joined(known.statuses)}"
            )

    @override
    def execute(self, context: Context) -> Manifest:
        """Land, and return the manifest.

        :raises AirflowFailException: for what a retry cannot cure: a refused key, a wrong argument, a used-up
            quota, more rejected rows than ``max_rejected``, more records without values than
            ``max_values_missing``, no record with ``on_empty="fail"``.
        :raises AirflowSkipException: for no record with ``on_empty="skip"``.
        :raises TransientError: for what a retry may cure. The retry resumes where this attempt stopped.
        """
        with airflow_errors():
            given = self.rendered()
            filters = self.filters(given)
            path = path_of(given.path, self.log, self._given.get("path"))
            with self.hook.get_conn() as client:
                prepare(path)
                form = make_format(
                    self.file_format, self.compression, client.service, self.shape, given.paths
                )
                landed = self._land(client, filters, path, task_run(context), form)
            content = cast("Manifest", xcom_value(landed, Counter()))
            if content["consistent"] is False:
                self.log.warning("Predictions may be missing: %s", content["inconsistency"])
            self._committed = form, path, content
            if content["parts"] or not self.incremental:
                store_console_link(self, context, ObjectStoragePath(content["path"]) / MANIFEST)
            judge_rejected(content, self.max_rejected)
            if text := judge_values(content, self.max_values_missing):
                self.log.warning("%s", text)
            count, parts = counted(content["count"], "prediction"), counted(len(content["parts"]), "part")
            requests = counted(content["requests"], "request")
            self.log.info("%s in %s under %s, %s", count, parts, content["path"], requests)
            if not content["count"]:
                # Of an earlier attempt that committed, only this number is known.
                observed = self._observed or Observed(content.get("looked_at", 0))
                end_empty(self, context, content, no_match(observed))
            facts = {name: content[name] for name in SMALL if name in content}  # type: ignore[literal-required]
            tell_outlets(context, self.outlets, content["path"], facts, given.partition_keys)
        return content

    def get_openlineage_facets_on_complete(self, task_instance: Any) -> OperatorLineage[Any, Any] | None:
        """What was read and written, for OpenLineage; None if nothing has landed."""
        return landing_facets(*self._committed) if self._committed else None

    def _land(
        self, client: Client, filters: Filters, path: ObjectStoragePath, task: TaskRun, form: Format
    ) -> Manifest:
        """Land what finished since the last run, or replace the landing with all that matches."""
        kind = self._kind(client.service, filters, form, self.partition_by) if self.incremental else None
        target = LandingPath(path, task, kind)
        if earlier := target.find_committed():
            self.log.info("An earlier attempt of this run has committed; its manifest is returned")
            forget(target.attempt)
            return earlier
        cursor = cursor_of(self, client, filters, target.state) if self.incremental else None
        # An incremental landing reads all statuses: what is unfinished may land in a later run.
        to_read = {"statuses": None, "created_after": cursor.start} if cursor else {}
        paginator = client.service.paginator(filters.model_copy(update=to_read))
        target.begin()
        with (
            _abandoned(target),
            worker_disk(),
            Landing(
                target.attempt,
                form,
                records_per_part=self.records_per_part,
                partition_by=self.partition_by,
                arguments=self._arguments(client.service, filters, target, form),
                asked=expected_words(client.service, filters),
                restore=partial(self._restore, paginator, cursor),
                abandon=target.abandon,
            ) as landing,
        ):
            content = self._write(client, paginator, cursor, landing)
            if text := unmatched_filters(client.service, filters, landing.progress.totals.observed):
                self.log.warning("%s", text)
            return self._commit(target, cursor, landing, content)

    def _write(
        self, client: Client, paginator: Paginator, cursor: IncrementalCursor | None, landing: Landing
    ) -> Manifest:
        """Write all parts."""
        form, earlier = landing.writer.form, landing.progress.requests
        is_resumed = bool(landing.progress.parts)
        progress = ProgressLog(self.log.info, client.service.name, paginator.filters)
        for page in self._pages(client, paginator, cursor):
            position = {"paginator": paginator.state(), "cursor": cursor and cursor.state()}
            landing.take(page, position, earlier + client.requests)
            progress.page(page)
        content = landing.finish(
            requests=earlier + client.requests,
            service=client.service.name,
            format=form.name,
            compression=form.compression,
            ordered=paginator.position.seen.ordered,
            consistent=paginator.proof.consistent,
            inconsistency=paginator.proof.reason,
            generation=landing.attempt.generation,
            filters=narrowing(paginator.filters, cursor),
        )
        progress.finish()
        self._observed = landing.progress.totals.observed
        # What the parts of an earlier attempt have matched is not known.
        if content["count"] and not is_resumed and (lacking := form.unmatched()):
            self.log.warning("paths: no value has the label %s", joined(lacking))
        elif content["count"] and content.get("rows") == 0:
            self.log.warning("shape: none of %s has values", counted(content["count"], "prediction"))
        return content

    def _commit(
        self, target: LandingPath, cursor: IncrementalCursor | None, landing: Landing, content: Manifest
    ) -> Manifest:
        """Commit what was written, unless it is nothing that the next run must know."""
        if cursor is None:
            return target.commit(content)
        cursor.is_complete = content["consistent"] is not False
        content["incremental"] = cursor.facts()
        tell(self.log, cursor, landing.writer.form.service, landing.progress.totals.observed.statuses)
        if not (is_written(content) or cursor.has_moved):
            return target.end_without_commit(content)
        memory = msgspec.structs.asdict(cursor.next_memory(landing.identities()))
        rejected = cursor.next_rejected(landing.rejected_ids())
        return target.commit(content, msgspec.structs.replace(target.state, **memory, rejected=rejected))

    @staticmethod
    def _restore(
        paginator: Paginator, cursor: IncrementalCursor | None, landing: Landing, position: dict[str, Any]
    ) -> None:
        """Continue where an earlier attempt stopped.

        :raises ValueError: if the position belongs to another kind of list. Then nothing has changed.
        """
        before = paginator.position
        paginator.restore(position.get("paginator"), landing.ids_read)
        if cursor:
            try:
                cursor.restore(position.get("cursor"))
            except ValueError:
                paginator.position = before
                raise

    def _pages(
        self, client: Client, paginator: Paginator, cursor: IncrementalCursor | None
    ) -> Iterator[Page]:
        for page in client.pages(paginator, prefetch=self.prefetch):
            if cursor:
                page = cursor.keep(page)
            if self.fetch_values:
                filled = client.with_values(page.predictions, prefetch=self.prefetch)
                page = replace(page, predictions=tuple(filled))
            yield page

    def _arguments(self, service: Service[Any], filters: Filters, target: LandingPath, form: Format) -> str:
        """A hash of the run and of all that decides what lands. Progress with another hash is not resumed."""
        attempt = target.attempt
        given = {
            "run": [attempt.task.run, attempt.task.started, attempt.generation],
            "url": [service.base_url, service.auth.account],
            "format": [self.file_format, self.compression, self.records_per_part, self.fetch_values],
            "shape": [form.shape, form.paths, self.partition_by],
            "filters": filters.model_dump(mode="json"),
            "incremental": self.incremental and [str(self.max_age), str(self.lookback)],
        }
        return hashlib.sha256(json.dumps(given, sort_keys=True).encode()).hexdigest()

    @staticmethod
    def _kind(service: Service[Any], filters: Filters, form: Format, partition_by: str | None) -> str:
        """Which predictions an incremental path holds, and as what."""
        given = filters.model_dump(mode="json", exclude=NOT_OF_A_KIND, exclude_none=True)
        if form.shape != RECORDS:
            given["shape"] = form.shape
        if partition_by:  # engines read no directories of days beside parts without one
            given["partition_by"] = partition_by
        return " ".join([service.name, *(f"{name}={value}" for name, value in sorted(given.items()))])


def task_run(context: Context) -> TaskRun:
    """The attempt, task and run of this execution."""
    ti = context.get("ti")
    if not ti:
        return TaskRun("outside of Airflow", tries=1)
    run = f"{ti.dag_id} {ti.run_id} {ti.task_id} {ti.map_index}"
    id_, tries = getattr(ti, "id", None), getattr(ti, "max_tries", None)
    tries = ti.try_number if tries is None else tries
    dag_run = context.get("dag_run")
    started, due = (getattr(dag_run, name, None) for name in ("start_date", "run_after"))
    cleared = getattr(dag_run, "clear_number", None) or 0
    return TaskRun(
        run, id_ and str(id_), ti.try_number, tries, started and utc(started), cleared, due and utc(due)
    )


@contextmanager
def _abandoned(target: LandingPath) -> Iterator[None]:
    """Remove what an attempt wrote if it fails for good. Otherwise, a retry resumes from it."""
    try:
        yield
    except PredictionsError as error:
        if not error.retryable or target.attempt.task.is_last:
            target.abandon()
            forget(target.attempt)
        raise
