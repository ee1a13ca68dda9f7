"""The connection form for Airflow before 3.2. Later versions read ``get_provider_info`` themselves."""

from __future__ import annotations

from typing import Any

from airflow_provider_predictions.get_provider_info import get_provider_info


def _form(conn_type: str) -> Any:
    types: Any = get_provider_info()["connection-types"]
    return next(form for form in types if form["connection-type"] == conn_type)


def widgets(conn_type: str) -> dict[str, Any]:
    """The fields of the extra, each with its label and help."""
    from flask_appbuilder.fieldwidgets import BS3TextFieldWidget
    from wtforms import IntegerField, StringField
    from wtforms.validators import Optional

    return {
        # Airflow accepts no field class for other numbers. The hook checks them when it reads the text.
        name: (IntegerField if "integer" in field["schema"]["type"] else StringField)(
            field["label"],
            validators=[Optional()],
            description=field["description"],
            widget=BS3TextFieldWidget(),
        )
        for name, field in _form(conn_type)["conn-fields"].items()
    }


def behaviour(conn_type: str) -> dict[str, Any]:
    """Which standard fields are hidden, and the labels and placeholders of the others."""
    return {key.replace("-", "_"): value for key, value in _form(conn_type)["ui-field-behaviour"].items()}
