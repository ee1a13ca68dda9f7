"""Cradl's own SDK, as a user of it asks for predictions.

python cradl_sdk.py <API endpoint> <token endpoint> <id> <secret> <page size> <an id> <an unfinished one>
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable

from cradl.client import Client
from cradl.credentials import Credentials
from requests import HTTPError

api, auth, client_id, secret, size, one, unfinished = sys.argv[1:]
credentials = Credentials(client_id, secret, auth_endpoint=auth, api_endpoint=api)
client = Client(credentials)


def listed(**how: str) -> list[str]:
    found: list[str] = []
    token = None
    while True:
        page = client.list_predictions(max_results=int(size), next_token=token, **how)
        found += [row["predictionId"] for row in page["predictions"]]
        if not (token := page.get("nextToken")):
            return found


def waited_for(id_: str) -> str:
    """It has no word for this; its users ask until the end."""
    end = time.monotonic() + 30
    while (status := client.get_prediction(id_)["status"]) == "pending" and time.monotonic() < end:
        time.sleep(0.5)
    return status


def error_of(ask: Callable[[], object]) -> str:
    try:
        ask()
    except HTTPError as error:
        return str(error.response.status_code)
    except Exception as error:
        return f"{type(error).__name__}: {error}"
    return "none"


def parsed(token: str) -> object:
    """What its constructor reads of a token that it is given."""
    return Credentials(client_id, secret, auth, api, access_token=token)._token[1] > time.time()


print(
    json.dumps(
        {
            "listed": listed(sort_by="createdTime", order="descending"),
            "oldest first": listed(sort_by="createdTime", order="ascending"),
            "one": client.get_prediction(one),
            "waited for": waited_for(unfinished),
            "no such id": error_of(lambda: client.get_prediction("nothing")),
            "no such path": error_of(lambda: client.get_plan("nothing")),
            "token is a JWT": parsed(credentials.access_token),
        }
    )
)
