"""Whether Airflow's UI shows reports. The plugin asks, and every process loads it, so this imports little."""

from __future__ import annotations

from airflow.providers.common.compat.sdk import conf
from airflow.providers.common.compat.version_compat import get_base_airflow_version_tuple

ON = ("true", "t", "1", "yes", "y", "on")


def is_shown() -> bool:
    """Whether Airflow's UI shows reports: anything but a word for yes turns them off.

    The API server of 3.1.0 takes no cookie for a page in a frame. Older ones have no tabs of plugins.
    """
    is_able = get_base_airflow_version_tuple() >= (3, 1, 1)
    given = conf.get("predictions", "reports_ui", fallback=ON[0]) or ON[0]
    return is_able and given.partition("#")[0].strip().lower() in ON
