"""The web UI with both connections and the example DAGs, and the sandbox behind them, until Ctrl-C.

Everything it makes is under ``.airflow/web``.
"""

from __future__ import annotations

import shutil
import signal
from contextlib import suppress
from pathlib import Path

from incoming import BATCH, receive
from stack import Airflow, add_examples

from airflow_provider_predictions.sandbox.server import Sandbox

ROOT = Path(__file__).resolve().parent.parent
HOME = ROOT / ".airflow" / "web"


def main() -> None:
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, stop)
    with suppress(KeyboardInterrupt):
        serve()
    print("Stopped.")


def stop(*_: object) -> None:
    """Leave the ``with`` blocks, which ends all processes; once is enough, and twice would end too few."""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)
    print("Stopping ...", flush=True)
    raise KeyboardInterrupt


def serve() -> None:
    """Run Airflow, and let predictions come in."""
    shutil.rmtree(HOME, ignore_errors=True)
    count = add_examples(HOME)
    print("Starting a whole Airflow; this takes about a minute ...", flush=True)
    with Sandbox(count=250, moving=BATCH) as sandbox, Airflow(HOME) as airflow:
        airflow.connect(sandbox)
        airflow.until("parsed", lambda: len(airflow.get("/dags")["dags"]) >= count, 120)
        print(guide(airflow.url, sandbox), flush=True)
        receive(sandbox)


def guide(url: str, sandbox: Sandbox) -> str:
    """A visitor's path of six clicks, and what to type into the form of a connection."""
    vlmrun, cradl = sandbox.connection("vlmrun"), sandbox.connection("cradl")
    return f"""
Airflow is at {url}; there is no login. Both services are a sandbox, which gets new predictions all the time.

  1. Test a connection    {url}/connections
     The pulse beside vlmrun_default tests it: a message says how many predictions the list shows.
  2. Wait                 {url}/dags/example_vlmrun
     Press Trigger, and again in the form. The task "wait" is deferred until nothing is unfinished.
     No worker waits.
  3. See what landed      the task "land" of this run
     Storage, XCom has the manifest: open return_value. Details has a link to the service, which leads out of
     the sandbox.
  4. Read a report        {url}/dags/example_report_vlmrun
     Trigger, then open the task "report". The tab Prediction report shows the page about yesterday.
  5. See all reports      the menu Browse, Prediction reports
     The list has the newest report of each task, with its verdict.
  6. React to events      {url}/dags/example_events
     Switch it on. Within a minute, and then whenever predictions finish, a run starts by itself.
     The XCom of its task has their ids.

To add a connection of your own to the sandbox, type this into the form of Add Connection:

  VLM Run: Base URL {vlmrun["host"]}, Port {sandbox.port}, API key {vlmrun["password"]}
  Cradl: Base URL {cradl["host"]}, Port {sandbox.port}, Client id {cradl["login"]},
         Client secret {cradl["password"]}, and under Extra Fields
         Token endpoint {cradl["extra"]["auth_url"]}, File hosts {cradl["extra"]["file_hosts"]}

What lands is in {HOME.relative_to(ROOT)}/landed. Ctrl-C stops everything."""


if __name__ == "__main__":
    main()
