"""The README, and the tables of classes, filters, connection fields and versions, against the package."""

from __future__ import annotations

import inspect
import math
import re
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

from airflow_provider_predictions.get_provider_info import get_provider_info
from airflow_provider_predictions.hooks.base import PredictionsHook
from airflow_provider_predictions.hooks.cradl import CradlHook
from airflow_provider_predictions.hooks.vlmrun import VlmRunHook
from airflow_provider_predictions.operators.cradl import CradlPredictionsToObjectStorageOperator
from airflow_provider_predictions.operators.iceberg import PredictionsToIcebergOperator
from airflow_provider_predictions.operators.landing import PredictionsToObjectStorageOperator
from airflow_provider_predictions.operators.report import PredictionsReportOperator
from airflow_provider_predictions.sensors.base import PredictionsSensor
from airflow_provider_predictions.triggers.cradl import CradlPredictionsEventTrigger
from airflow_provider_predictions.triggers.event import PredictionsEventTrigger
from airflow_provider_predictions.triggers.vlmrun import VlmRunPredictionsEventTrigger

ROOT = Path(__file__).parent.parent
README = ROOT.joinpath("README.md").read_text()
REFERENCE = ROOT.joinpath("docs/reference/index.md").read_text()
VERSIONS = ROOT.joinpath("docs/versions.md").read_text()
BENCHMARKS = ROOT.joinpath("docs/benchmarks.md").read_text()
HOOKS: list[type[PredictionsHook[Any]]] = [VlmRunHook, CradlHook]


def section(title: str) -> str:
    return REFERENCE.split(f"\n## {title}\n")[1].split("\n## ")[0]


def test_the_readme_is_read_in_two_minutes() -> None:
    assert len(README.splitlines()) <= 110


def measured(row: str) -> tuple[float, float, float]:
    """The first median of a row of the benchmarks that has a spread, with its lowest and highest value."""
    found = re.search(rf"^\| {row}.*?(-?[\d,.]+) \((-?[\d,.]+) - ([\d,.]+)\)", BENCHMARKS, re.MULTILINE)
    assert found
    median, lowest, highest = (float(number.replace(",", "")) for number in found.groups())
    return median, lowest, highest


def rounded(row: str, step: float) -> tuple[str, str, str]:
    """The same in whole steps. The spread is rounded outward, so that it holds each measurement."""
    median, lowest, highest = measured(row)
    steps = round(median / step), math.floor(lowest / step), math.ceil(highest / step)
    median, lowest, highest = (number * step for number in steps)
    digits = 1 if step < 1 else 0
    return f"{median:,.{digits}f}", f"{lowest:,.{digits}f}", f"{highest:,.{digits}f}"


def test_every_figure_of_the_readme_is_one_that_a_run_has_written_rounded() -> None:
    bullets = " ".join(README.split("[start:intro]")[1].split("[end:intro]")[0].split())
    rate = rounded("ours, prefetch=1 [|]", 10_000)
    ratio = rounded("VLM Run, `ours, prefetch=1`: at least . x vlmrun SDK", 0.1)
    memory = rounded("1,000,000 records: at most 64 MB more than 10,000", 1)
    requests = r"(1,000) \| 1 \| ([\d,]+) "  # of so many waits, for records of one kB
    ours = re.search(rf"ours, deferred \| {requests}", BENCHMARKS)
    others = re.search(rf"HttpSensor, deferred \| {requests}", BENCHMARKS)
    assert ours
    assert others
    assert ours[2] == "1"

    assert f"about {rate[0]} records of VLM Run a second ({rate[1]} to {rate[2]})" in bullets
    assert f"{ratio[0]} times as many as the vendor's SDK ({ratio[1]} to {ratio[2]})" in bullets
    assert f"a million records takes at most {memory[2]} MB more memory than one of 10,000" in bullets
    assert f"{ours[1]} deferred sensors on one connection" in bullets
    assert "send one request a poll while records are small" in bullets
    assert f"{others[1]} of Airflow's HttpSensor send {others[2]} requests" in bullets
    named = re.findall(r"\d[\d,.]*\d", bullets)
    figures = {*rate, *ratio, memory[2], ours[1], others[2], "10,000"}
    assert {*named} == {figure for figure in figures if len(figure) > 1}


def test_every_public_class_is_in_the_table() -> None:
    table = section("Classes")
    info = get_provider_info()
    modules = [
        module
        for kind in ("hooks", "operators", "sensors", "triggers")
        for entry in info[kind]
        for module in entry["python-modules"]
    ]
    for module in map(import_module, modules):
        public = {
            name for name, value in vars(module).items()
            if isinstance(value, type) and value.__module__ == module.__name__
            and name.startswith(("VlmRun", "Cradl", "Predictions")) and not name.endswith("Settings")
        }  # fmt: skip
        assert public
        assert not [name for name in public if f"`{name}`" not in table]


@pytest.mark.parametrize(
    "classes",
    [
        (
            PredictionsToObjectStorageOperator,
            CradlPredictionsToObjectStorageOperator,
            PredictionsReportOperator,
            PredictionsToIcebergOperator,
        ),
        (PredictionsSensor,),
        (PredictionsEventTrigger, VlmRunPredictionsEventTrigger, CradlPredictionsEventTrigger),
    ],
)
def test_the_table_holds_every_argument(classes: tuple[type, ...]) -> None:
    arguments = {
        name
        for cls in classes
        for name, parameter in inspect.signature(cls.__init__).parameters.items()
        if parameter.kind is parameter.KEYWORD_ONLY and not name.endswith("_conn_id")
    }

    assert len(arguments) >= 5
    tables = section("Classes") + section("Filters")
    assert not [name for name in arguments if f"`{name}`" not in tables]


def test_the_table_holds_every_filter() -> None:
    for hook in HOOKS:
        names = hook.service_class.filters.model_fields
        assert not [name for name in names if f"`{name}`" not in section("Filters")]


@pytest.mark.parametrize("hook", HOOKS, ids=lambda hook: hook.conn_type)
def test_the_page_of_a_service_holds_every_field_with_its_default(hook: type[PredictionsHook[Any]]) -> None:
    page = ROOT.joinpath(f"docs/services/{hook.conn_type}.md").read_text()
    extras = dict(re.findall(r"^\| extra `(\w+)` \|.*\| ([^|]*) \|$", page, re.MULTILINE))
    urls = {"dashboard_url": hook.default_dashboard_url}

    assert f"| host | base URL | `{hook.default_base_url}` |" in page
    assert extras.keys() == hook.settings_class.model_fields.keys()
    for name, field in hook.settings_class.model_fields.items():
        default = urls.get(name, field.default)
        shown = ", ".join(default) if isinstance(default, tuple) else default
        assert extras[name] == ("no limit" if shown is None else f"`{shown}`")


@pytest.mark.parametrize("hook", HOOKS, ids=lambda hook: hook.conn_type)
def test_the_page_of_a_service_holds_every_filter_and_status(hook: type[PredictionsHook[Any]]) -> None:
    page = ROOT.joinpath(f"docs/services/{hook.conn_type}.md").read_text()
    service = hook.service_class

    named = {*service.filters.model_fields, *service.terminal_statuses, *service.unfinished_statuses}

    assert not [name for name in named if f"`{name}`" not in page]


def test_the_table_of_versions_holds_each_that_is_pinned() -> None:
    """A version has a row for each Python. Only another run can check the counts."""
    pins = "\n".join(path.read_text() for path in ROOT.joinpath("constraints").glob("airflow-[0-9]*.txt"))

    rows = re.findall(r"^\| (\d+\.\d+\.\d+) \|", VERSIONS, re.MULTILINE)

    assert sorted({*rows}) == sorted(re.findall(r"^apache-airflow==(\S+)$", pins, re.MULTILINE))


def test_links_to_files_lead_somewhere() -> None:
    for target in re.findall(r"\]\((?!http)([^)]+)\)", README):
        name, _, anchor = target.partition("#")
        file = ROOT.joinpath(name)
        assert file.exists()
        assert not anchor or anchor in map(slug, re.findall("^#+ (.*)", file.read_text(), re.MULTILINE))


def slug(heading: str) -> str:
    """The anchor that a renderer of Markdown makes of a heading."""
    return re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-")
