#!/usr/bin/env bash
# Airflow with both connections to the sandbox, which listens on the same loopback interface.
set -euo pipefail
cd "$(dirname "$0")/.."
airflow db migrate
airflow connections import --overwrite docker/connections.json
exec airflow standalone
