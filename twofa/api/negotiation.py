"""What an answer is written as: JSON, or nothing that we have."""

from __future__ import annotations

from collections.abc import Iterable

from rest_framework.negotiation import DefaultContentNegotiation
from rest_framework.renderers import BaseRenderer
from rest_framework.request import Request

from twofa.api.errors import NotAcceptable

_MOST = 2000


class AnswerRenderer(BaseRenderer):
    """Names the media type, and renders nothing: bodies are written by the views, inside the caller's language."""

    media_type = "application/json"
    format = "json"
    charset = None


class Negotiation(DefaultContentNegotiation):
    """``Accept`` and nothing else: no ``?format=``, no suffix, whatever a host calls them."""

    accepted = frozenset({"*/*", "application/*", "application/json", "application/problem+json"})

    def select_renderer(
        self, request: Request, renderers: Iterable[BaseRenderer], format_suffix: str | None = None
    ) -> tuple[BaseRenderer, str]:
        """Return the one renderer. Raises: NotAcceptable."""
        header = request._request.META.get("HTTP_ACCEPT", "")[:_MOST]
        if header.strip() and not any(self._is_accepted(part) for part in header.split(",")):
            raise NotAcceptable
        renderer = next(iter(renderers))
        return renderer, str(renderer.media_type)

    def _is_accepted(self, part: str) -> bool:
        media_type, *parameters = (piece.strip().lower() for piece in part.split(";"))
        return media_type in self.accepted and not any(_is_refusal(parameter) for parameter in parameters)


def _is_refusal(parameter: str) -> bool:
    """Tell whether a parameter is ``q=0``, by which a caller excludes a media type."""
    name, _equals, value = parameter.partition("=")
    return name.strip() == "q" and value.strip() in {"0", "0.0", "0.00", "0.000"}
