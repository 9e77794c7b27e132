"""The classes that `tests.settings.hostile` names: a host's own ideas of an API."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rest_framework.negotiation import BaseContentNegotiation
from rest_framework.renderers import BaseRenderer
from rest_framework.response import Response
from rest_framework.schemas.inspectors import ViewInspector


class MarkupRenderer(BaseRenderer):
    """Markup, whatever was asked for."""

    media_type = "application/xml"
    format = "xml"

    def render(
        self,
        data: object,
        accepted_media_type: str | None = None,
        renderer_context: Mapping[str, Any] | None = None,
    ) -> bytes:
        return f"<hostile>{type(data).__name__}</hostile>".encode()


class DeafNegotiation(BaseContentNegotiation):
    """Does not listen to `Accept`."""

    def select_parser(self, request: Any, parsers: Any) -> Any:
        return parsers[-1]

    def select_renderer(self, request: Any, renderers: Any, format_suffix: str | None = None) -> Any:
        return renderers[-1], "application/hostile"


class NoSchema(ViewInspector):
    """Knows no operation."""


def answer_teapot(exc: Exception, context: Mapping[str, Any]) -> Response:
    """One answer to every error."""
    return Response({"hostile": True}, status=418)
