"""Flows in this very process, through the WSGI handler: for counting statements and for the profile."""

from __future__ import annotations

import io
import json
from typing import Any

from tests.bench.load import Side, confirmation, order, wrong
from tests.bench.seed import Seeded
from tests.bench.wsgi import application
from tests.statements import record_statements


def statements(contestant: Side, seeded: Seeded, number: int) -> dict[str, list[str]]:
    """Return the statements of each request of one flow with a wrong token, besides transaction control."""
    executed = {}
    with record_statements() as recorded:
        opened = post(contestant, contestant.checkout_path, order(seeded, number))
    executed["checkout"] = recorded.counted
    token = contestant.token_of(opened["id"])
    path = contestant.confirm_path.format(opened["id"])
    for kind, typed in (("wrong confirm", wrong(token)), ("right confirm", token)):
        with record_statements() as recorded:
            post(contestant, path, confirmation(typed))
        executed[kind] = recorded.counted
    return executed


def flow(contestant: Side, seeded: Seeded, number: int, tokens: dict[str, str]) -> None:
    """Run one right confirm of a redemption opened before, and open one more: ``tokens`` holds what is open."""
    pk, token = tokens.popitem()
    post(contestant, contestant.confirm_path.format(pk), confirmation(token))
    post(contestant, contestant.checkout_path, order(seeded, number))


def post(contestant: Side, path: str, body: bytes) -> Any:
    """Send one request to the WSGI application, as gunicorn would, and return the parsed answer."""
    environ = {
        "REQUEST_METHOD": "POST",
        "SCRIPT_NAME": "",
        "PATH_INFO": path,
        "RAW_URI": path,
        "QUERY_STRING": "",
        "SERVER_PROTOCOL": "HTTP/1.1",
        "SERVER_NAME": "127.0.0.1",
        "SERVER_PORT": "80",
        "REMOTE_ADDR": "127.0.0.1",
        "HTTP_HOST": "127.0.0.1",
        "CONTENT_LENGTH": str(len(body)),
        "CONTENT_TYPE": contestant.headers["Content-Type"],
        "wsgi.url_scheme": "http",
        "wsgi.input": io.BytesIO(body),
        "wsgi.errors": io.StringIO(),
        "wsgi.multithread": False,
        "wsgi.multiprocess": True,
        "wsgi.run_once": False,
        "wsgi.version": (1, 0),
        **{f"HTTP_{name.upper().replace('-', '_')}": value for name, value in contestant.headers.items()},
    }
    status: list[str] = []
    response = application(environ, lambda line, headers, *rest: status.append(line))
    text = b"".join(response)
    response.close()
    if status[0][:3] not in {"200", "201", "422"}:
        raise RuntimeError(f"{path}: {status[0]}: {text.decode(errors='replace')}")
    return json.loads(text)
