"""A host whose REST_FRAMEWORK is at odds with our contract in every way that it can say.

None of it may reach our views: each sets its own.
"""

from __future__ import annotations

from tests.settings.base import *  # noqa: F403
from tests.settings.base import DATABASES, overrides

DATABASES["default"] |= {"TEST": {"NAME": "test_twofa_hostile"}}
TIME_ZONE = "America/Sao_Paulo"

REST_FRAMEWORK = {
    "DEFAULT_AUTHENTICATION_CLASSES": ["rest_framework.authentication.SessionAuthentication"],
    "DEFAULT_PERMISSION_CLASSES": ["rest_framework.permissions.IsAdminUser"],
    "DEFAULT_RENDERER_CLASSES": ["tests.hostile_host.MarkupRenderer"],
    "DEFAULT_PARSER_CLASSES": ["rest_framework.parsers.FormParser"],
    "DEFAULT_CONTENT_NEGOTIATION_CLASS": "tests.hostile_host.DeafNegotiation",
    "DEFAULT_THROTTLE_CLASSES": [
        "rest_framework.throttling.AnonRateThrottle",
        "rest_framework.throttling.UserRateThrottle",
        "rest_framework.throttling.ScopedRateThrottle",
    ],
    "DEFAULT_THROTTLE_RATES": {"anon": "1/day", "user": "1/day"},
    "DEFAULT_PAGINATION_CLASS": "rest_framework.pagination.PageNumberPagination",
    "PAGE_SIZE": 1,
    "DEFAULT_FILTER_BACKENDS": ["rest_framework.filters.SearchFilter"],
    "DEFAULT_VERSIONING_CLASS": "rest_framework.versioning.AcceptHeaderVersioning",
    "DEFAULT_VERSION": "9.9",
    "ALLOWED_VERSIONS": ["9.9"],
    "DEFAULT_METADATA_CLASS": None,
    "DEFAULT_SCHEMA_CLASS": "tests.hostile_host.NoSchema",
    "EXCEPTION_HANDLER": "tests.hostile_host.answer_teapot",
    "NON_FIELD_ERRORS_KEY": "the_whole_thing",
    "COERCE_DECIMAL_TO_STRING": False,
    "COERCE_BIGINT_TO_STRING": True,
    "DATETIME_FORMAT": "%d/%m/%y %Hh%M",
    "DATETIME_INPUT_FORMATS": ["%d/%m/%y"],
    "DATE_FORMAT": "%d/%m/%y",
    "UNICODE_JSON": False,
    "COMPACT_JSON": False,
    "STRICT_JSON": False,
    "URL_FORMAT_OVERRIDE": "status",
    "URL_FIELD_NAME": "id",
    "FORMAT_SUFFIX_KWARG": "campaign",
    "SEARCH_PARAM": "cursor",
    "ORDERING_PARAM": "page_size",
    "VERSION_PARAM": "participant",
    "UNAUTHENTICATED_USER": None,
    "UNAUTHENTICATED_TOKEN": None,
    "NUM_PROXIES": 0,
}

globals().update(overrides())
