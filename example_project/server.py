"""What gunicorn logs of each request. Configured in ``gunicorn.conf.py``."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from gunicorn.glogging import Logger

from example_project.logs import HEADER, ROUTE
from twofa import correlation


class AccessLogger(Logger):
    """Writes the route and not the address, where people's ids, searches and invitations stand."""

    def access(self, resp: Any, req: Any, environ: dict[str, Any], request_time: timedelta) -> None:
        headers = {name.lower(): value for name, value in resp.headers}
        with correlation.bound(headers.get(HEADER.lower(), "")):
            self.access_log.info(
                "%s %s %s %.0f ms %s %s",
                environ.get("REQUEST_METHOD", "-"),
                environ.get(ROUTE) or "-",
                str(resp.status).partition(" ")[0],
                request_time.total_seconds() * 1000,
                environ.get("REMOTE_ADDR", "-"),
                environ.get("HTTP_USER_AGENT", "-")[:200],
            )
