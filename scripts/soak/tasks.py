"""Many landings at once, as threads of this process or as processes that it forks, as a worker does."""

from __future__ import annotations

import json
from concurrent.futures import Executor, ProcessPoolExecutor, ThreadPoolExecutor
from functools import partial
from multiprocessing import get_context
from typing import Any

from soak.worker import land, order, results

MOST_ATTEMPTS = 5


def main() -> None:
    stream = results()
    from airflow.providers.common.compat.sdk import ObjectStoragePath

    # With the first file system, Airflow loads those of all providers.
    _ = ObjectStoragePath("file:///").fs
    given = order()
    tasks = range(given.pop("tasks"))
    with pool(given.pop("processes"), len(tasks)) as executor:
        print(json.dumps(list(executor.map(partial(task, given), tasks))), file=stream)


def pool(processes: bool, size: int) -> Executor:
    """An executor that runs ``size`` tasks at once."""
    if processes:
        return ProcessPoolExecutor(size, mp_context=get_context("fork"))
    return ThreadPoolExecutor(size)


def task(arguments: dict[str, Any], number: int) -> dict[str, Any]:
    """Run a task with its retries; returns the manifest or the error, and the number of attempts."""
    from airflow.providers.common.compat.sdk import AirflowFailException

    path = f"{arguments['path']}/{number:02}"
    for attempt in range(1, MOST_ATTEMPTS + 1):
        try:
            manifest = land(**arguments | {"path": path, "run": f"soak {number}", "attempt": attempt})
        except AirflowFailException as error:
            return {"attempts": attempt, "error": str(error)}
        except Exception as error:
            result = {"attempts": attempt, "error": f"{type(error).__name__}: {error}"}
        else:
            return {"attempts": attempt, "manifest": manifest}
    return result


if __name__ == "__main__":
    main()
