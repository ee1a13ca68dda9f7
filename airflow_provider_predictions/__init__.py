"""An Apache Airflow provider for the predictions of VLM Run and Cradl."""

from importlib.metadata import version

__version__ = version("airflow-provider-predictions")
