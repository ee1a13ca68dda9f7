"""Tasks that return what their arguments came to, given in every way that a DAG can give them."""

from __future__ import annotations

import json
from datetime import UTC, date, datetime
from typing import Any

from airflow.providers.common.compat.sdk import ObjectStoragePath, Param

from airflow_provider_predictions.api.errors import ConfigurationError
from airflow_provider_predictions.operators.cradl import CradlPredictionsToObjectStorageOperator
from airflow_provider_predictions.operators.report import PredictionsReportOperator
from airflow_provider_predictions.sensors.cradl import CradlPredictionsSensor
from tests.compat import dag, literal, task, task_group

P = "/x"
NAMES = ("path", "statuses", "created_after", "model_id", "prediction_ids", "source", "period")


def told(operator: Any) -> Any:
    """What is given, as JSON has it, or the error."""
    try:
        values = vars(operator.rendered())
    except ConfigurationError as error:
        return str(error)
    given = {name: values.get(name) for name in NAMES}
    found = {name: value for name, value in given.items() if value is not None}
    return json.loads(json.dumps(found, default=str))


class Land(CradlPredictionsToObjectStorageOperator):
    def execute(self, context: Any) -> Any:
        return told(self)


class Wait(CradlPredictionsSensor):
    def execute(self, context: Any) -> Any:
        return told(self)


class Report(PredictionsReportOperator):
    def execute(self, context: Any) -> Any:
        return told(self)


PARAMS = {
    "statuses": ["completed", "failed"],
    "none": Param(None, type=["null", "string"]),
    "number": "123",
    "n": 7,
    "keys": "a, b",
    "bad": "['a'",
}


def make(native: bool) -> Any:
    @dag(
        dag_id="native" if native else "text",
        schedule=None,
        start_date=datetime(2026, 1, 1, tzinfo=UTC),
        render_template_as_native_obj=native,
        params=PARAMS,
    )
    def kinds(model: str = "m1", stats: list[str] = ["a", "b"], nothing: str | None = None) -> None:  # noqa: B006
        @task
        def one() -> str:
            return "x1"

        @task
        def two() -> int:
            return 42

        @task
        def many() -> list[str]:
            return ["a", "b"]

        @task
        def none() -> None:
            return None

        @task
        def empty() -> list[str]:
            return []

        @task
        def marks() -> list[str]:
            return ["/{{ 6 * 7 }}"]

        @task
        def path_of() -> str:
            return "/landed"

        @task
        def each(x: str) -> str:
            return f"id-{x}"

        several, single = many(), one()
        Land(task_id="dag_parameter", path=P, model_id=model, statuses=stats)
        Land(task_id="dag_parameter_none", path=P, statuses=nothing, model_id=nothing, created_after=nothing)
        Land(task_id="path_none", path="{{ none }}")
        Land(task_id="path_dag_parameter_none", path=nothing)
        Wait(task_id="two_xcoms", prediction_ids=[single, each.override(task_id="other")("q")])
        Wait(task_id="xcom", prediction_ids=several)
        Wait(task_id="number_xcom", prediction_ids=two())
        Wait(task_id="mapped_output", prediction_ids=each.expand(x=several))
        Wait(task_id="map", prediction_ids=several.map(lambda x: x.upper()))
        Wait(task_id="concat", prediction_ids=several.concat(several))
        Wait(task_id="ids_none", prediction_ids=none())
        Wait(task_id="ids_empty", prediction_ids=empty())
        Land(task_id="list_param", path=P, statuses="{{ params.statuses }}")
        Land(task_id="json_param", path=P, statuses="{{ params.statuses | tojson }}")
        Land(task_id="comma_param", path=P, statuses="{{ params['keys'] }}")
        Land(task_id="bad_param", path=P, statuses="{{ params.bad }}")
        Land(task_id="none_param", path=P, statuses="{{ params.none }}", model_id="{{ params.none }}")
        Land(task_id="number_param", path=P, model_id="{{ params.number }}", statuses="1e5")
        Land(task_id="literal", path=literal("/a/{{ b }}"))
        Land(task_id="function", path=lambda context, jinja_env: "/" + context["dag"].timezone.name)
        Land(task_id="comment", path="/a{# c #}")
        Land(task_id="object", path=ObjectStoragePath("file:///tmp/{{ params.number }}"))
        Land(task_id="mixed", path=P, statuses=[model, "{{ params.number }}", single])
        Land(task_id="date", path=P, created_after=date(2026, 11, 1))
        Land.partial(task_id="expanded", path="/{{ params.number }}").expand(statuses=[["a"], "b, c"])
        Land.partial(task_id="from_xcom", statuses="a").expand(path=marks())
        Report(
            task_id="report",
            source=[path_of.override(task_id="s")(), "/b"],
            path=P,
            period="{{ ['2026-11-01', '2026-12-01'] }}",
        )
        Report(task_id="report_none", source=[none.override(task_id="skipped")(), "/b"], path=P)

        @task_group
        def group(status: str, path: str) -> None:
            Land(task_id="land", path=path, statuses=status)
            Wait(task_id="wait", prediction_ids=[status, "z"])

        group.partial(path="/{{ params.n }}").expand(status=["a", "b"])

    return kinds()


text, native = make(False), make(True)
