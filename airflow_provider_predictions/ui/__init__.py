"""What Airflow's web UI shows of reports. Nothing else of the package imports it."""
