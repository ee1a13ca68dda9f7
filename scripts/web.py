"""The web UI with both connections and the example DAGs, and the sandbox behind them, until Ctrl-C.

Everything it makes is under ``.airflow/web``.
"""

from __future__ import annotations

import shutil
import signal
from contextlib import suppress
from pathlib import Path

from incoming import receive
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
    with Sandbox(count=250) as sandbox, Airflow(HOME) as airflow:
        airflow.connect(sandbox)
        airflow.until("parsed", lambda: len(airflow.get("/dags")["dags"]) >= count, 120)
        print(guide(airflow.url, sandbox), flush=True)
        receive(sandbox)


def guide(url: str, sandbox: Sandbox) -> str:
    """What to look at, and what to type into the form of a connection."""
    vlmrun, cradl = sandbox.connection("vlmrun"), sandbox.connection("cradl")
    return f"""
Airflow is at {url}; there is no login. Both services are a sandbox, which gets new predictions all the time.

  connections     {url}/connections
                  the pulse tests one, the pencil opens its form, Add Connection shows both types:
                  VLM Run: host {vlmrun["host"]}, API key {vlmrun["password"]}
                  Cradl: host {cradl["host"]}, client id {cradl["login"]},
                  client secret {cradl["password"]}, auth_url {cradl["extra"]["auth_url"]}
  waiting         {url}/dags/example_vlmrun
                  Trigger starts it; the task "wait" is deferred for some seconds, then "land" runs
  what landed     the task "land", Storage, XCom: the manifest; Details: the links
  event-driven    {url}/dags/example_events
                  unpause it: it runs whenever predictions have finished

What lands is in {HOME.relative_to(ROOT)}/landed. Ctrl-C stops everything."""


if __name__ == "__main__":
    main()
