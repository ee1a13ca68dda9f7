"""What Airflow reads from this package at start. Imports nothing: an error here stops every command."""

INTEGRATIONS = {"vlmrun": ("VLM Run", "https://docs.vlm.run/"), "cradl": ("Cradl", "https://docs.cradl.ai/")}
ICEBERG = "Apache Iceberg"
# The port stays: Airflow 3.3.2 tests no connection without one (apache/airflow #73298).
PORT = "443 (Airflow tests no connection without a port)"
FIELDS = {
    "timeout": {
        "label": "Timeout (s)",
        "description": "Seconds for connecting, and for each read. Default 60. "
        "A whole response may take five times as long.",
        "schema": {"type": ["number", "null"], "exclusiveMinimum": 0, "maximum": 3600},
    },
    "requests_per_minute": {
        "label": "Requests per minute",
        "description": "The most that one process sends. Each running task is a process. Empty: no limit.",
        "schema": {"type": ["integer", "null"], "minimum": 1},
    },
    "max_response_bytes": {
        "label": "Largest response (bytes)",
        "description": "Unpacked. A larger response is an error. Default 268435456.",
        "schema": {"type": ["integer", "null"], "minimum": 1},
    },
    "dashboard_url": {
        "label": "Dashboard URL",
        "description": "The target of a task's link. Empty: the service's own dashboard.",
        "schema": {"type": ["string", "null"], "format": "url"},
    },
}
VLMRUN = {
    "connection-type": "vlmrun",
    "hook-class-name": "airflow_provider_predictions.hooks.vlmrun.VlmRunHook",
    "hook-name": "VLM Run",
    "ui-field-behaviour": {
        "hidden-fields": ["login", "schema"],
        "relabeling": {"host": "Base URL", "password": "API key"},
        "placeholders": {
            "host": "https://api.vlm.run/v1",
            "password": "from app.vlm.run, Settings, API keys",
            "port": PORT,
        },
    },
    "conn-fields": FIELDS,
}
CRADL = {
    "connection-type": "cradl",
    "hook-class-name": "airflow_provider_predictions.hooks.cradl.CradlHook",
    "hook-name": "Cradl",
    "ui-field-behaviour": {
        "hidden-fields": ["schema"],
        "relabeling": {"host": "Base URL", "login": "Client id", "password": "Client secret"},
        "placeholders": {
            "host": "https://api.cradl.ai/v1",
            "login": "of an app client, from Cradl's settings, API",
            "password": "of the same app client",
            "port": PORT,
        },
    },
    "conn-fields": {
        # No name here may contain "token": Airflow would mask the value.
        "auth_url": {
            "label": "Token endpoint",
            "description": "Default https://auth.cradl.ai/oauth2/token",
            "schema": {"type": ["string", "null"], "format": "url"},
        },
        "audience": {
            "label": "Audience",
            "description": "What the token is for. Default https://api.cradl.ai/v1",
            "schema": {"type": ["string", "null"]},
        },
        "file_hosts": {
            "label": "File hosts",
            "description": "Hosts of fileUrl that get the token, comma-separated. Default files.api.cradl.ai",
            "schema": {"type": ["string", "null"]},
        },
        **FIELDS,
    },
}
OPTIONS = {
    "reports_ui": {
        "description": "Whether Airflow's UI shows reports: a tab and a page. Set it on "
        "the API server and the workers alike. Needs Airflow 3.1.1.",
        "version_added": "0.1.0",
        "type": "boolean",
        "example": None,
        "default": "True",
    },
    "report_roots": {
        "description": "URLs below which the API server reads reports, separated by commas. "
        "Empty: wherever its connections reach.",
        "version_added": "0.1.0",
        "type": "string",
        "example": "s3://aws_default@bucket/reports",
        "default": "",
    },
}


def get_provider_info() -> "dict[str, object]":
    """The provider's name, connection types with their forms, and modules."""
    return {
        "package-name": "airflow-provider-predictions",
        "name": "Predictions",
        "description": "Wait for, list and land the predictions of VLM Run and Cradl.",
        "integrations": [
            *(
                {"integration-name": name, "external-doc-url": url, "tags": ["service"]}
                for name, url in INTEGRATIONS.values()
            ),
            {
                "integration-name": ICEBERG,
                "external-doc-url": "https://iceberg.apache.org/",
                "tags": ["apache"],
            },
        ],
        "hooks": _modules("hooks"),
        "operators": [
            *_modules("operators", "report"),
            {
                "integration-name": ICEBERG,
                "python-modules": ["airflow_provider_predictions.operators.iceberg"],
            },
        ],
        "sensors": _modules("sensors"),
        "triggers": _modules("triggers"),
        "extra-links": [
            "airflow_provider_predictions.tasks.base.DashboardLink",
            "airflow_provider_predictions.operators.lineage.ManifestLink",
            "airflow_provider_predictions.operators.lineage.ReportLink",
        ],
        "config": {"predictions": {"description": "Reports in Airflow's UI.", "options": OPTIONS}},
        "connection-types": [VLMRUN, CRADL],
    }


def _modules(kind: str, *of_both: str) -> "list[dict[str, object]]":
    paths = f"airflow_provider_predictions.{kind}."
    return [
        {"integration-name": name, "python-modules": [paths + module for module in (own, *of_both)]}
        for own, (name, _) in INTEGRATIONS.items()
    ]
