"""The connection forms as people see them, and the button that tests what they saved."""

from __future__ import annotations

import pytest
from playwright.sync_api import Locator, Page, expect
from stack import body_of

from airflow_provider_predictions.get_provider_info import get_provider_info
from airflow_provider_predictions.sandbox import app
from tests.ui.conftest import WIDTH

pytestmark = [pytest.mark.airflow, pytest.mark.browser]

FORMS = {form["connection-type"]: form for form in get_provider_info()["connection-types"]}


def add(page: Page, service_name: str, conn_id: str) -> Locator:
    """Open the form of a type that is chosen by its name."""
    title = FORMS[service_name]["hook-name"]
    page.goto("/connections")
    page.get_by_role("button", name="Add Connection").click()
    form = page.get_by_role("dialog")
    form.get_by_label("Connection ID").fill(conn_id)
    form.get_by_role("combobox", name="Connection Type").fill(title)
    page.get_by_role("option", name=title, exact=True).click()
    expect(form.get_by_label("Base URL")).to_be_visible()
    return form


def save(page: Page, form: Locator, toast: str) -> None:
    form.get_by_role("button", name="Save").click()
    expect(page.get_by_role("status").filter(has_text=toast)).to_be_visible()
    expect(form).to_have_count(0)


def press(page: Page, conn_id: str, button: str) -> None:
    """Press a button of a connection's row in the list."""
    cell = page.get_by_role("cell", name=conn_id, exact=True)
    page.get_by_role("row").filter(has=cell).get_by_role("button", name=button).click()


def told(page: Page, conn_id: str, outcome: str) -> Locator:
    """What the test of a connection says."""
    page.goto("/connections")
    press(page, conn_id, "Test Connection")
    toast = page.get_by_role("status").filter(has_text=f"Test Connection {outcome}")
    expect(toast).to_be_visible()
    return toast


def test_a_form_has_labels_placeholders_and_help(page, picture, service_name: str) -> None:
    page.set_viewport_size({"width": WIDTH, "height": 1600})
    fields, extras = FORMS[service_name]["ui-field-behaviour"], FORMS[service_name]["conn-fields"]

    form = add(page, service_name, f"{service_name}_default")
    form.get_by_label("Connection ID").focus()

    for name, label in fields["relabeling"].items():
        expect(form.get_by_label(label, exact=True)).to_have_attribute("name", name)
    for name, placeholder in fields["placeholders"].items():
        expect(form.locator(f"[name={name}]")).to_have_attribute("placeholder", placeholder)
    for name in fields["hidden-fields"]:
        expect(form.locator(f"[name={name}]")).to_have_count(0)
    picture(f"{service_name}-connection", form)

    form.get_by_role("button", name="Extra Fields", exact=True).click()

    for field in extras.values():
        expect(form.get_by_text(field["label"], exact=True)).to_be_visible()
        expect(form.get_by_text(field["description"], exact=True)).to_be_visible()


def test_a_saved_connection_works_and_keeps_its_secret_when_it_is_edited(
    page, picture, airflow, server, service_name: str
) -> None:
    conn_id, fields = f"my_{service_name}", server.connection(service_name)
    secret = FORMS[service_name]["ui-field-behaviour"]["relabeling"]["password"]

    form = add(page, service_name, conn_id)
    form.get_by_label("Base URL").fill(fields["host"])
    form.get_by_label(secret).fill(fields["password"])
    form.get_by_label("Port").fill(str(server.port))
    if service_name == "cradl":
        form.get_by_label("Client id").fill(app.CLIENT_ID)
    form.get_by_role("button", name="Extra Fields", exact=True).click()
    for name, value in fields.get("extra", {}).items():
        form.locator(f"#element_{name}").fill(value)
    form.get_by_role("spinbutton", name="Timeout (s)").fill("45")
    save(page, form, "successfully created")
    press(page, conn_id, "Edit Connection")

    form = page.get_by_role("dialog")
    expect(form.get_by_label("Base URL")).to_have_value(fields["host"])
    expect(form.get_by_label(secret)).to_have_value("***")
    form.get_by_label("Description").fill("invoices")
    form.get_by_role("button", name="Extra Fields", exact=True).click()
    expect(form.get_by_role("spinbutton", name="Timeout (s)")).to_have_value("45")
    save(page, form, "successfully updated")

    assert airflow.get(f"/connections/{conn_id}")["description"] == "invoices"
    title = FORMS[service_name]["hook-name"]
    page.set_viewport_size({"width": WIDTH, "height": 600})
    toast = told(page, conn_id, "Successful")
    expect(toast).to_contain_text(f"{title} accepts the credentials; predictions in its list: 60, the newest")
    picture(f"{service_name}-connection-test", height=600)


WRONG = [
    ("vlmrun", {"password": "wrong-one"}, "Check API key (password)"),
    ("vlmrun", {"host": "{url}/nowhere"}, "answered 404 to GET /nowhere/predictions. Check Base URL (host)"),
    ("vlmrun", {"host": "https://nowhere.invalid"}, "did not answer at nowhere.invalid"),
    ("vlmrun", {"host": "api.vlm.run/v1"}, "Base URL (host): has no host; give the whole URL"),
    ("cradl", {"password": "wrong-one"}, "client secret (password)"),
    ("cradl", {"login": "wrong-one"}, "client id (login)"),
    ("cradl", {"host": "{url}/nowhere"}, "answered 404 to GET /nowhere/predictions. Check Base URL (host)"),
    ("cradl", {"extra": {"auth_url": "{url}/nowhere"}}, "(extra auth_url) answered 404: check the URL"),
    ("cradl", {"extra": {"timeout": 0}}, "extra timeout: Input should be greater than 0"),
]


def test_the_test_of_a_wrong_connection_names_the_field(page, airflow, server, subtests) -> None:
    for number, (service, changes, _) in enumerate(WRONG):
        body = body_of(server, service, connection_id=f"wrong_{number}", port=server.port, **changes)
        airflow.post("/connections", {key: at(server.url, value) for key, value in body.items()})

    for number, (service, changes, words) in enumerate(WRONG):
        with subtests.test(service=service, changes=changes):
            toast = told(page, f"wrong_{number}", "Failed")

            expect(toast).to_contain_text(words)
            expect(toast).not_to_contain_text("wrong-one")


def at(url: str, value: object) -> object:
    """A value with the address of the sandbox in it."""
    return value.replace("{url}", url) if isinstance(value, str) else value
