"""Both services, without a server."""

from __future__ import annotations

import pytest

from airflow_provider_predictions.api.cradl import Cradl
from airflow_provider_predictions.api.http.auth import BearerAuth
from airflow_provider_predictions.api.vlmrun import VlmRun

VLMRUN = VlmRun("https://vlmrun.test/v1", BearerAuth("key"))
CRADL = Cradl("https://cradl.test/v1", BearerAuth("key"))
SERVICES = pytest.mark.parametrize("service", [VLMRUN, CRADL], ids=lambda service: service.name)
"""Each in turn."""
