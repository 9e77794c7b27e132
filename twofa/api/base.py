"""The view under every view: who calls, in which language, under which correlation id, and every error as a problem.

Everything that DRF would take from a host's ``REST_FRAMEWORK`` is set here, so that no host can loosen it by accident.
"""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable, Mapping
from typing import Any, cast
from uuid import UUID

from django.db import transaction  # noqa: TID251 - only to stay out of the transactions of the host
from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.utils.cache import patch_vary_headers
from django.utils.decorators import method_decorator
from django.utils.translation import gettext_lazy as _
from django.views.decorators.debug import sensitive_variables
from rest_framework.authentication import BaseAuthentication
from rest_framework.request import Request
from rest_framework.settings import DEFAULTS, IMPORT_STRINGS, APISettings
from rest_framework.throttling import BaseThrottle
from rest_framework.views import APIView

from twofa import correlation
from twofa.api import errors, languages, operations
from twofa.api.authentication import StorefrontAuthentication
from twofa.api.fields import Input
from twofa.api.links import NOWHERE, Links
from twofa.api.negotiation import AnswerRenderer, Negotiation
from twofa.api.operations import ANY
from twofa.api.parsing import StrictJSONParser
from twofa.api.schema import Schema
from twofa.api.throttling import StorefrontThrottle
from twofa.conf import conf
from twofa.exceptions import Invalid, NotFound, ScopeMissing, TwoFactorError, forget_variables
from twofa.flows import idempotency
from twofa.flows.history import Actor
from twofa.flows.storefronts import Caller
from twofa.models import Storefront

logger = correlation.get_logger(__name__)

JSON = "application/json"
# Lower case only, as we write ids: an Idempotency-Key belongs to a path, and the same id in capitals is another path.
_UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}\Z")
_encode = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"), allow_nan=False).encode
_IDEMPOTENCY_KEY = re.compile(r"[\x20-\x7e]{1,255}\Z")


# Whatever ATOMIC_REQUESTS says: a transaction around the view would roll the charged attempt back with the refusal.
@method_decorator(transaction.non_atomic_requests, name="dispatch")
class Endpoint(APIView):
    """A view of ours: parse, one flow call, present."""

    authentication_classes = [StorefrontAuthentication]
    permission_classes = []
    renderer_classes = [AnswerRenderer]
    parser_classes = [StrictJSONParser]
    throttle_classes = []
    content_negotiation_class = Negotiation
    metadata_class = None
    versioning_class = None
    schema = Schema()
    # Not empty, because an empty one would make DRF read the host's settings after all.
    settings = APISettings(cast(Any, {"FORMAT_SUFFIX_KWARG": None}), DEFAULTS, IMPORT_STRINGS)
    http_method_names = ["get", "post", "put", "patch", "delete", "head"]

    links: Links = NOWHERE
    """Where the next action of an error leads; a handler sets it once it knows what it is about."""
    problem_code = ""
    route = ""
    scope = ""
    """The part of the API that a path belongs to, or ``ANY``. Where none is said, nobody passes."""

    # Whatever raises below, the reports of Django and of those that read its mark show none of our variables: typed
    # tokens, seeds and keys pass through a dozen frames of ours, of the driver's and of the host's.
    @sensitive_variables()
    def dispatch(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        started = time.perf_counter()
        # And a token that was sent as a form, which no parser of ours reads.
        request.sensitive_post_parameters = "__ALL__"  # type: ignore[attr-defined]
        meta = request.META
        correlation_id = correlation.current() or correlation.accept(meta.get("HTTP_X_CORRELATION_ID"))
        with (
            correlation.bound(correlation_id),
            languages.activated(meta.get("HTTP_ACCEPT_LANGUAGE", "")) as language,
        ):
            response = super().dispatch(request, *args, **kwargs)
            response["X-Correlation-Id"] = correlation_id
            response["Content-Language"] = language
            response["Cache-Control"] = "no-store"
            patch_vary_headers(response, ("Accept-Language",))
            self._log(request, response, time.perf_counter() - started)
        return response

    def _log(self, request: HttpRequest, response: HttpResponseBase, seconds: float) -> None:
        """Write one line of access: the route and never the path, so that neither ids nor what they name are in it."""
        match = request.resolver_match
        route = match.route if match is not None else ""
        logger.info(
            "%s %s %d %s %.1f ms",
            request.method,
            route,
            response.status_code,
            self.problem_code or "-",
            seconds * 1000,
            extra={"route": route, "status": response.status_code, "code": self.problem_code},
        )

    def get_format_suffix(self, **kwargs: Any) -> None:
        return None

    @property
    def default_response_headers(self) -> dict[str, str]:
        return {}

    def get_authenticators(self) -> list[BaseAuthentication]:
        """Return the host's choice, where a path asks who calls at all."""
        return [conf.api_authentication()] if self.authentication_classes else []

    def check_permissions(self, request: Request) -> None:
        """Refuse credentials of another part of the API, before anything is read. Raises: ScopeMissing, NotFound."""
        if not self.authentication_classes:
            return
        if self.caller.participant is not None:
            self._check_participant()
        elif self.scope not in (ANY, *self.caller.scopes):
            raise ScopeMissing(scope=str(self.scope))

    def _check_participant(self) -> None:
        """Let a participant's own app call what says that it is for participants, and nothing else: the rest is 404.

        What is added later is closed to them until somebody opens it (OWASP ASVS 8.2.1).
        """
        described = operations.of(getattr(self, str(self.request.method).lower().replace("head", "get"), None))
        if described is None or not described.for_participants:
            raise NotFound

    def get_throttles(self) -> list[BaseThrottle]:
        return [StorefrontThrottle()] if conf.throttle_rates else []

    @property
    def caller(self) -> Caller:
        """Return who calls: from the key or access token, and from nothing else (OWASP ASVS 8.3.3)."""
        return cast(Caller, self.request.auth)

    @property
    def storefront(self) -> Storefront:
        """Return the storefront that calls, or by way of which a participant does."""
        return self.caller.storefront

    @property
    def actor(self) -> Actor:
        """Return who calls, for the audit trail."""
        participant = self.caller.participant
        return Actor.storefront(self.storefront) if participant is None else Actor.participant(participant)

    def handle_exception(self, exc: Exception) -> HttpResponse:  # type: ignore[override]
        """Answer an error as a problem. DRF's own handler would mark the host's transaction for rollback."""
        problem = errors.describe(exc, self.links)
        self.problem_code = problem.code
        if problem.status >= 500:
            forget_variables(exc)
        if problem.code == "internal_error":
            logger.error("unexpected %s", type(exc).__name__, exc_info=exc)
        elif problem.status >= 500:
            logger.warning("unavailable: %s", type(exc).__name__)
        response = _write(problem.status, problem.body(correlation.current()), errors.MEDIA_TYPE, problem.headers)
        if problem.code == "method_not_allowed":
            response["Allow"] = ", ".join(self.allowed_methods)
        return response

    def read(self, request: Request, form: Input) -> dict[str, Any]:
        """Return the members of the body. Raises: Invalid, errors.Malformed, errors.UnsupportedMediaType."""
        return form.read(self.body(request))

    def body(self, request: Request) -> dict[str, Any]:
        """Return the parsed body; none at all is an empty object."""
        meta = request._request.META
        if meta.get("HTTP_TRANSFER_ENCODING") and not meta.get("CONTENT_LENGTH"):
            # Django does not read such a body: the request would be taken for one without members.
            raise errors.Malformed("length_required", _("Send the body with a Content-Length."))
        data = request.data
        # A form that a host's middleware has read already arrives here as DRF's empty QueryDict.
        if type(data) is not dict:
            if meta.get("CONTENT_LENGTH") not in (None, "", "0"):
                raise errors.UnsupportedMediaType
            return {}
        return data

    def once(
        self, request: Request, call: Callable[[], HttpResponse], asked: Mapping[str, Any] | None = None
    ) -> HttpResponse:
        """Answer by ``call``, or with the first answer to this ``Idempotency-Key``.

        ``asked`` is what makes two requests the same one, where that is not their JSON body.

        Raises: Invalid, IdempotencyKeyReused, IdempotencyInProgress.
        """
        key = request._request.META.get("HTTP_IDEMPOTENCY_KEY")
        if key is None:
            return call()
        if not _IDEMPOTENCY_KEY.match(key):
            raise Invalid.field("Idempotency-Key", "invalid", _("Give 1 to 255 printable ASCII characters."))
        answer, replayed = idempotency.run(
            lambda: self._answer(call),
            storefront=self.storefront,
            path=request.path,
            key=key,
            body=self.body(request) if asked is None else asked,
        )
        response = HttpResponse(answer.body, status=answer.status, content_type=answer.content_type)
        if replayed:
            response["Idempotency-Replayed"] = "true"
        return response

    def _answer(self, call: Callable[[], HttpResponse]) -> idempotency.Answer:
        """Return what is stored of an answer. A refusal that is no verdict is raised, and leaves the key free."""
        try:
            response = call()
        except TwoFactorError as error:
            if not errors.describe(error, self.links).is_verdict:
                raise
            response = self.handle_exception(error)
        content_type = response["Content-Type"]
        return idempotency.Answer(response.status_code, response.content.decode(), content_type, stored=True)


def respond(status: int, body: Mapping[str, Any]) -> HttpResponse:
    """Return an answer as JSON."""
    return _write(status, body, JSON, {})


def parse_id(text: str) -> UUID:
    """Return an id of a path. Raises: NotFound, because a malformed id is one that does not exist."""
    if not _UUID.match(text):
        raise NotFound
    return UUID(text)


def _write(status: int, body: Mapping[str, Any], content_type: str, headers: Mapping[str, str]) -> HttpResponse:
    return HttpResponse(_encode(body), status=status, content_type=content_type, headers=dict(headers))
