"""Run the example DAGs and show what they did. Everything it makes is under ``.airflow/demo``.

A service whose ``AIRFLOW_CONN_…_DEFAULT`` is set is the real one; the sandbox stands in for the others.
"""

from __future__ import annotations

import gzip
import json
import os
import re
import shutil
import subprocess
import sys
import time
from collections import defaultdict
from datetime import date, timedelta
from pathlib import Path
from typing import Any

from airflow_provider_predictions.api.wording import counted
from airflow_provider_predictions.sandbox.server import Sandbox

ROOT = Path(__file__).resolve().parent.parent
HOME = ROOT / ".airflow" / "demo"
LANDED = HOME / "landed"
RESULTS = HOME / "results.json"
LONGEST = 600
"""Seconds; an account of your own may have predictions that take long."""
EXAMPLES = ("example_vlmrun", "example_cradl", "example_mapped")
REPORTED = ("example_vlmrun", "example_cradl")
CONNECTIONS = ("AIRFLOW_CONN_VLMRUN_DEFAULT", "AIRFLOW_CONN_CRADL_DEFAULT")


def main() -> None:
    started = time.monotonic()
    shutil.rmtree(HOME, ignore_errors=True)
    HOME.mkdir(parents=True)
    print("Creating a temporary Airflow database ...", flush=True)
    logged("db-migrate", "-m", "airflow", "db", "migrate")
    missing = [name for name in CONNECTIONS if not os.environ.get(name)]
    if missing:
        print(f"Not set, so the sandbox stands in: {', '.join(missing)}.")
    print(f"Running {', '.join(EXAMPLES)} ...", flush=True)
    logged("run", __file__, "run")
    results = json.loads(RESULTS.read_text())
    for name, tasks in results["examples"].items():
        print(f"\n=== {name} ===")
        show(tasks)
    print("\n=== reports ===")
    for report in results["reports"]:
        print(f"{report['text']}\n  {report['report']}")
    print(f"\nDone in {time.monotonic() - started:.0f} s. What landed is in {LANDED.relative_to(ROOT)}.")
    print(f"Airflow's log is {HOME.relative_to(ROOT)}/run.log.")


def logged(name: str, *command: str) -> None:
    """Run a Python command with Airflow's settings, and its output in a log file."""
    log = HOME / f"{name}.log"
    with log.open("wb") as output:
        try:
            subprocess.run(
                [sys.executable, *command],
                env=environment(),
                stdout=output,
                stderr=output,
                check=True,
                timeout=LONGEST,
            )
        except subprocess.SubprocessError as error:
            tail = log.read_text(errors="replace").splitlines()[-25:]
            sys.exit("\n".join([*tail, "", f"{name}: {error}", f"The whole log is {log}"]))


def environment() -> dict[str, str]:
    """Airflow's settings, with nothing left of those of the person who runs this but the connections."""
    kept = {
        k: v for k, v in os.environ.items() if not k.startswith("AIRFLOW") or k.startswith("AIRFLOW_CONN_")
    }
    return kept | {
        "AIRFLOW_HOME": str(HOME / "home"),
        "AIRFLOW__CORE__DAGS_FOLDER": str(ROOT / "example_dags"),
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        "AIRFLOW__CORE__PARALLELISM": "4",
    }


def run() -> None:
    """Run the DAGs as ``airflow dags test`` does, and keep what their tasks pushed to XCom."""
    from airflow.dag_processing.dagbag import DagBag

    bag = DagBag(str(ROOT / "example_dags"))
    results: dict[str, list[dict[str, Any]]] = {}
    with Sandbox(count=250) as sandbox:
        missing = {name: value for name, value in sandbox.environment().items() if not os.environ.get(name)}
        os.environ |= missing
        if "AIRFLOW_CONN_CRADL_DEFAULT" in missing:
            # oauthlib refuses plain http for tokens; the sandbox never leaves this machine.
            os.environ["OAUTHLIB_INSECURE_TRANSPORT"] = "1"
        for name in EXAMPLES:
            sandbox.receive(8)
            dag_run = bag.dags[name].test(run_conf={"path": f"file://{LANDED}"})
            if dag_run.state != "success":
                sys.exit(f"{name} ended as {dag_run.state}")
            results[name] = [
                {
                    "task": ti.task_id,
                    "xcom": ti.xcom_pull(task_ids=ti.task_id, map_indexes=ti.map_index),
                }
                for ti in dag_run.get_task_instances()
            ]
    landed = [task["xcom"] for name in REPORTED for task in results[name] if task["task"] == "land"]
    reports = [report_on(manifest) for manifest in landed if manifest["count"]]
    RESULTS.write_text(json.dumps({"examples": results, "reports": reports}))


def report_on(manifest: dict[str, Any]) -> dict[str, Any]:
    """Report on the newer half of what has landed, in whole days, beside the older one.

    What was created earlier on the first day may not have landed.
    """
    from airflow_provider_predictions.operators.report import PredictionsReportOperator

    oldest, newest = (date.fromisoformat(manifest[name][:10]) for name in ("created_min", "created_max"))
    end = newest + timedelta(days=1)
    start = end - max(timedelta(days=1), (newest - oldest) // 2)
    operator = PredictionsReportOperator(
        task_id="report",
        source=manifest,
        path=f"file://{LANDED}/reports/{manifest['service']}",
        period=(str(start), str(end)),
    )
    return dict(operator.execute({}))


def show(tasks: list[dict[str, Any]]) -> None:
    """Print what was waited for, what landed and what was made of it."""
    xcoms: dict[str, list[Any]] = defaultdict(list)
    for task in tasks:
        xcoms[task["task"]].append(task["xcom"])
    for waited in xcoms["wait"]:
        print(f"wait       until none of {waited['count']} predictions is unfinished:")
        print(indented(polls(xcoms["land"][0]["service"])))
    for manifest in xcoms["land"]:
        landed, requests = counted(manifest["count"], "prediction"), counted(manifest["requests"], "request")
        print(f"land       {landed} in {requests}")
    print("           the manifest of the last:" if len(xcoms["land"]) > 1 else "           the manifest:")
    print(indented(json.dumps(manifest, indent=2)))
    print("           the first rows:")
    print(indented("\n".join(first_rows(manifest))))
    print("summarise  pushed to XCom:")
    print(indented(json.dumps(xcoms["summarise"][0], indent=2, ensure_ascii=False)))


def polls(service: str) -> str:
    """What the sensor and, once the task had deferred, its trigger said of each poll."""
    title = {"vlmrun": "VLM Run", "cradl": "Cradl"}[service]
    told: list[str] = []
    for line in (HOME / "run.log").read_text(errors="replace").splitlines():
        if poll := re.search(
            rf"(\d\d:\d\d:\d\d)\S* .*?({title}: \d+ of \d+ predictions are unfinished)", line
        ):
            told.append(
                f"{poll[1]}  {poll[2]}  ({'polled by the trigger' if told else 'polled by the worker'})"
            )
    return "\n".join(told)


def first_rows(manifest: dict[str, Any], count: int = 2, width: int = 140) -> list[str]:
    if not manifest["parts"]:
        return ["none"]
    path = manifest["parts"][0]["uri"].removeprefix("file://")
    with gzip.open(path, "rt") if path.endswith(".gz") else open(path) as lines:  # noqa: PTH123
        rows = [line.rstrip("\n") for line, _ in zip(lines, range(count), strict=False)]
    return [row if len(row) <= width else f"{row[:width]} ... ({len(row)} characters)" for row in rows]


def indented(text: str) -> str:
    return "\n".join(f"             {line}" for line in text.splitlines())


if __name__ == "__main__":
    run() if sys.argv[1:] == ["run"] else main()
