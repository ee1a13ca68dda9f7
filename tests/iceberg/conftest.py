"""Tables are tried out where the extra is installed: with the newest Airflow."""

from __future__ import annotations

from importlib.util import find_spec

if find_spec("pyiceberg"):
    from tests.iceberg.catalogs import catalog, landed, remote, rest

    __all__ = ["catalog", "landed", "remote", "rest"]
else:
    collect_ignore_glob = ["test_*.py"]
