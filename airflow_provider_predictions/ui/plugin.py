"""The plugin. Every process of Airflow loads it, so it imports little until the API server asks."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlsplit

from airflow.providers.common.compat.sdk import AirflowPlugin, conf

from airflow_provider_predictions.operators.reports_ui import is_shown

PREFIX = "/predictions"
# Airflow before 3.3.1 loads no bundle from a relative URL.
_BASE_PATH = urlsplit(conf.get("api", "base_url", fallback="") or "").path.rstrip("/")
# All other URLs are relative to the UI's address, which may have a path.
_ICONS = {"icon": "predictions/icon.svg", "icon_dark_mode": "predictions/icon-dark.svg"}
_TAB = {
    "name": "Prediction report",
    "bundle_url": f"{_BASE_PATH}{PREFIX}/tab.js",
    "destination": "task_instance",
    "url_route": "prediction-report",
    **_ICONS,
}
_LIST = {
    "name": "Prediction reports",
    "href": "predictions/reports",
    "destination": "nav",
    "category": "browse",
    "url_route": "prediction-reports",
    **_ICONS,
}


class PredictionsPlugin(AirflowPlugin):
    """Show reports in Airflow's UI: a tab of task instances, and a page with the newest ones.

    Needs Airflow 3.1.1. ``[predictions] reports_ui = False`` turns it off.
    """

    name = "predictions"
    react_apps = [_TAB] if is_shown() else []
    external_views = [_LIST] if is_shown() else []

    @property
    def fastapi_apps(self) -> list[Any]:  # type: ignore[override]
        """The app that serves the pages. Only the API server asks."""
        if not is_shown():
            return []
        from airflow_provider_predictions.ui.app import app

        return [{"app": app, "url_prefix": PREFIX, "name": "predictions"}]
