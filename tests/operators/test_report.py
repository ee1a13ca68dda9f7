"""The report operator as a task: when it reports on what, what it pushes, and what it refuses."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from airflow.providers.common.compat.sdk import AirflowFailException, Asset

from airflow_provider_predictions.api.errors import ConfigurationError
from airflow_provider_predictions.operators.lineage import ReportLink
from airflow_provider_predictions.operators.report import PredictionsReportOperator, moment_of
from airflow_provider_predictions.operators.report_record import KEY
from airflow_provider_predictions.operators.reports_ui import is_shown
from airflow_provider_predictions.sandbox.server import Sandbox
from tests.compat import OutletEventAccessors, needs_reports_in_the_ui
from tests.operators.test_operators import LAND
from tests.report.landed import SERVICES, land
from tests.report.records import changed, made

START, END = datetime(2026, 11, 2, tzinfo=UTC), datetime(2026, 11, 3, tzinfo=UTC)
EARLIER = datetime(2026, 11, 1, tzinfo=UTC)


def make(**arguments: Any) -> PredictionsReportOperator:
    needed = {"source": "file:///tmp/landed", "path": "file:///tmp/report"}
    return PredictionsReportOperator(task_id="report", **needed | arguments)


@pytest.mark.parametrize(
    ("context", "moment"),
    [
        ({"data_interval_start": START, "data_interval_end": END, "logical_date": START}, END),
        ({"data_interval_start": END, "data_interval_end": END, "logical_date": END}, END),
        ({"data_interval_end": None, "logical_date": END}, END),
        ({"logical_date": None, "dag_run": SimpleNamespace(run_after=END)}, END),
        ({"dag_run": SimpleNamespace(run_after=END)}, END),
    ],
    ids=["scheduled", "of no width", "by hand", "by an asset", "by an asset, without a date"],
)
def test_every_kind_of_run_has_a_moment(context: Any, moment: datetime) -> None:
    assert moment_of(context) == moment


def test_a_run_reports_on_the_day_before_its_moment(tmp_path: Path) -> None:
    land("vlmrun", tmp_path / "landed", made("vlmrun", EARLIER, END, 40))
    operator = make(source=str(tmp_path / "landed"), path=f"file://{tmp_path}/report")

    period = operator.execute({"logical_date": END})["summary"]["period"]

    assert [period["start"], period["end"]] == ["2026-11-02T00:00:00Z", "2026-11-03T00:00:00Z"]


@pytest.mark.parametrize(
    ("written", "shown"),
    [("True", True), ("yes", True), ("On", True), ("no", False), ("off  # for now", False), ("flase", False)],
)
def test_a_person_may_turn_reports_in_the_ui_off_in_any_words(
    written: str, shown: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    needs_reports_in_the_ui()
    monkeypatch.setenv("AIRFLOW__PREDICTIONS__REPORTS_UI", written)

    assert is_shown() is shown


def test_a_run_without_a_date_reports_before_now() -> None:
    assert abs((moment_of({}) - datetime.now(UTC)).total_seconds()) < 60


def test_what_is_pushed_is_small_and_says_it_in_words(service_name: str, tmp_path: Path) -> None:
    land(service_name, tmp_path / "landed", made(service_name, EARLIER, END, 200))
    operator = make(source=str(tmp_path / "landed"), path=f"file://{tmp_path}/report", period=(START, END))

    result = operator.execute({})

    assert len(json.dumps(result)) < 40_000
    assert result["text"].startswith({"vlmrun": "VLM Run", "cradl": "Cradl"}[service_name])
    assert f"{result['count']} predictions" in result["text"]
    assert result["summary"] == json.loads((tmp_path / "report/summary.json").read_text())


def test_the_event_of_an_asset_carries_where_the_report_is(tmp_path: Path) -> None:
    land("vlmrun", tmp_path / "landed", made("vlmrun", START, END, 5))
    asset, collected = Asset(uri="predictions://report"), OutletEventAccessors()
    operator = make(
        source=str(tmp_path / "landed"),
        path=f"file://{tmp_path}/report",
        period=(START, END),
        outlets=[asset],
    )

    result = operator.execute({"outlet_events": collected})

    assert collected[asset].extra == {
        name: result[name] for name in ("path", "report", "services", "count", "text")
    }


@pytest.mark.parametrize("incremental", [False, True])
def test_a_directory_with_landed_predictions_is_refused(incremental: bool, tmp_path: Path) -> None:
    land("vlmrun", tmp_path / "landed", made("vlmrun", START, END, 5), incremental=incremental)
    before = {path: path.read_bytes() for path in tmp_path.rglob("*.json")}

    with pytest.raises(AirflowFailException, match=r"path: .*holds landed predictions"):
        make(source=str(tmp_path / "landed"), path=f"file://{tmp_path}/landed").execute({})
    assert {path: path.read_bytes() for path in tmp_path.rglob("*.json")} == before


@pytest.mark.parametrize(
    ("arguments", "statuses", "unknown"),
    [
        ({}, None, set()),
        (
            {"statuses": "failed, cancelled"},
            ["cancelled", "failed"],
            {"succeeded", "waiting", "failed_share"},
        ),
        ({"incremental": True}, "terminal", {"waiting"}),
        (
            {"incremental": True, "statuses": ["failed", "running"]},
            ["failed"],
            {"succeeded", "waiting", "failed_share"},
        ),
    ],
)
def test_a_landing_says_which_statuses_it_asked_for_and_the_report_counts_no_others(
    connections: Sandbox, service_name: str, arguments: Any, statuses: Any, unknown: set[str], tmp_path: Path
) -> None:
    getattr(connections, service_name).fill(60, days=1)
    operator, now = LAND[service_name], datetime.now(UTC)
    landed = operator(task_id="land", path=f"file://{tmp_path}/landed", **arguments).execute({})

    totals = make(
        source=landed, path=f"file://{tmp_path}/report", period=(now - timedelta(days=2), now)
    ).execute({})["summary"]["measures"]

    terminal = sorted(SERVICES[service_name].terminal_statuses)
    assert landed["filters"]["statuses"] == (terminal if statuses == "terminal" else statuses)
    known = {"succeeded", "failed", "waiting", "failed_share"} - unknown
    assert {name for name in known | unknown if totals[name]["now"] is None} == unknown


def test_a_manifest_names_the_filters_that_narrow_the_landing(connections: Sandbox, tmp_path: Path) -> None:
    landed = LAND["vlmrun"](
        task_id="land",
        path=f"file://{tmp_path}/landed",
        domains=["document.invoice"],
        created_after="2026-01-01",
        page_size=10,
    ).execute({})

    assert landed["filters"] == {
        "statuses": None,
        "domains": ["document.invoice"],
        "created_after": "2026-01-01T00:00:00Z",
    }


def test_a_report_that_fails_takes_no_commit_back_and_makes_none(tmp_path: Path) -> None:
    land("vlmrun", tmp_path / "landed", made("vlmrun", START, END, 5))
    operator = make(source=str(tmp_path / "landed"), path=f"file://{tmp_path}/report", period=(START, END))
    operator.execute({})
    for part in tmp_path.glob("landed/part-*.jsonl"):
        part.unlink()

    with pytest.raises(AirflowFailException, match="is missing"):
        operator.execute({})
    with pytest.raises(AirflowFailException, match="is missing"):
        make(source=str(tmp_path / "landed"), path=f"file://{tmp_path}/new", period=(START, END)).execute({})
    assert (tmp_path / "report/_manifest.json").exists()
    assert not (tmp_path / "new").exists()


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        ({"source": ""}, "source: is empty"),
        ({"source": []}, "source: is empty"),
        ({"path": " "}, "path: is empty"),
        ({"period": "year"}, "period: .*year"),
        ({"period": ("2026-11-02", "2026-11-01")}, "period: the end"),
        ({"timezone": "Mars"}, "timezone: .*Mars"),
    ],
)
def test_a_wrong_argument_is_named_while_the_dag_is_parsed(arguments: dict[str, Any], named: str) -> None:
    with pytest.raises(ConfigurationError, match=f"^{named}"):
        make(**arguments)


def test_templates_are_checked_once_they_are_rendered(tmp_path: Path) -> None:
    operator = make(
        source="{{ params.source }}",
        path="{{ params.path }}",
        period=("{{ params.start }}", "{{ params.end }}"),
        timezone="{{ params.timezone }}",
    )
    land("vlmrun", tmp_path / "landed", made("vlmrun", START, END, 5))
    operator.render_template_fields(
        {
            "params": {
                "source": str(tmp_path / "landed"),
                "path": f"file://{tmp_path}/report",
                "start": "2026-11-02",
                "end": "2026-11-03",
                "timezone": "UTC",
            }
        }
    )

    assert operator.execute({})["count"] == 5


def test_a_report_leaves_no_table_of_the_one_that_it_replaces(tmp_path: Path) -> None:
    for service in ("vlmrun", "cradl"):
        land(service, tmp_path / "landed" / service, made(service, START, END, 5))
    path, files = f"file://{tmp_path}/report", tmp_path / "report"
    make(source=str(tmp_path / "landed"), path=path, period=(START, END)).execute({})
    files.joinpath("own.csv").write_text("not of a report")

    found = make(source=str(tmp_path / "landed/vlmrun"), path=path, period=(START, END)).execute({})

    assert {file.stem for file in files.glob("*.csv")} == {*found["tables"], "own"}


def test_the_bound_of_a_target_is_a_template_too(tmp_path: Path) -> None:
    operator = breached(tmp_path, targets={"failed": {"max": "{{ params.most }}"}})
    operator.render_template_fields({"params": {"most": 0}})

    (target,) = operator.execute({})["summary"]["targets"]

    assert (target["max"], target["state"]) == (0, "missed")


TARGETS = {
    "failed_share": {"max": 0.0},
    "predictions": {"min": 1},
    "errors": {"max": 0},
    "credits:zoo": {"max": 1},
}


def breached(tmp_path: Path, **arguments: Any) -> PredictionsReportOperator:
    land("vlmrun", tmp_path / "landed", made("vlmrun", EARLIER, END, 200))
    paths = {"source": str(tmp_path / "landed"), "path": f"file://{tmp_path}/report"}
    return make(**{**paths, "period": (START, END), "targets": TARGETS, **arguments})


def test_each_target_is_met_missed_or_unknown_with_the_reason(tmp_path: Path) -> None:
    summary = breached(tmp_path).execute({})["summary"]

    found = {target["measure"]: (target["state"], target["why"]) for target in summary["targets"]}
    assert found == {
        "failed_share": ("missed", ""),
        "predictions": ("met", ""),
        "errors": ("unknown", "VLM Run has no errors"),
        "credits": ("unknown", "there is no zoo in the periods that were read"),
    }
    assert summary["verdict"]["state"] == "look"
    assert summary["verdict"]["measure"] == "failed_share"
    assert summary["verdict"]["text"].startswith("Look at ")
    assert "1 of 4 targets is missed." in summary["text"]


def test_a_breach_fails_the_task_once_the_report_is_written_and_tells_no_asset(tmp_path: Path) -> None:
    asset, collected = Asset(uri="predictions://report"), OutletEventAccessors()
    operator = breached(tmp_path, on_breach="fail", outlets=[asset])

    with pytest.raises(AirflowFailException, match=r"1 of 4 targets is missed\. Look at .*report\.html"):
        operator.execute({"outlet_events": collected})

    assert json.loads((tmp_path / "report/_manifest.json").read_text())["complete"]
    assert not collected[asset].extra


def test_a_target_that_is_not_known_is_no_breach(tmp_path: Path) -> None:
    land("vlmrun", tmp_path / "landed", made("vlmrun", START, END, 9), statuses=["completed"])
    operator = make(
        source=str(tmp_path / "landed"),
        path=f"file://{tmp_path}/report",
        period=(START, END),
        targets={"failed_share": {"max": 0}},
        on_breach="fail",
    )

    (target,) = operator.execute({})["summary"]["targets"]

    assert (target["state"], target["why"]) == ("unknown", "only completed predictions were to land")


def test_a_group_that_stopped_misses_its_least_number(tmp_path: Path) -> None:
    earlier, now = made("vlmrun", EARLIER, START, 20), made("vlmrun", START, END, 20, seed=3)
    records = [*changed(earlier, domain="old"), *changed(now, domain="new")]
    land("vlmrun", tmp_path / "landed", records)
    operator = make(
        source=str(tmp_path / "landed"),
        path=f"file://{tmp_path}/report",
        period=(START, END),
        targets={"predictions:old": {"min": 1}},
    )

    (target,) = operator.execute({})["summary"]["targets"]

    assert (target["now"], target["state"]) == (0, "missed")


def test_the_page_shows_a_logo_a_title_and_the_price(tmp_path: Path) -> None:
    (tmp_path / "logo.svg").write_text("<svg xmlns='http://www.w3.org/2000/svg'/>")
    operator = breached(
        tmp_path,
        logo=str(tmp_path / "logo.svg"),
        title="Invoices & receipts",
        price_per_credit=0.5,
        currency="EUR",
        prediction_url="https://app.example.com/{id}",
    )

    result = operator.execute({})

    summary, page = result["summary"], (tmp_path / "report/report.html").read_text()
    assert summary["title"] == "Invoices & receipts"
    assert summary["measures"]["cost"]["now"] == pytest.approx(summary["measures"]["credits"]["now"] / 2)
    assert "data:image/svg+xml;base64," in page
    assert "Invoices &amp; receipts" in page
    assert "https://app.example.com/" in page
    assert "Invoices &amp; receipts" in result["mail"]


@pytest.mark.parametrize(("content", "named"), [(b"GIF89a", "neither"), (b"<svg" + b" " * 100_000, "takes")])
def test_what_is_no_logo_is_named(content: bytes, named: str, tmp_path: Path) -> None:
    (tmp_path / "logo").write_bytes(content)

    with pytest.raises(AirflowFailException, match=rf"^logo: .*{named}"):
        breached(tmp_path, logo=str(tmp_path / "logo")).execute({})
    assert not (tmp_path / "report").exists()


def test_a_logo_that_is_missing_is_named(tmp_path: Path) -> None:
    with pytest.raises(AirflowFailException, match=r"^logo: there is no .*/logo\.svg"):
        breached(tmp_path, logo=str(tmp_path / "logo.svg")).execute({})


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        (
            {"targets": {"share_failed": {"max": 0.1}}},
            "targets: there is no measure share_failed; there are .*failed_share",
        ),
        ({"targets": {"failed_share": {"max": 5}}}, "targets: .*0.05 is 5 %"),
        ({"targets": {"credits": {"most": 5}}}, "targets: credits needs min, max"),
        ({"targets": {"credits": {}}}, "targets: credits needs min, max"),
        ({"targets": {"credits": {"max": True}}}, "targets: the bounds of credits must be numbers"),
        ({"targets": {"credits": {"min": 2, "max": 1}}}, "targets: the min of credits"),
        ({"targets": {"credits:": {"min": 2}}}, "targets: credits: names no group"),
        ({"targets": {"cost": {"max": 2}}}, "targets: cost needs price_per_credit"),
        ({"targets": "credits"}, "targets: must be a mapping"),
        ({"on_breach": "fail"}, "on_breach: goes with targets"),
        ({"targets": {"credits": {"max": 1}}, "on_breach": "stop"}, "on_breach: "),
        ({"price_per_credit": 0.1}, "currency: is missing"),
        ({"currency": "EUR"}, "price_per_credit: is missing"),
        ({"currency": "euro", "price_per_credit": 1}, "currency: .*EUR"),
        ({"price_per_credit": -1, "currency": "EUR"}, "price_per_credit: "),
        ({"group_by": "metadata..customer"}, "group_by: "),
        ({"group_by": "File_Index.a"}, "group_by: must not be file_index"),
        ({"title": "a\nb"}, "title: .*one line"),
        ({"prediction_url": "https://app.example.com"}, "prediction_url: .*{id}"),
        ({"prediction_url": "javascript:{id}"}, "prediction_url: "),
        ({"prediction_url": "https://user:pw@app.example.com/{id}"}, "prediction_url: .*password"),
        ({"targets": {"credits": {"max": 10**400}}}, "targets: the bounds of credits must be numbers"),
        ({"price_per_credit": True, "currency": "EUR"}, "price_per_credit: "),
        ({"price_per_credit": 1, "currency": "A1B"}, "currency: .*EUR"),
    ],
)
def test_a_wrong_choice_is_named_while_the_dag_is_parsed(arguments: dict[str, Any], named: str) -> None:
    with pytest.raises(ConfigurationError, match=f"^{named}"):
        make(**arguments)


class Task:
    """A task instance that pushes, and whose links are looked at."""

    def __init__(self, map_index: int = -1) -> None:
        self.dag_id, self.run_id, self.task_id, self.map_index = "daily", "by hand+1", "report", map_index
        self.pushed: dict[str, Any] = {}
        self.xcom_push = self.pushed.__setitem__


def test_a_report_is_recorded_in_xcom_and_its_manifest_names_its_task(tmp_path: Path) -> None:
    needs_reports_in_the_ui()
    land("vlmrun", tmp_path / "landed", made("vlmrun", START, END, 10))
    operator, ti = make(source=str(tmp_path / "landed"), path=f"file://{tmp_path}/report"), Task(3)

    result = operator.execute({"logical_date": END, "ti": ti})

    record = ti.pushed[KEY]
    assert record["path"] == result["path"]
    content = tmp_path.joinpath("report/report.html").read_bytes()
    assert record["files"]["report.html"] == {"bytes": len(content), "sha256": sha256(content).hexdigest()}
    assert len(json.dumps(record)) < 3000
    manifest = json.loads(tmp_path.joinpath("report/_manifest.json").read_text())
    assert manifest["recorded_by"] == ["daily", "by hand+1", "report", 3]
    assert ReportLink().get_link(operator, ti_key=ti) == (
        "predictions/report/daily/by%20hand%2B1/report/3/report.html"
    )


def test_two_tasks_of_a_run_do_not_report_under_one_path(tmp_path: Path) -> None:
    land("vlmrun", tmp_path / "landed", made("vlmrun", START, END, 10))
    operator = make(source=str(tmp_path / "landed"), path=f"file://{tmp_path}/report")
    operator.execute({"logical_date": END, "ti": Task(0)})

    with pytest.raises(AirflowFailException, match=r"^path: .*another instance of this mapped task"):
        operator.execute({"logical_date": END, "ti": Task(1)})
    other = Task(0)
    other.task_id = "other"
    with pytest.raises(AirflowFailException, match=r"^path: .* task report has written in this run"):
        operator.execute({"logical_date": END, "ti": other})

    operator.execute({"logical_date": END, "ti": Task(0)})  # a retry


def test_a_report_is_not_recorded_where_reports_are_off(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AIRFLOW__PREDICTIONS__REPORTS_UI", "False")
    land("vlmrun", tmp_path / "landed", made("vlmrun", START, END, 10))
    operator, ti = make(source=str(tmp_path / "landed"), path=f"file://{tmp_path}/report"), Task()

    operator.execute({"logical_date": END, "ti": ti})

    assert KEY not in ti.pushed
    assert not getattr(operator, "console_url", None)


def test_a_report_that_breaches_a_target_is_recorded_before_the_task_fails(tmp_path: Path) -> None:
    needs_reports_in_the_ui()
    operator, ti = breached(tmp_path, on_breach="fail", title="Invoices"), Task()

    with pytest.raises(AirflowFailException):
        operator.execute({"ti": ti})

    record = ti.pushed[KEY]
    assert (record["state"], record["title"]) == ("look", "Invoices")
    assert record["verdict"].startswith("Look at ")
    assert ReportLink().get_link(operator, ti_key=ti).endswith("/report.html")


def test_targets_and_groups_that_match_nothing_are_named_in_the_log(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    land("vlmrun", tmp_path / "landed", made("vlmrun", START, END, 10))
    given = {"source": str(tmp_path / "landed"), "path": f"file://{tmp_path}/report"}
    typos = {
        "targets": {"failed_share:Invoice": {"max": 0}},
        "on_breach": "fail",
        "group_by": "metdata.customer",
    }

    make(**given, **typos).execute({"logical_date": END})

    logged = capsys.readouterr().out + caplog.text
    assert "targets: failed_share:Invoice is unknown, and not missed: there is no Invoice" in logged
    assert "group_by: none of 10 predictions has metdata.customer" in logged
    make(**given, group_by="status").execute({"logical_date": END})
    assert "group_by: " not in capsys.readouterr().out + caplog.text.partition("metdata.customer")[2]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({"logo": ""}, "^logo: .* cannot be read: Is a directory"),
        ({"logo": "/file/x.svg"}, "^logo: .* cannot be read: Not a directory"),
        ({"path": "/file/x"}, "^path: .* cannot be .*: Not a directory"),
    ],
    ids=["a directory as logo", "a logo below a file", "a path below a file"],
)
def test_a_file_in_place_of_a_directory_fails_without_a_retry(
    tmp_path: Path, arguments: dict[str, str], said: str
) -> None:
    land("vlmrun", tmp_path / "landed", made("vlmrun", START, END, 10))
    tmp_path.joinpath("file").touch()
    given = {"source": str(tmp_path / "landed"), "path": f"file://{tmp_path}/report"}
    given |= {name: f"{tmp_path}{value}" for name, value in arguments.items()}

    with pytest.raises(AirflowFailException, match=said):
        make(**given).execute({"logical_date": END})
