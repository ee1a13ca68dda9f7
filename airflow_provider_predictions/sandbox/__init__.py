"""Both services on localhost, without an account: ``python -m airflow_provider_predictions.sandbox``.

In tests, use ``server.Sandbox``.
"""
