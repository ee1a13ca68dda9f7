"""One attempt of a landing. Prints the memory of the process before it begins, and how it ended."""

from __future__ import annotations

import json

import psutil

from soak.worker import land, order, results


def main() -> None:
    stream = results()
    import pyarrow
    import s3fs
    from airflow.providers.common.compat.sdk import AirflowFailException, ObjectStoragePath

    _ = (pyarrow, s3fs, ObjectStoragePath("file:///").fs)
    print(json.dumps({"before": psutil.Process().memory_info().rss}), file=stream)
    try:
        result = {"manifest": land(**order())}
    except Exception as error:
        is_final = isinstance(error, AirflowFailException)
        result = {"error": f"{type(error).__name__}: {error}", "fails": is_final}
    print(json.dumps(result), file=stream)


if __name__ == "__main__":
    main()
