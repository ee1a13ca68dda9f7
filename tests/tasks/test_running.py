"""What arguments come to in a DAG that Airflow runs, with templates rendered as text and natively."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.dags

ROOT = Path(__file__).parents[2]
FILE = Path(__file__).parent / "dags" / "kinds.py"
AB = {"path": "/x", "statuses": ["a", "b"]}
NOT_GIVEN = {"path": "/x"}
EXPECTED: dict[str, Any] = {
    "dag_parameter": AB | {"model_id": "m1"},
    "dag_parameter_none": NOT_GIVEN,
    "path_none": "path: '{{ none }}' rendered to an empty value",
    "path_dag_parameter_none": "path: <",
    "two_xcoms": {"prediction_ids": ["id-q", "x1"]},
    "xcom": {"prediction_ids": ["a", "b"]},
    "number_xcom": {"prediction_ids": ["42"]},
    "mapped_output": {"prediction_ids": ["id-a", "id-b"]},
    "map": {"prediction_ids": ["A", "B"]},
    "concat": {"prediction_ids": ["a", "b"]},
    "ids_none": "prediction_ids: ",
    "ids_empty": {"prediction_ids": []},
    "list_param": {"path": "/x", "statuses": ["completed", "failed"]},
    "json_param": {"path": "/x", "statuses": ["completed", "failed"]},
    "comma_param": AB,
    "bad_param": "statuses: looks like a list, but is neither JSON nor a Python literal; found \"['a'\"",
    "none_param": NOT_GIVEN,
    "number_param": {"path": "/x", "statuses": ["1e5"], "model_id": "123"},
    "literal": {"path": "/a/{{ b }}"},
    "function": {"path": "/UTC"},
    "comment": {"path": "/a"},
    "object": {"path": "file:///tmp/123"},
    "mixed": {"path": "/x", "statuses": ["123", "m1", "x1"]},
    "date": {"path": "/x", "created_after": "2026-11-01 00:00:00+00:00"},
    "expanded": [{"path": "/123", "statuses": ["a"]}, {"path": "/123", "statuses": ["b", "c"]}],
    "from_xcom": [{"path": "/{{ 6 * 7 }}", "statuses": ["a"]}],
    "report": {"path": "/x", "source": ["/landed", "/b"], "period": ["2026-11-01", "2026-12-01"]},
    "report_none": "source: item 1 is nothing; its task may have been skipped",
    "group.land": [{"path": "/7", "statuses": ["a"]}, {"path": "/7", "statuses": ["b"]}],
    "group.wait": [{"prediction_ids": ["a", "z"]}, {"prediction_ids": ["b", "z"]}],
}


RUN = """
import json
import sys

from tests.compat import DagBag, keep_the_api_of_dag_test

keep_the_api_of_dag_test()
file, report, *names = sys.argv[1:]
bag = DagBag(file)
assert not bag.import_errors, bag.import_errors
found = {}
for name in names:
    run = bag.dags[name].test()
    found[name] = [
        [ti.task_id, ti.map_index, ti.xcom_pull(task_ids=ti.task_id, map_indexes=ti.map_index)]
        for ti in run.get_task_instances()
    ]
with open(report, "w") as output:
    json.dump(found, output, default=str)
"""
"""`dag.test()` serializes what lies in the folder of DAGs alone, so that it runs in a home of its own."""


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[tuple[str, int, Any]]]:
    home = tmp_path_factory.mktemp("home")
    environ = os.environ | {
        "AIRFLOW_HOME": str(home),
        "AIRFLOW__CORE__DAGS_FOLDER": str(FILE.parent),
        "PYTHONPATH": str(ROOT),
    }
    report = home / "report.json"
    for arguments in (
        ["-m", "airflow", "db", "migrate"],
        ["-c", RUN, str(FILE), str(report), "text", "native"],
    ):
        done = subprocess.run(
            [sys.executable, *arguments], cwd=ROOT, env=environ, capture_output=True, text=True, timeout=600
        )
        assert done.returncode == 0, done.stderr[-3000:]
    found: dict[str, list[tuple[str, int, Any]]] = json.loads(report.read_text())
    return found


@pytest.mark.parametrize("name", ["text", "native"])
def test_every_kind_of_reference_comes_to_its_value(
    runs: dict[str, list[tuple[str, int, Any]]], name: str, subtests: pytest.Subtests
) -> None:
    found: dict[str, list[Any]] = {}
    for task_id, _, given in sorted(runs[name], key=lambda row: row[:2]):
        found.setdefault(task_id, []).append(given)
    for task_id, expected in EXPECTED.items():
        with subtests.test(task_id=task_id):
            if isinstance(expected, str):
                assert str(found[task_id][0]).startswith(expected)
            else:
                wanted = expected if isinstance(expected, list) else [expected]
                assert found[task_id] == wanted
