"""Operators of users that are made of ours, and what they change."""

from __future__ import annotations

import inspect
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from airflow.providers.common.compat.sdk import DAG

from airflow_provider_predictions.api.errors import ConfigurationError
from airflow_provider_predictions.operators.iceberg import PredictionsToIcebergOperator
from airflow_provider_predictions.operators.report import PredictionsReportOperator
from tests.given import LAND, WAIT

Landing, Wait = LAND["vlmrun"], WAIT["vlmrun"]


class TeamLanding(Landing):  # type: ignore[misc,valid-type]
    """Lands under a path of each team."""

    def __init__(self, *, path: str = "/data", team: str = "a", statuses: Any = (), **kwargs: Any) -> None:
        super().__init__(path=f"{path}/{team}", statuses=[*statuses, "failed"], **kwargs)


class LaterLanding(Landing):  # type: ignore[misc,valid-type]
    """Sets its path when it runs."""

    def pre_execute(self, context: Any) -> None:
        self.path = f"{self.path}/extra"


@pytest.fixture(params=[False, True], ids=["text", "native"])
def dag(request: pytest.FixtureRequest) -> DAG:
    return DAG(
        "dag",
        schedule=None,
        start_date=datetime(2026, 1, 1, tzinfo=UTC),
        render_template_as_native_obj=request.param,
    )


def running(task: Any) -> Any:
    """The task as Airflow runs it."""
    task = task.prepare_for_execution()
    task.render_template_fields({"params": {}, "run_id": "monday"})
    return task


def test_what_a_subclass_passes_on_counts(dag: DAG) -> None:
    given = running(TeamLanding(task_id="t", path="/data/{{ run_id }}", statuses=["1e5"], dag=dag)).rendered()
    plain = running(TeamLanding(task_id="u", path="/x", statuses=["completed"], dag=dag)).rendered()

    assert (given.path, given.statuses) == ("/data/monday/a", ("1e5", "failed"))
    assert (plain.path, plain.statuses) == ("/x/a", ("completed", "failed"))


def test_what_a_subclass_sets_when_it_runs_counts(dag: DAG) -> None:
    for path in ("/data/x", "/data/{{ run_id }}"):
        task = running(LaterLanding(task_id=f"t{len(path)}", path=path, dag=dag))
        before = task.rendered().path
        task.pre_execute({})

        assert task.rendered().path == f"{before}/extra"


class Failed(Landing):  # type: ignore[misc,valid-type]
    """Says what it lands by class attributes, as authors of Airflow's operators do."""

    path = "/failed/{{ run_id }}"
    statuses = "failed, cancelled"
    incremental = True
    template_fields = ("team",)
    ui_color = "#ff0000"
    team = "{{ run_id }}"


class Newest(Failed):
    """Changes one of them."""

    statuses: Any = None
    max_age = 60


class Mixin:
    """Not an operator itself."""

    statuses = ("cancelled",)


class Mixed(Mixin, Landing):  # type: ignore[misc,valid-type]
    """Takes its statuses from a mixin."""


class Early(Landing):  # type: ignore[misc,valid-type]
    """Sets an argument before it calls the __init__ of its base."""

    def __init__(self, **kwargs: Any) -> None:
        self.statuses = ["cancelled"]
        super().__init__(path="/x", **kwargs)


class Of(Failed):
    """Is given more by an __init__ of its own."""

    def __init__(self, *, team: str, page_size: int = 5, **kwargs: Any) -> None:
        super().__init__(page_size=page_size, **kwargs)
        self.team = team


class OfMore(Of):
    """Neither writes an __init__ nor loses that of its base."""

    max_age = 5


def test_a_class_attribute_is_the_value_where_none_is_given(dag: DAG) -> None:
    failed = running(Failed(task_id="a", dag=dag))
    given = failed.rendered()

    assert (given.path, given.statuses, given.incremental) == (
        "/failed/monday",
        ("cancelled", "failed"),
        True,
    )
    assert (failed.team, failed.ui_color) == ("monday", "#ff0000")
    assert running(Failed(task_id="b", statuses="x", dag=dag)).rendered().statuses == ("x",)
    assert running(Failed(task_id="c", statuses=None, dag=dag)).rendered().statuses is None
    newest = running(Newest(task_id="d", dag=dag)).rendered()
    assert (newest.path, newest.statuses, newest.max_age) == ("/failed/monday", None, 60)
    assert running(Mixed(task_id="e", path="/x", dag=dag)).rendered().statuses == ("cancelled",)
    assert running(Early(task_id="f", dag=dag)).rendered().statuses == ("cancelled",)


def test_a_class_attribute_is_less_than_default_args() -> None:
    with DAG("d", schedule=None, start_date=datetime(2026, 1, 1, tzinfo=UTC), default_args={"statuses": "x"}):
        assert Failed(task_id="a").statuses == "x"


def test_a_class_attribute_is_checked_and_shown() -> None:
    class Wrong(Failed):
        created_after = "yesterday"

    with pytest.raises(ConfigurationError, match=r"^created_after: .*'yesterday'.*\(task t\)$"):
        Wrong(task_id="t")
    shown = inspect.signature(Failed).parameters
    assert shown["path"].default == Failed.path
    assert shown["statuses"].default == Failed.statuses
    with pytest.raises(ConfigurationError, match=r"^created_before: does not go with incremental"):
        Failed(task_id="t", created_before="2026-01-01")


def test_an_init_of_an_author_is_called_in_every_class_below_it(dag: DAG) -> None:
    for made in (Of, OfMore):
        task = running(made(task_id=f"t{made.__name__}", team="blue", dag=dag))

        assert (task.team, task.rendered().page_size, task.rendered().incremental) == ("blue", 5, True)
    assert task.rendered().max_age == 5
    with pytest.raises(Exception, match="team"):
        OfMore(task_id="x", dag=dag)


def test_a_mapped_subclass_has_the_values_of_its_class(dag: DAG) -> None:
    Failed.partial(task_id="t", dag=dag).expand(created_after=["2026-01-01"])
    with pytest.raises(ConfigurationError, match="max_predictions: does not go with incremental"):
        Failed.partial(task_id="u", dag=dag).expand(max_predictions=[5])


def test_a_mapped_subclass_may_give_a_needed_argument_itself(dag: DAG) -> None:
    TeamLanding.partial(task_id="t", dag=dag).expand(team=["x", "y"])


def test_a_needed_argument_of_a_mapped_task_may_come_from_default_args() -> None:
    with DAG("dag", schedule=None, start_date=datetime(2026, 1, 1, tzinfo=UTC), default_args={"path": "/x"}):
        Landing.partial(task_id="t").expand(statuses=[["failed"]])
    Landing.partial(task_id="t", default_args={"path": "/x"}).expand(statuses=[["failed"]])


def test_what_can_be_read_only_once_is_refused() -> None:
    for once in ((name for name in "ab"), iter(["a"]), map(str, [1]), reversed(["a"])):
        with pytest.raises(
            ConfigurationError, match=r"^prediction_ids: is a .*, which can be read only once"
        ):
            Wait(task_id="t", prediction_ids=once)


def test_an_empty_list_is_warned_of_by_name(dag: DAG, caplog: Any, capsys: Any) -> None:
    task = Wait(task_id="t", statuses="{{ [] }}", waiting_statuses=[], dag=dag)
    running(task).rendered()

    said = capsys.readouterr().out + caplog.text
    assert "statuses: is an empty list, so nothing matches" in said
    assert "waiting_statuses: is an empty list, so no status is waited for" in said


def test_ids_may_be_uuids_and_lists_of_several_tasks(dag: DAG) -> None:
    one = UUID(int=1)
    task = Wait(task_id="t", prediction_ids=[one, ["a", 5], ("b",)], dag=dag)

    assert {*running(task).rendered().prediction_ids} == {str(one), "a", "5", "b"}


@pytest.mark.parametrize(
    ("path", "said"),
    [
        ("/", "is the root"),
        ("file:///", "is the root"),
        ("//x", "has a slash too many"),
        ("file:////x", "has a slash too many"),
        ("/x/a\nb", "holds a control character"),
        ("/x/\0", "holds a control character"),
        ("/x/customer::1", "holds ::, which chains URLs"),
        ("s3://bucket/customer::1", "holds ::, which chains URLs"),
        ("simplecache::s3://bucket/x", "holds ::, which chains URLs"),
    ],
)
def test_a_path_that_is_another_one_for_the_storage_is_refused(path: str, said: str) -> None:
    with pytest.raises(ConfigurationError, match=f"^path: {said}"):
        Landing(task_id="t", path=path)


def test_a_storage_that_airflow_does_not_know_is_named(connections: Any) -> None:
    with pytest.raises(Exception, match=r"path: wasb:// cannot be opened here"):
        Landing(task_id="t", path="wasb://a@b/c").execute({})


@pytest.mark.parametrize("argument", ["path", "source", "logo", "manifest"])
def test_a_path_whose_connection_is_missing_is_named(connections: Any, tmp_path: Path, argument: str) -> None:
    pytest.importorskip("airflow.providers.microsoft.azure", reason="needs the extra azure")
    url = "abfs://nowhere@container/x/_manifest.json"
    manifest = Landing(task_id="t", path=f"file://{tmp_path}/landed").execute({})
    report: dict[str, Any] = {"source": manifest, "path": f"file://{tmp_path}/report"}
    made: Any = {
        "path": lambda: Landing(task_id="t", path=url),
        "manifest": lambda: PredictionsToIcebergOperator(
            task_id="t", manifest=url, table="a.b", catalog={"type": "sql"}
        ),
    }.get(argument, lambda: PredictionsReportOperator(task_id="t", **report | {argument: url}))

    with pytest.raises(Exception, match=rf"^{argument}: abfs://nowhere@container\S* cannot be opened"):
        made().execute({})


def test_no_message_shows_the_password_or_the_query_of_a_url() -> None:
    for path in ("file://u:hunter2@host/x", "s3://AKIA:hunter2@", "~?sig=hunter2"):
        with pytest.raises(ConfigurationError) as raised:
            Landing(task_id="t", path=path)
        if "://" in path:
            assert "hunter2" not in str(raised.value)


def test_a_list_that_holds_itself_is_refused() -> None:
    endless: list[Any] = []
    endless.append(endless)

    with pytest.raises(ConfigurationError, match=r"^statuses: is nested too deeply"):
        Landing(task_id="t", path="/x", statuses=endless)
