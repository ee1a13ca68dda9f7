"""What the services say: requests, answers, records, errors. Never imports Airflow."""

from airflow_provider_predictions.api.http.logs import keep_secrets_out

keep_secrets_out()
