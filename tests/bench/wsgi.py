"""What gunicorn serves, and what the profile runs in its own process."""

from __future__ import annotations

from django.core.wsgi import get_wsgi_application

application = get_wsgi_application()
