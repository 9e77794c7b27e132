"""``python -m example_project.probe``: does the web server of this machine answer? For containers' health checks."""

from __future__ import annotations

import http.client
import os
import sys

_SECONDS = 3.0


def answers(path: str = "/health/live/") -> bool:
    """Send a ``Host`` that ``ALLOWED_HOSTS`` has, as the proxy would."""
    host = os.environ.get("ALLOWED_HOSTS", "localhost").split(",")[0].strip().lstrip(".*") or "localhost"
    connection = http.client.HTTPConnection("127.0.0.1", int(os.environ.get("PORT", "8000")), timeout=_SECONDS)
    try:
        connection.request("GET", path, headers={"Host": host})
        return connection.getresponse().status == http.HTTPStatus.OK
    except OSError:
        return False
    finally:
        connection.close()


if __name__ == "__main__":
    sys.exit(0 if answers() else 1)
