"""The client of both services: requests, responses, records, errors. It runs without Airflow."""

from airflow_provider_predictions.api.http.redaction import keep_secrets_out

keep_secrets_out()
