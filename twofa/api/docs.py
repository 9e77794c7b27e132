"""The contract as a document and as a page, and an answer to every path that is not ours.

The page's files are those of drf-spectacular-sidecar, read from the package: no app in ``INSTALLED_APPS``, no
collected static files, no other host's server (OWASP ASVS 3.6.1).
"""

from __future__ import annotations

from functools import cache
from importlib.resources import files
from typing import Any, NoReturn

from django.http import HttpRequest, HttpResponse
from django.template.loader import render_to_string
from rest_framework.request import Request

from twofa.api.base import Endpoint, respond
from twofa.api.negotiation import Negotiation
from twofa.api.schema import document
from twofa.exceptions import NotFound

ASSETS = {
    "swagger-ui.css": "text/css",
    "swagger-ui-bundle.js": "text/javascript",
    "favicon-32x32.png": "image/png",
}
_FOLDER = "static/drf_spectacular_sidecar/swagger-ui-dist"


class Anything(Negotiation):
    """Whatever the browser asks for."""

    def _is_accepted(self, part: str) -> bool:
        return True


class Public(Endpoint):
    """No key is needed: nothing of any storefront is in here."""

    authentication_classes = []
    content_negotiation_class = Anything
    schema = None  # type: ignore[assignment]


class SchemaEndpoint(Public):
    """The OpenAPI document of this very mount."""

    def get(self, request: Request) -> HttpResponse:
        return respond(200, document(request.path.removesuffix("/schema/")))


class DocsEndpoint(Public):
    """Swagger UI."""

    def get(self, request: Request) -> HttpResponse:
        return HttpResponse(render_to_string("twofa/docs.html"))


class AssetEndpoint(Public):
    """A file of the page."""

    def get(self, request: Request, name: str) -> HttpResponse:
        if name == "start.js":
            return HttpResponse(render_to_string("twofa/docs.js"), content_type="text/javascript")
        if name not in ASSETS:
            raise NotFound
        return HttpResponse(_asset(name), content_type=ASSETS[name])


class NothingHereEndpoint(Public):
    """Every other path below the prefix: our own 404, never the host's page."""

    def http_method_not_allowed(self, request: HttpRequest, *args: Any, **kwargs: Any) -> NoReturn:
        raise NotFound


@cache
def _asset(name: str) -> bytes:
    return files("drf_spectacular_sidecar").joinpath(_FOLDER, name).read_bytes()
