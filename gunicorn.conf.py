"""gunicorn reads this by itself. ``WEB_CONCURRENCY``: how many processes; ``WEB_THREADS``: how many threads in each."""

from __future__ import annotations

import os

from example_project.logs import configured

bind = f"{os.environ.get('BIND', '127.0.0.1')}:{os.environ.get('PORT', '8000')}"
worker_class = "gthread"
# More than SHOP_API_CALLS: where the shop calls its own server, each page of it holds one thread and waits for another.
threads = int(os.environ.get("WEB_THREADS", "16"))
# Seconds. Above the slowest request, below the load balancer's limit.
timeout = 30
graceful_timeout = 30
keepalive = 5
# It is controlled by signals alone, and the socket would need a home directory, which the image does not have.
control_socket_disable = True
# Restart workers regularly to bound leaks.
max_requests = 20_000
max_requests_jitter = 2_000

_logging = configured(style=os.environ.get("LOG_FORMAT") or "json", level=os.environ.get("LOG_LEVEL") or "INFO")
_own = {"handlers": ["console"], "level": "INFO", "propagate": False}
logger_class = "example_project.server.AccessLogger"
logconfig_dict = {**_logging, "loggers": {"gunicorn.error": _own, "gunicorn.access": _own}}
