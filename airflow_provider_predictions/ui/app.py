"""Reports that tasks recorded, for users who may see their XComs.

An app of a plugin inherits nothing from Airflow's: it checks each request itself. Its functions are
synchronous, since they wait for the database and the storage.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import jinja2
from airflow.api_fastapi.app import get_auth_manager
from airflow.api_fastapi.auth.managers.models.resource_details import DagAccessEntity, DagDetails
from airflow.api_fastapi.common.db.common import SessionDep
from airflow.api_fastapi.core_api.security import GetUserDep, get_user, requires_access_dag
from airflow.models.dag import DagModel
from airflow.models.xcom import XComModel
from airflow.providers.common.compat.sdk import conf
from fastapi import Depends, FastAPI, HTTPException, Request, Response
from fastapi.responses import HTMLResponse
from sqlalchemy import func, select
from starlette.exceptions import HTTPException as AnyHTTPException

from airflow_provider_predictions.api.limits import MAX_REPORTS, MAX_VERDICT_LENGTH
from airflow_provider_predictions.operators.report_record import KEY, page_path
from airflow_provider_predictions.ui.recorded import Refused, content_of, record_of

# allow-same-origin lets the links to the CSV files send the cookie. Without allow-scripts nothing can use it.
GRANTS = "allow-same-origin allow-downloads allow-popups allow-popups-to-escape-sandbox"
HEADERS = {
    "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; img-src data:; "
    f"base-uri 'none'; form-action 'none'; frame-ancestors 'self'; sandbox {GRANTS}",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cache-Control": "private, no-store",
}
MEDIA_TYPES = {"html": "text/html", "csv": "text/csv", "json": "application/json"}
TITLES = {401: "Not signed in", 403: "Not allowed", 404: "No report", 409: "Not shown", 413: "Too large"}
# The UI looks for a global of the plugin's name first, then for this one. The frame is our own, since links
# and downloads do not work in that of an external view.
TAB = f"""globalThis.AirflowPlugin = ({{dagId, runId, taskId, mapIndex}}) => React.createElement("iframe", {{
  title: "Report", sandbox: "{GRANTS}", style: {{border: 0, width: "100%", height: "100%", display: "block"}},
  src: "predictions/report/" + [dagId, runId, taskId, mapIndex ?? "-1"].map(encodeURIComponent).join("/")
    + "/report.html"}});
"""
ICON = (
    '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 16 16" fill="{}">'
    '<path d="M1 9h3v6H1zm5-5h3v11H6zm5-3h3v14h-3z"/></svg>'
)
_TEMPLATE = jinja2.Environment(autoescape=True, trim_blocks=True, lstrip_blocks=True).from_string(
    Path(__file__).with_name("page.html.j2").read_text(encoding="utf-8")
)

# Without URLs of None, FastAPI serves its documentation to anybody.
app = FastAPI(openapi_url=None, docs_url=None, redoc_url=None, dependencies=[Depends(get_user)])


def _page(title: str, text: str, rows: Sequence[dict[str, Any]] = (), status: int = 200) -> HTMLResponse:
    # A record of a user may hold half of a surrogate pair.
    page = _TEMPLATE.render(title=title, text=text, rows=rows).encode("utf-8", "replace")
    return HTMLResponse(page, status, HEADERS)


@app.exception_handler(AnyHTTPException)
def show_refusal(_: Request, error: AnyHTTPException) -> HTMLResponse:
    """A page instead of JSON: people see it in a tab."""
    return _page(TITLES.get(error.status_code, "Error"), str(error.detail), status=error.status_code)


@app.get("/tab.js")
def tab() -> Response:
    """The tab of a task instance."""
    return Response(TAB, media_type="text/javascript", headers={"Cache-Control": "private, max-age=3600"})


@app.get("/icon.svg")
def icon() -> Response:
    """The icon of the tab and of the list."""
    return _icon("#1c2733")


@app.get("/icon-dark.svg")
def dark_icon() -> Response:
    """The icon for dark mode."""
    return _icon("#e3e9f0")


def _icon(ink: str) -> Response:
    headers = {"Cache-Control": "private, max-age=86400"}
    return Response(ICON.format(ink), media_type="image/svg+xml", headers=headers)


# The DAG must be in the path: requires_access_dag looks for it there.
@app.get(
    "/report/{dag_id}/{run_id:path}/{task_id}/{map_index}/{name}",
    dependencies=[Depends(requires_access_dag("GET", DagAccessEntity.XCOM))],
)
def report(
    dag_id: str, run_id: str, task_id: str, map_index: str, name: str, session: SessionDep
) -> Response:
    """A file of the report that a task instance recorded."""
    # The UI leaves the placeholder of the map index as it is for a task that is not mapped.
    index = int(map_index) if re.fullmatch(r"-?\d{1,9}", map_index, re.ASCII) else -1
    query = XComModel.get_many(
        run_id=run_id, key=KEY, dag_ids=dag_id, task_ids=task_id, map_indexes=index, limit=1
    )
    found: Any = session.scalars(query).first()
    value = found.value if found else None
    session.close()  # not held while the storage is slow
    if value is None:
        raise HTTPException(404, "This task instance has recorded no report.")
    record = record_of(value)
    if record is None:
        raise HTTPException(404, "What this task instance recorded cannot be read here.")
    roots = [root.strip() for root in conf.get("predictions", "report_roots", fallback="").split(",")]
    try:
        content = content_of(record, [dag_id, run_id, task_id, index], name, [r for r in roots if r])
    except Refused as refused:
        raise HTTPException(refused.status, refused.reason) from None
    media_type = MEDIA_TYPES[name.rpartition(".")[2]]
    return Response(content, media_type=f"{media_type}; charset=utf-8", headers=HEADERS)


@app.get("/reports")
def reports(user: GetUserDep, session: SessionDep) -> Response:
    """The newest report of each task whose XComs the user may see."""
    row = XComModel
    recorded = session.scalars(select(row.dag_id).where(row.key == KEY).distinct()).all()
    # Before the limit, so that the list neither hides a report behind others' nor tells how many there are.
    allowed = [dag_id for dag_id in recorded if _may_see(user, dag_id)]
    task = (row.dag_id, row.task_id, row.map_index)
    rank = func.row_number().over(partition_by=task, order_by=row.timestamp.desc()).label("rank")
    columns = select(*task, row.run_id, row.value, row.timestamp, rank)
    ranked = columns.where(row.key == KEY, row.dag_id.in_(allowed)).subquery()
    newest = select(ranked).where(ranked.c.rank == 1).order_by(ranked.c.timestamp.desc()).limit(MAX_REPORTS)
    rows = [shown for found in session.execute(newest) if (shown := _row(found))]
    text = "" if rows else "There are none that you may see. A report task records one when it has run."
    return _page("Prediction reports", text, rows)


def _may_see(user: Any, dag_id: str) -> bool:
    details = DagDetails(id=dag_id, team_name=DagModel.get_team_name(dag_id))
    entity = DagAccessEntity.XCOM
    return get_auth_manager().is_authorized_dag(
        method="GET", access_entity=entity, user=user, details=details
    )


def _row(found: Any) -> dict[str, Any] | None:
    record = record_of(found.value)
    if record is None:
        return None
    number = f" [{found.map_index}]" if found.map_index >= 0 else ""
    return {
        "task": f"{found.dag_id} · {found.task_id}{number}",
        "url": f"{page_path(found.dag_id, found.run_id, found.task_id, found.map_index)}/report.html",
        "title": record.title[:MAX_VERDICT_LENGTH],
        "is_bad": record.state == "look",
        "verdict": record.verdict[:MAX_VERDICT_LENGTH],
        "made": f"{found.timestamp:%Y-%m-%d %H:%M} UTC",
    }
