"""Both services on localhost, without an account: ``python -m airflow_provider_predictions.sandbox``.

Tests use ``server.Sandbox``.
"""
