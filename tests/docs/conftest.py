"""The documentation is written for the newest Airflow that is supported, and tried out with no other."""

from __future__ import annotations

from importlib.metadata import version

if tuple(map(int, version("apache-airflow").split(".")[:2])) < (3, 3):
    collect_ignore_glob = ["test_*.py"]
