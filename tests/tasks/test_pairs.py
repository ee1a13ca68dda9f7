"""Arguments that contradict each other, in every class: refused by both names, or meaningful."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from airflow.providers.common.compat.sdk import DAG

from airflow_provider_predictions.api.errors import ConfigurationError
from airflow_provider_predictions.api.limits import MAX_LISTING_DELAY
from airflow_provider_predictions.operators.report import PredictionsReportOperator
from tests.compat import DagParam
from tests.given import DONE, LAND, LIST, WAIT

HOUR = timedelta(hours=1)
INCREMENTAL = {"path": "/x", "incremental": True}
REPORT = {"report": PredictionsReportOperator}
OTHER_TEXT = {text: "".join([text[:1], text[1:]]) for text in ("jsonl", "report")}
"""A default, as a file or the environment gives it: another object."""
CONTRADICTIONS: list[tuple[dict[str, Any], dict[str, Any], tuple[str, str]]] = [
    (
        LIST,
        {"created_after": "2026-02-01", "created_before": "2026-01-01"},
        ("created_before", "created_after"),
    ),
    (LAND, {"path": "/x", "max_age": HOUR}, ("max_age", "incremental")),
    (LAND, {"path": "/x", "lookback": HOUR}, ("lookback", "incremental")),
    (LAND, {"path": "/x", "incremental": False, "lookback": 60}, ("lookback", "incremental")),
    (LAND, INCREMENTAL | {"created_before": "2026-01-01"}, ("created_before", "incremental")),
    (LAND, INCREMENTAL | {"max_predictions": 5}, ("max_predictions", "incremental")),
    (LAND, INCREMENTAL | {"statuses": ["pending"]}, ("statuses", "incremental")),
    (LAND, {"path": "/x", "shape": "values"}, ("shape", "file_format")),
    (LAND, {"path": "/x", "shape": "values", "file_format": "jsonl"}, ("shape", "file_format")),
    (LAND, {"path": "/x", "paths": ["a"]}, ("paths", "shape")),
    (LAND, {"path": "/x", "file_format": "parquet", "paths": "a"}, ("paths", "shape")),
    (LAND, {"path": "/x", "partition_keys": ["a"]}, ("partition_keys", "")),
    (WAIT, {"min_predictions": 6, "max_predictions": 5}, ("min_predictions", "max_predictions")),
    (WAIT, {"min_predictions": "6", "max_predictions": "5"}, ("min_predictions", "max_predictions")),
    (WAIT, {"prediction_ids": ["a"], "min_predictions": 2}, ("min_predictions", "prediction_ids")),
    (WAIT, {"fail_on": ["a", "b"], "waiting_statuses": "b, c"}, ("waiting_statuses", "fail_on")),
    (WAIT, {"waiting_statuses": ["failed"]}, ("waiting_statuses", "fail_on")),
    (WAIT, {"statuses": ["pending"], "fail_on": ["failed"]}, ("fail_on", "statuses")),
    (WAIT, {"max_interval": 10}, ("max_interval", "poke_interval")),
    (LAND, {"path": "/x", "shape": "values", "file_format": OTHER_TEXT["jsonl"]}, ("shape", "file_format")),
    (REPORT, {"path": "/x", "source": "/y", "period": ("2026-02-01", "2026-01-01")}, ("period", "")),
]
"""Classes, what is given to them, and the arguments that the message names."""
MEANINGFUL: list[tuple[dict[str, Any], dict[str, Any]]] = [
    (LIST, {"created_after": "2026-01-01", "created_before": "2026-01-01"}),  # a warning when it runs
    (LIST, {"statuses": [], "on_empty": "fail"}),
    (LIST, {"max_predictions": 5, "page_size": 100}),
    (LAND, INCREMENTAL | {"max_age": HOUR, "lookback": HOUR, "created_after": "2026-01-01"}),
    (LAND, INCREMENTAL | {"statuses": ["failed", "pending", "new word"]}),
    (LAND, INCREMENTAL | {"created_before": None, "max_predictions": ""}),
    (LAND, {"path": "/x", "lookback": MAX_LISTING_DELAY}),  # the default itself
    (LAND, {"path": "/x", "file_format": "parquet", "compression": "gzip"}),
    (LAND, {"path": "/x", "file_format": "parquet", "shape": "values", "paths": ["a", "b.*"]}),
    (LAND, {"path": "/x", "shape": "records", "paths": None}),
    (LAND, {"path": "/x", "on_empty": "skip", "do_xcom_push": False}),
    (WAIT, {"prediction_ids": ["a"], "statuses": ["pending"], "fail_on": ["failed"]}),
    (WAIT, {"min_predictions": 5, "max_predictions": 5}),
    (WAIT, {"min_predictions": 5, "max_predictions": None}),
    # Filters may come from default_args; ids are waited for whatever these are.
    (
        WAIT,
        {
            "prediction_ids": ["a"],
            "statuses": ["failed"],
            "max_predictions": 1,
            "created_after": "2026-01-01",
        },
    ),
    (WAIT, {"prediction_ids": ["a"], "min_predictions": 0, "missing_timeout": 5}),
    (WAIT, {"missing_timeout": 5}),
    (WAIT, {"statuses": ["pending"]}),  # fail_on is not given, so nobody expects its words
    (WAIT, {"statuses": ["failed", "pending"], "fail_on": ["failed", "cancelled"]}),
    (WAIT, {"statuses": ["pending"], "fail_on": []}),
    (WAIT, {"waiting_statuses": ["failed"], "fail_on": ()}),
    (WAIT, {"deferrable": True, "mode": "reschedule"}),
    (WAIT, {"max_interval": HOUR, "poke_interval": HOUR}),
    (WAIT, {"poke_interval": 60, "timeout": 5}),  # Airflow's way to look once
    (REPORT, {"path": "/x", "source": "/y", "on_breach": OTHER_TEXT["report"]}),
]


def run(made: Any, given: dict[str, Any], params: dict[str, Any]) -> None:
    task = made(task_id="t", **given).prepare_for_execution()
    task.render_template_fields({"params": params})
    task.rendered()


def row_of(number: int, classes: dict[str, Any], given: dict[str, Any]) -> dict[str, Any]:
    return {"number": number, "given": sorted(given), "classes": sorted(classes)}


def test_a_contradiction_is_refused_by_both_names(subtests: pytest.Subtests) -> None:
    for number, (classes, given, (first, other)) in enumerate(CONTRADICTIONS):
        for made in classes.values():
            with (
                subtests.test(**row_of(number, classes, given)),
                pytest.raises(ConfigurationError, match=rf"^{first}: .*{other}.*\(task t\)$"),
            ):
                made(task_id="t", **given)


def test_what_goes_together_is_taken(subtests: pytest.Subtests) -> None:
    for number, (classes, given) in enumerate(MEANINGFUL):
        for made in classes.values():
            with subtests.test(**row_of(number, classes, given)):
                made(task_id="t", **given)


def test_a_contradiction_of_templates_is_refused_at_the_latest_when_the_task_runs(
    subtests: pytest.Subtests,
) -> None:
    for number, (classes, given, (first, other)) in enumerate(CONTRADICTIONS):
        for made in classes.values():
            templates = {name: f"{{{{ params.{name} }}}}" for name in given if made.declared[name].templated}
            with (
                subtests.test(**row_of(number, classes, given)),
                DAG("dag", schedule=None, start_date=datetime(2026, 1, 1, tzinfo=UTC)),
                pytest.raises(ConfigurationError, match=rf"^{first}: .*{other}"),
            ):
                run(made, given | templates, given)


def test_a_contradiction_in_a_mapped_task_is_refused_while_the_dag_is_parsed(
    subtests: pytest.Subtests,
) -> None:
    """Shared arguments, those of each instance, and sets of arguments are checked together."""
    for number, (classes, given, (first, other)) in enumerate(CONTRADICTIONS):
        for made in classes.values():
            shared = {name: value for name, value in given.items() if name != first}
            with DAG("dag", schedule=None, start_date=datetime(2026, 1, 1, tzinfo=UTC)):
                up = LIST["vlmrun"](task_id="up").output
                tasks: dict[str, Callable[[], Any]] = {
                    "shared": lambda: made.partial(task_id="t", **given).expand(doc_md=up),  # noqa: B023
                    "expand": lambda: made.partial(task_id="t", **shared).expand(**{first: [given[first]]}),  # noqa: B023
                    "expand_kwargs": lambda: made.partial(task_id="t").expand_kwargs([given]),  # noqa: B023
                }
                for form, make in tasks.items():
                    with (
                        subtests.test(form=form, **row_of(number, classes, given)),
                        pytest.raises(ConfigurationError, match=rf"^{first}: .*{other}.*\(task t\)$"),
                    ):
                        make()


def test_what_only_a_worker_knows_of_a_mapped_task_is_no_contradiction() -> None:
    landing, wait = LAND["cradl"], WAIT["cradl"]
    with DAG("dag", schedule=None, start_date=datetime(2026, 1, 1, tzinfo=UTC)) as dag:
        up = LIST["cradl"](task_id="up").output
        landing.partial(task_id="a", path="/x", max_age=HOUR).expand(incremental=up)
        landing.partial(task_id="b", path="/x", created_before="2026-01-01").expand(incremental=up)
        landing.partial(task_id="c", path="/x", max_age=HOUR).expand(incremental=[True, True])
        landing.partial(task_id="d", max_age=HOUR).expand_kwargs([{"path": "/x", "incremental": True}])
        landing.partial(task_id="e", max_age=HOUR).expand_kwargs(up)
        landing.partial(task_id="f", max_values_missing=5, path="/x").expand(fetch_values=up)
        wait.partial(task_id="g", max_predictions=5).expand(min_predictions=up)
        wait.partial(task_id="h", poke_interval=HOUR).expand(max_interval=up)
        wait.partial(task_id="i", min_predictions=DagParam(dag, "x", 7), max_predictions=5).expand(
            statuses=[["failed"], [DONE["cradl"]]]
        )
        wait.partial(task_id="j", default_args={"max_predictions": 9}).expand(min_predictions=[8, 9])
        with pytest.raises(ConfigurationError, match=r"^min_predictions: 10 is more than max_predictions, 9"):
            wait.partial(task_id="k", default_args={"max_predictions": 9}).expand(min_predictions=[8, 10])
