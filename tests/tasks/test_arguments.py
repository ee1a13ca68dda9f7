"""Every argument of every class, with every kind of value that a DAG can give it."""

from __future__ import annotations

import ast
import json
import pathlib
from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime, timedelta
from types import SimpleNamespace
from typing import Any

import pytest
from airflow.providers.common.compat.sdk import DAG, Asset, ObjectStoragePath, Param

from airflow_provider_predictions.api.errors import ConfigurationError
from airflow_provider_predictions.operators.iceberg import PredictionsToIcebergOperator
from airflow_provider_predictions.operators.report import PredictionsReportOperator
from airflow_provider_predictions.tasks.arguments import Argument
from tests.compat import AIRFLOW, DagParam, MappedArgument, literal, task
from tests.given import LAND, LIST, WAIT

START = datetime(2026, 1, 1, tzinfo=UTC)
PATH = "/data/predictions"
MANIFEST = f"file://{PATH}/_manifest.json"
NEEDED: dict[Any, dict[str, Any]] = {
    **{made: {} for classes in (LIST, WAIT) for made in classes.values()},
    **{made: {"path": PATH} for made in LAND.values()},
    PredictionsReportOperator: {"path": "/data/report", "source": PATH},
    PredictionsToIcebergOperator: {"manifest": MANIFEST, "table": "a.b", "catalog": "c"},
}
"""Each class with the arguments that it needs."""
BESIDE = {
    "max_age": {"incremental": True},
    "max_values_missing": {"fetch_values": True},
    "partition_keys": {"outlets": [Asset("asset")]},
    "shape": {"file_format": "parquet"},
    "paths": {"file_format": "parquet", "shape": "values"},
    "price_per_credit": {"currency": "EUR"},
    "currency": {"price_per_credit": 0.01},
}
"""What an argument goes with."""
PAIR = ("price_per_credit", "currency")
"""Neither is anything without the other."""
OWN = {
    "prefetch": 2,
    "max_failures": 3,
    "max_rejected": 1,
    "records_per_part": 10,
    "max_xcom_bytes": 10,
    "path": PATH,
    "source": PATH,
    "manifest": MANIFEST,
    "catalog": "c",
}
LISTS = (
    "statuses",
    "domains",
    "fields",
    "fail_on",
    "waiting_statuses",
    "prediction_ids",
    "partition_keys",
    "paths",
)
NOTHING = (None, "None", "", " ", "null", '""', "' '")
ALL = [
    (made, argument)
    for made in NEEDED
    for name, argument in made.declared.items()
    if name != "retry_policy" and not (name == "partition_keys" and AIRFLOW < (3, 3))
]

TEMPLATED = [(made, argument) for made, argument in ALL if argument.templated]
LISTED = [(made, argument) for made, argument in ALL if argument.name in LISTS]


def good(argument: Argument) -> Any:
    """A right value."""
    if argument.name in LISTS:
        return ["a", "b"]
    if argument.name in OWN:
        return OWN[argument.name]
    if argument.example.startswith("timedelta"):
        return timedelta(hours=2)
    return ast.literal_eval(argument.example)


@pytest.fixture(params=[False, True], ids=["text", "native"])
def native(request: pytest.FixtureRequest) -> bool:
    return bool(request.param)


class TaskInstance(SimpleNamespace):
    """What other tasks have pushed, as an XComArg pulls it."""

    def xcom_pull(self, task_ids: str, key: str = "return_value", **_: Any) -> Any:
        return self.pushed[task_ids]

    def get_relevant_upstream_map_indexes(self, *_: Any, **__: Any) -> None:
        """Of Airflow 2.11: no task before this one is mapped."""


def new_dag(native: bool = False) -> DAG:
    return DAG(
        "dag", schedule=None, start_date=START, render_template_as_native_obj=native,
        user_defined_filters={"json": json.dumps},
    )  # fmt: skip


def make(made: Any, argument: Argument, value: Any, native: bool = False, dag: DAG | None = None) -> Any:
    arguments = NEEDED[made] | BESIDE.get(argument.name, {}) | {argument.name: value}
    return made(task_id="task", dag=dag or new_dag(native), **arguments)


def rendered(operator: Any, argument: Argument, pushed: dict[str, Any] | None = None, **context: Any) -> Any:
    ti = TaskInstance(pushed=pushed or {}, task=operator, map_index=-1, run_id="run")
    context = {
        "params": {},
        "dag_run": SimpleNamespace(conf={}),
        "ti": ti,
        "expanded_ti_count": None,
    } | context
    running = operator.prepare_for_execution()  # as Airflow does before it renders
    running.render_template_fields(context)
    return getattr(running.rendered(), argument.name)


def outcome(operator: Any, argument: Argument, **context: Any) -> Any:
    try:
        return rendered(operator, argument, **context)
    except ConfigurationError as error:
        return str(error)


def plain(made: Any, argument: Argument) -> Any:
    """What a right value comes to."""
    return rendered(make(made, argument, good(argument)), argument)


def test_a_template_gives_the_same_as_the_value_itself(subtests: pytest.Subtests, native: bool) -> None:
    for made, argument in ALL:
        with subtests.test(made=made.__name__, name=argument.name):
            value = good(argument)
            if not argument.templated:
                for template in ("{{ params.x }}", "{% raw %}x{% endraw %}", "{# x #}"):
                    with pytest.raises(
                        ConfigurationError, match=rf"^{argument.name}: is not templated; .*\(task task\)"
                    ):
                        make(made, argument, template)
                continue
            forms = ["{{ params.x }}"]
            if argument.name in LISTS or isinstance(value, tuple):
                forms += ["{{ params.x | json }}", "{{ params.x | list }}"]
            for form in forms:
                operator = make(made, argument, form, native)

                assert rendered(operator, argument, params={"x": value}) == plain(made, argument)


def references(up: Any, each: Any) -> Iterator[tuple[str, Any]]:
    """Whatever Airflow resolves in a template field."""
    yield "XCom", up.output
    yield "member of an XCom", up.output["x"]
    yield "map", up.output.map(lambda x: x)
    yield "zip", up.output.zip(up.output)
    yield "concat", up.output.concat(up.output)
    yield "DAG parameter", DagParam(up.dag, "x", "value")
    yield "literal", literal("value")
    yield "function", lambda context, jinja_env: "value"
    yield "argument of a task group", MappedArgument(input=SimpleNamespace(iter_references=list), key="x")
    yield "mapped", each
    yield "list of XComs", [up.output, "{{ x }}"]
    yield "tuple of XComs", (up.output, "b")


def test_whatever_airflow_resolves_is_taken_in_templated_arguments_alone(subtests: pytest.Subtests) -> None:
    for made, argument in ALL:
        with subtests.test(made=made.__name__, name=argument.name):
            with new_dag() as dag:
                up, each = make_up(), task(each_of).expand(x=["a"])
            for number, (kind, reference) in enumerate(references(up, each)):
                arguments = NEEDED[made] | BESIDE.get(argument.name, {}) | {argument.name: reference}
                if argument.templated:
                    operator = made(task_id=f"task_{number}", dag=dag, **arguments)
                    assert getattr(operator, argument.name) is reference, kind
                    depends = not kind.startswith(("DAG", "literal", "function", "argument"))
                    assert bool(operator.upstream_task_ids) is depends, kind
                else:
                    with pytest.raises(ConfigurationError, match=f"^{argument.name}: is not templated; "):
                        made(task_id="task", **arguments)


def each_of(x: str) -> str:
    return x


def make_up() -> Any:
    return LIST["vlmrun"](task_id="up")


def test_references_come_to_their_values(subtests: pytest.Subtests, native: bool) -> None:
    for made, argument in TEMPLATED:
        with subtests.test(made=made.__name__, name=argument.name):
            value = good(argument)
            with new_dag(native):
                up = make_up()
                given: list[tuple[Any, dict[str, Any]]] = [
                    (up.output, {"pushed": {"up": value}}),
                    (DagParam(up.dag, "x", value), {}),
                    (literal(value), {}),
                    (lambda context, jinja_env, value=value: value, {}),
                ]
                if argument.name in LISTS:
                    given += [
                        ([up.output, "b"], {"pushed": {"up": "a"}}),
                        ([DagParam(up.dag, "x", "a"), "{{ x }}"], {"x": "b"}),
                    ]
                for number, (reference, context) in enumerate(given):
                    arguments = NEEDED[made] | BESIDE.get(argument.name, {}) | {argument.name: reference}
                    operator = made(task_id=f"task_{number}", **arguments)

                    assert rendered(operator, argument, **context) == plain(made, argument)


def test_what_comes_to_nothing_is_not_given_or_an_error_that_names_argument_and_task(
    subtests: pytest.Subtests, native: bool
) -> None:
    for made, argument in TEMPLATED:
        with subtests.test(made=made.__name__, name=argument.name):
            for nothing in NOTHING:
                operator = make(made, argument, "{{ params.x }}", native)

                found = outcome(operator, argument, params={"x": nothing})

                if argument.needed:
                    assert found.startswith(
                        f"{argument.name}: '{{{{ params.x }}}}' rendered to an empty value; give "
                    )
                    assert found.endswith("(task task)")
                elif argument.name in PAIR:
                    assert found == (
                        f"{argument.name}: is missing; price_per_credit and currency go together (task task)"
                    )
                else:
                    assert found == argument.default


def test_text_that_only_looks_like_a_list_is_an_error(subtests: pytest.Subtests, native: bool) -> None:
    for made, argument in LISTED:
        with subtests.test(made=made.__name__, name=argument.name):
            for text in (
                "['a'",
                "[a, b]",
                "{'a': 1}",
                "(",
                '["a", null]',
                "[" * 5000,
                "['a', ['b']]",
                "[1.5]",
            ):
                if argument.name == "prediction_ids" and text == "['a', ['b']]":
                    continue  # several tasks may have pushed a list each
                found = outcome(make(made, argument, "{{ params.x }}", native), argument, params={"x": text})

                assert str(found).startswith(f"{argument.name}: ")
                assert len(found) < 500


def test_items_that_are_numbers_or_look_like_numbers_are_texts(
    subtests: pytest.Subtests, native: bool
) -> None:
    for made, argument in LISTED:
        with subtests.test(made=made.__name__, name=argument.name):
            for value in (["1e5", "0x1f", 7], ["1e5", "{{ '0x' }}1f", "{{ 7 }}"]):
                if "1f" in str(value[1]) and native and "{{" in value[1]:
                    continue  # natively, Jinja makes a number of it, whose text is lost
                assert sorted(rendered(make(made, argument, value, native), argument)) == ["0x1f", "1e5", "7"]


def test_a_wrong_type_is_refused_by_name_with_the_task(subtests: pytest.Subtests) -> None:
    for made, argument in ALL:
        with subtests.test(made=made.__name__, name=argument.name):
            for value in (object(), {"a": object()}, [object()], Param("x"), 1.5j):
                if argument.name in ("source", "manifest", "catalog") and isinstance(value, dict):
                    continue  # a manifest or properties, which are read when the task runs
                with pytest.raises(
                    ConfigurationError, match=rf"(?s)^{argument.name}: .*\(task task\)$"
                ) as raised:
                    make(made, argument, value)
                assert len(str(raised.value)) < 500


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (
            {"statusses": ["x"]},
            r"statusses: is not an argument of \w+; did you mean statuses\? \(task task\)",
        ),
        ({"retry": 3}, r"retry: is not an argument of \w+; did you mean retries\? \(task task\)"),
        ({"qqqqq": "s3cret"}, r"qqqqq: is not an argument of \w+ \(task task\)"),
    ],
    ids=["ours", "of Airflow", "like no other"],
)
def test_a_name_that_no_argument_has_is_refused_without_its_value(given: dict[str, Any], said: str) -> None:
    for made in (*LIST.values(), *LAND.values(), *WAIT.values()):
        with pytest.raises(TypeError, match=f"^{said}$"):
            made(task_id="task", **NEEDED[made], **given)


UNRESOLVABLE: dict[str, tuple[Callable[[], Any], str]] = {
    "path": (lambda: pathlib.PurePosixPath("/x") / "{{ run_id }}", "PosixPath with a template"),
    "path in a list": (lambda: [pathlib.PurePosixPath("/{{ run_id }}")], "Path with a template"),
    "frozenset": (lambda: frozenset(["{{ x }}"]), "holds a template in a frozenset"),
    "key": (lambda: {"{{ x }}": 1}, "holds a template in a key"),
    "function without the parameters": (
        lambda: lambda x: x,
        "function without the parameters context and jinja_env",
    ),
    "function inside": (lambda: [len], "holds a function"),
    "Param": (lambda: Param("x"), "is a Param"),
    "Param inside": (lambda: [Param("x")], "is a Param"),
    "f-string of a DAG parameter": (lambda: f"/x/{DagParam(new_dag(), 'x', 1)}", "text of a reference"),
    "f-string of a map": (lambda: f"/x/{mapped()}", "text of a reference"),
    "f-string of a literal": (lambda: f"/x/{literal('y')}", "text of a reference"),
    "f-string inside": (lambda: [f"{DagParam(new_dag(), 'x', 1)}"], "text of a reference"),
}


def mapped() -> Any:
    with new_dag():
        return make_up().output.map(lambda x: x)


def test_what_airflow_does_not_resolve_is_refused_by_name(subtests: pytest.Subtests) -> None:
    for made, argument in TEMPLATED:
        with subtests.test(made=made.__name__, name=argument.name):
            for kind, (value, said) in UNRESOLVABLE.items():
                with pytest.raises(ConfigurationError, match=rf"^{argument.name}: .*{said}") as raised:
                    make(made, argument, value())
                assert raised, kind


def test_plain_text_is_used_as_given_where_templates_are_rendered_natively() -> None:
    made = LIST["cradl"]
    model = made.declared["model_id"]
    for text in ("1e5", "0x1f", "1_000", "1,2", "True"):
        assert rendered(make(made, model, text, native=True), model) == text


def test_a_time_of_a_template_is_the_same_natively() -> None:
    made = LIST["cradl"]
    after = made.declared["created_after"]
    moment = datetime(2026, 11, 1, 6, tzinfo=UTC)
    for native in (False, True):
        for time in (moment, "2026-11-01T06:00:00", moment.replace(tzinfo=None)):
            assert rendered(make(made, after, "{{ t }}", native), after, t=time) == moment


def test_a_date_is_its_first_moment() -> None:
    made = LIST["cradl"]
    after = made.declared["created_after"]

    assert rendered(make(made, after, date(2026, 11, 1)), after) == datetime(2026, 11, 1, tzinfo=UTC)


@pytest.mark.parametrize("made", WAIT.values())
def test_ids_may_be_numbers_and_ids_that_are_nothing_are_an_error(made: Any, native: bool) -> None:
    ids = made.declared["prediction_ids"]
    assert rendered(make(made, ids, 42, native), ids) == ("42",)
    assert rendered(make(made, ids, None, native), ids) is None
    with new_dag(native) as dag:
        up = make_up().output
    whole = make(made, ids, up, dag=dag)
    assert rendered(whole, ids, pushed={"up": 42}) == ("42",)
    assert rendered(whole, ids, pushed={"up": []}) == ()
    for nothing in (None, ""):
        found = outcome(whole, ids, pushed={"up": nothing})
        assert "rendered to an empty value; give ids, or leave prediction_ids out" in found
    pair = make(made, ids, "{{ params.x }}, {{ params.x }}", native)
    assert "prediction_ids: is empty; give ids, or leave it out" in outcome(pair, ids, params={"x": ""})
    with new_dag(native) as dag:
        part = make(made, ids, [make_up().output, "a"], dag=dag)
    for nothing in (None, ""):
        found = outcome(part, ids, pushed={"up": nothing})
        assert found.startswith("prediction_ids: item 1 must be text; found nothing")
    with pytest.raises(ConfigurationError, match="prediction_ids: is empty"):
        make(made, ids, "")


@pytest.mark.parametrize(
    ("path", "said"),
    [
        ("~/x", "starts with ~"),
        ("file://localhost/tmp/x", "has a host.*file:///data/predictions"),
        ("file://~/x", "has a host"),
        ("local://tmp/x", "has a host"),
        ("data/x", "is relative to .*write the whole path, such as /data/predictions"),
        ("./x", "is relative"),
        ("s3://", "names no bucket"),
        ("s3://aws_default@/x", "names no bucket"),
        (" ", "is empty; give a URL such as s3://aws_default@bucket/predictions"),
    ],
)
def test_a_path_that_lands_elsewhere_is_refused_with_what_to_write(path: str, said: str) -> None:
    made = LAND["vlmrun"]
    with pytest.raises(ConfigurationError, match=f"^path: .*{said}"):
        make(made, made.declared["path"], path)
    assert outcome(make(made, made.declared["path"], "{{ p }}"), made.declared["path"], p=path).startswith(
        "path: "
    )
    if path.strip():
        with pytest.raises(ConfigurationError, match=f"^source: .*{said}"):
            make(PredictionsReportOperator, PredictionsReportOperator.declared["source"], [PATH, path])


@pytest.mark.parametrize(
    "path", ["/x", "file:///x", "s3://aws_default@bucket/x", "s3://bucket", "memory://b/x"]
)
def test_whole_paths_are_taken(path: str) -> None:
    made = LAND["vlmrun"]

    assert make(made, made.declared["path"], path).path == path


def test_an_object_storage_path_may_hold_templates() -> None:
    made = LAND["vlmrun"]
    path = made.declared["path"]

    assert rendered(make(made, path, ObjectStoragePath("file:///x/{{ t }}")), path, t="a") == "file:///x/a"


@pytest.mark.parametrize("made", NEEDED)
def test_what_came_from_elsewhere_is_never_rendered(made: Any) -> None:
    """Airflow skips the objects that it has resolved; another one would be rendered."""
    for name, argument in made.declared.items():
        if argument.templated and not (name == "partition_keys" and AIRFLOW < (3, 3)):
            value = ["{{ 6 * 7 }}"] if name in LISTS else "/{{ 6 * 7 }}"
            assert getattr(make(made, argument, value), name) is value


def test_an_error_after_rendering_comes_before_the_first_request_and_the_first_write(
    connections: Any, tmp_path: pathlib.Path
) -> None:
    from airflow.providers.common.compat.sdk import AirflowFailException

    rows = [(LIST, "fields", {}), (LAND, "partition_keys", {"outlets": [Asset("a")]}), (WAIT, "fail_on", {})]
    for classes, name, beside in rows:
        if name == "partition_keys" and AIRFLOW < (3, 3):
            continue
        for made in classes.values():
            path = {"path": f"{tmp_path}/new"} if classes is LAND else {}
            operator = made(task_id="task", **path, **beside, **{name: "{{ x }}"})
            setattr(operator, name, "['a'")
            with pytest.raises(
                (AirflowFailException, ConfigurationError), match=f"{name}: .*neither JSON nor"
            ):
                operator.execute({})
    report = PredictionsReportOperator(task_id="t", source=PATH, path=f"{tmp_path}/new", period="{{ x }}")
    report.period = "['a'"
    with pytest.raises(AirflowFailException, match="period: "):
        report.execute({})
    assert not connections.wire.seen
    assert not [*tmp_path.iterdir()]


def test_no_message_shows_the_properties_of_a_catalog() -> None:
    secret = "a-pass-word"
    for catalog in (
        {"token": secret, "{{ x }}": "y"},
        {"token": secret, "uri": f"{DagParam(new_dag(), 'x', 1)}"},
        [secret],
        f"{{{secret}",
    ):
        with pytest.raises(ConfigurationError, match=r"^catalog: ") as raised:
            PredictionsToIcebergOperator(task_id="task", manifest=MANIFEST, table="a.b", catalog=catalog)
        assert secret not in str(raised.value)


def test_the_text_of_properties_and_of_a_manifest_is_what_it_shows() -> None:
    made = PredictionsToIcebergOperator
    for name in ("catalog", "manifest"):
        argument = made.declared[name]
        for form in ("{{ x }}", "{{ x | json }}"):
            assert rendered(make(made, argument, form), argument, x={"uri": "y"}) == {"uri": "y"}


def test_what_was_found_is_said_once() -> None:
    with pytest.raises(ConfigurationError, match=r"^page_size: must be a number; found True\. Example"):
        LIST["vlmrun"](task_id="task", page_size=True)
