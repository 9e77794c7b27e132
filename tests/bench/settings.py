"""A host that is nothing but fast: no middleware, connections that stay, points that cost nothing.

The floor is served by the same processes under the same settings, so whatever is left here counts for both.
"""

from __future__ import annotations

from tests.settings.base import *  # noqa: F403
from tests.settings.base import DATABASES

DATABASES["default"] |= {"CONN_MAX_AGE": 600}

ROOT_URLCONF = "tests.bench.urls"
MIDDLEWARE = []
TWOFA_FULFILLMENT_BACKEND = "tests.bench.points.FreePoints"
