"""What it costs to wait: ``python benchmarks/waiting.py`` writes a table into ``docs/benchmarks.md``.

Each row is a process that waits for predictions which do not finish, with an interval of 5 s, for 30 s.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from importlib import import_module
from pathlib import Path
from resource import RUSAGE_SELF, getrusage
from typing import Any

from environments import HERE, peers_python, variables
from page import PAGE, write_table

SECONDS = 30
WAITS = (1, 100, 1000)
WAITERS = {
    "ours, deferred": "ours",
    "HttpSensor, deferred": "http_sensor",
    "PythonSensor with the SDK": "sdk_sensor",
}
COLUMNS = ("", "waits", f"requests in {SECONDS} s", "CPU, s")


def main() -> None:
    from airflow_provider_predictions.sandbox.app import API_KEY
    from airflow_provider_predictions.sandbox.server import Sandbox

    paths: list[str] = []

    class CountedSandbox(Sandbox):
        def asgi_app(self) -> Any:
            app = super().asgi_app()

            async def counted(scope: Any, receive: Any, send: Any) -> None:
                paths.append(scope["path"])
                await app(scope, receive, send)

            return counted

    with tempfile.TemporaryDirectory(prefix="benchmark-") as home, CountedSandbox(count=0) as sandbox:
        environment = variables(Path(home))
        pythons = {"ours": sys.executable, "http_sensor": peers_python(), "sdk_sensor": peers_python()}
        ids = [sandbox.vlmrun.add(work=1e9).id for _ in range(max(WAITS))]
        rows = []
        for label, waiter in WAITERS.items():
            for count in WAITS:
                paths.clear()
                order = json.dumps([waiter, f"{sandbox.url}/vlmrun/v1", API_KEY, ids[:count]])
                command = [pythons[waiter], str(HERE / "waiting.py"), "one"]
                cpu = float(printed(command, order, environment).splitlines()[-1])
                asked = len([path for path in paths if "predictions" in path])
                rows.append((label, f"{count:,}", f"{asked:,}", f"{cpu:.2f}"))
                print(*rows[-1], sep="  ", flush=True)
    write_table(PAGE, "benchmarks/waiting.py", COLUMNS, rows, figures=True)


def printed(command: list[str], order: str, environment: dict[str, str]) -> str:
    ended = subprocess.run(
        command, env=environment, input=order, capture_output=True, text=True, timeout=300, check=False
    )
    if ended.returncode:
        sys.exit(f"{ended.stdout[-2000:]}{ended.stderr[-4000:]}")
    return ended.stdout


def one() -> None:
    """One row, in a process of its own; prints the seconds of the processor that waiting took."""
    waiter, url, key, ids = json.load(sys.stdin)
    module = import_module(f"waiters.{waiter}")
    before = getrusage(RUSAGE_SELF)
    module.wait(url, key, ids, SECONDS)
    after = getrusage(RUSAGE_SELF)
    print(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)


if __name__ == "__main__":
    one() if sys.argv[1:] == ["one"] else main()
