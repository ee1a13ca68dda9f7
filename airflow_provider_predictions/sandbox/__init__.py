"""Both services on localhost, for people and tests without an account.

``python -m airflow_provider_predictions.sandbox`` serves people; ``Sandbox`` is the same for tests.
"""
