"""What the services say: requests, answers, records, errors. Never imports Airflow."""
