"""Many landings at once: as threads of this process, or as processes forked from it, as a worker's are."""

from __future__ import annotations

import json
from concurrent.futures import Executor, ProcessPoolExecutor, ThreadPoolExecutor
from functools import partial
from multiprocessing import get_context
from typing import Any

from soak.worker import answers, land, order

MOST_ATTEMPTS = 5


def main() -> None:
    say = answers()
    from airflow.providers.common.compat.sdk import ObjectStoragePath

    # Airflow looks for the file systems of all providers when the first one is asked for.
    _ = ObjectStoragePath("file:///").fs
    told = order()
    tasks = range(told.pop("tasks"))
    with pool(told.pop("processes"), len(tasks)) as executor:
        print(json.dumps(list(executor.map(partial(task, told), tasks))), file=say)


def pool(processes: bool, size: int) -> Executor:
    """Where as many tasks as it is large run at once."""
    if processes:
        return ProcessPoolExecutor(size, mp_context=get_context("fork"))
    return ThreadPoolExecutor(size)


def task(arguments: dict[str, Any], number: int) -> dict[str, Any]:
    """A task with its retries: the manifest, or what was wrong, and the number of attempts."""
    from airflow.providers.common.compat.sdk import AirflowFailException

    path = f"{arguments['path']}/{number:02}"
    for attempt in range(1, MOST_ATTEMPTS + 1):
        try:
            manifest = land(**arguments | {"path": path, "run": f"soak {number}", "attempt": attempt})
        except AirflowFailException as error:
            return {"attempts": attempt, "error": str(error)}
        except Exception as error:
            answer = {"attempts": attempt, "error": f"{type(error).__name__}: {error}"}
        else:
            return {"attempts": attempt, "manifest": manifest}
    return answer


if __name__ == "__main__":
    main()
