"""One attempt of a landing: answers with the memory it has before it begins, and with how it ended."""

from __future__ import annotations

import json

import psutil

from soak.worker import answers, land, order


def main() -> None:
    say = answers()
    import pyarrow
    import s3fs
    from airflow.providers.common.compat.sdk import AirflowFailException, ObjectStoragePath

    _ = (pyarrow, s3fs, ObjectStoragePath("file:///").fs)
    told = order()
    print(json.dumps({"before": psutil.Process().memory_info().rss}), file=say)
    try:
        answer = {"manifest": land(**told)}
    except Exception as error:
        is_final = isinstance(error, AirflowFailException)
        answer = {"error": f"{type(error).__name__}: {error}", "fails": is_final}
    print(json.dumps(answer), file=say)


if __name__ == "__main__":
    main()
