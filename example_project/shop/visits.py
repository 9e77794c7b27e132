"""One visit of one page: who comes, what the page may ask the API, and how every refusal ends on a page of its own."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Concatenate, ParamSpec
from urllib.parse import urlencode

from django.conf import settings
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseNotAllowed
from django.shortcuts import redirect, render
from django.urls import reverse
from django.views.decorators.debug import sensitive_post_parameters

from example_project.loyalty import ledger
from example_project.shop import customers, sentences, words
from example_project.shop.client import ApiError, Client, NotConnected, Refused, Unreachable
from example_project.shop.customers import Customer
from example_project.shop.safety import Safety
from example_project.shop.storefront import Storefront
from twofa import correlation

P = ParamSpec("P")

POLICY = (
    "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self'; connect-src 'self'; form-action 'self'; "
    "base-uri 'none'; frame-ancestors 'none'"
)
"""Nothing from elsewhere, nothing inline: a name with markup in it stays a name, even past a forgotten escape."""


@dataclass
class Visit:
    """A request of a visitor, and what its view needs."""

    request: HttpRequest
    correlation_id: str
    customer: Customer | None

    @classmethod
    def of(cls, request: HttpRequest) -> Visit:
        """Begin a visit, under the correlation id of its request."""
        correlation_id = correlation.current() or correlation.accept(request.headers.get("X-Correlation-Id"))
        return cls(request, correlation_id, customers.current(request))

    @property
    def member(self) -> Customer:
        """Return who is signed in. Only for views that ask for it."""
        if self.customer is None:
            raise Http404
        return self.customer

    @property
    def client(self) -> Client:
        """Return the way to the API, in the visitor's language."""
        return Client(words.tag(), self.correlation_id)

    @property
    def api(self) -> Storefront:
        """Return the API, on behalf of the member."""
        return Storefront(self.client, self.member)

    def speak(self) -> None:
        """Have messages written in the language of the page that asks for them."""
        language = words.tag()
        if not customers.is_spoken(self.request, language):
            self.api.speak(language)
            customers.note_spoken(self.request, language)

    def balances(self) -> ledger.Balances:
        """Return the member's points: the programme's own ledger, and not a part of the API."""
        return ledger.balances_of(self.member.campaign, self.member.external_id)

    def render(self, template: str, context: Mapping[str, Any] | None = None, status: int = 200) -> HttpResponse:
        """Return a page, with the notice that was kept for it."""
        kept = customers.take_notice(self.request)
        notice = None if kept is None else sentences.refusal(kept["code"], kept["params"])
        common = {
            "customer": self.customer,
            "unit": "points" if self.customer is None else self.customer.unit,
            "balances": None if self.customer is None else self.balances(),
            "notice": notice,
            "kept_notice": kept,
            "debug": settings.DEBUG,
            "correlation_id": self.correlation_id,
        }
        return render(self.request, template, {**common, **(context or {})}, status=status)

    def go(self, path: str, code: str = "", params: Mapping[str, Any] | None = None) -> HttpResponse:
        """Send the visitor to ``path``, where ``code`` is explained."""
        if code:
            customers.keep_notice(self.request, path, code, params)
        return redirect(path)


View = Callable[Concatenate[Visit, P], HttpResponse]
_KEPT = ("attempts_remaining", "retry_after", "reason")


def params_of(refused: Refused) -> dict[str, Any]:
    """Return what a notice keeps of a refusal: numbers and stable words, nothing that the visitor typed."""
    kept = {name: refused.members[name] for name in _KEPT if name in refused.members}
    errors = refused.members.get("errors") or []
    if refused.code == "invalid" and errors:
        kept |= {"field_code": errors[0].get("code", ""), "detail": errors[0].get("detail", "")}
    return kept


def page(*, public: bool = False) -> Callable[[View[P]], Callable[Concatenate[HttpRequest, P], HttpResponse]]:
    """Make a view of a page that is read: signed in unless ``public``."""
    return _visited(("GET", "HEAD"), public=public, back=None, about=False)


def action(
    *, back: str, public: bool = False, about: bool = True
) -> Callable[[View[P]], Callable[Concatenate[HttpRequest, P], HttpResponse]]:
    """Make a view of a form that is sent: it ends in a redirect, and ``back`` names the page of the form, which is
    ``about`` the same thing, or about all of them.

    Reached by GET (an address typed, a language chosen after an error, a sign-in in between) it leads to that page.
    """
    return _visited(("POST",), public=public, back=back, about=about)


def _visited(
    methods: tuple[str, ...], *, public: bool, back: str | None, about: bool
) -> Callable[[View[P]], Callable[Concatenate[HttpRequest, P], HttpResponse]]:
    def decorate(view: View[P]) -> Callable[Concatenate[HttpRequest, P], HttpResponse]:
        @sensitive_post_parameters("token", "password", "address", "csrfmiddlewaretoken")
        def handle(request: HttpRequest, /, *args: P.args, **kwargs: P.kwargs) -> HttpResponse:
            visit = Visit.of(request)
            with correlation.bound(visit.correlation_id):
                home = None if back is None else reverse(back, kwargs=kwargs if about else {})
                response = _answer(view, visit, methods, home, public, args, kwargs)
            return _seal(response, visit.correlation_id)

        handle.__name__, handle.__module__, handle.__doc__ = view.__name__, view.__module__, view.__doc__
        return handle

    return decorate


def _answer(
    view: Callable[..., HttpResponse],
    visit: Visit,
    methods: tuple[str, ...],
    back: str | None,
    public: bool,
    args: tuple[object, ...],
    kwargs: Mapping[str, object],
) -> HttpResponse:
    request = visit.request
    if request.method not in methods:
        read = request.method in {"GET", "HEAD"}
        return redirect(back) if read and back is not None else HttpResponseNotAllowed(methods)
    if not public:
        away = _turned_away(visit, back)
        if away is not None:
            return away
    try:
        if not public and _has_ended(visit):
            return visit.go(reverse("shop:sign-in"), "signed_out")
        return view(visit, *args, **kwargs)
    except Http404:
        return visit.render("404.html", status=404)
    except ApiError as error:
        return _refused(visit, error, back)


def _turned_away(visit: Visit, back: str | None) -> HttpResponse | None:
    """Send a visitor without a session, or with somebody else's by now, to a page from where they can go on."""
    request = visit.request
    here = back or request.get_full_path()
    if visit.customer is None:
        path = reverse("shop:sign-in")
        if request.method == "POST":
            customers.keep_notice(request, path, "signed_out")
        return redirect(f"{path}?{urlencode({'next': here})}")
    if request.method == "POST" and request.POST.get("member") != visit.customer.key:
        # A tab of the member before: what was typed there was meant for them.
        return visit.go(reverse("shop:front"), "other_member")
    return None


def _has_ended(visit: Visit) -> bool:
    """Tell whether the member was signed out elsewhere: by themselves, by staff, by a new password, or by time."""
    session = visit.member.session
    if not session or not customers.is_due(visit.request):
        return False
    if any(row["id"] == session for row in Safety(visit.api).sessions()):
        customers.note_seen(visit.request)
        return False
    customers.sign_out(visit.request)
    visit.customer = None
    return True


def _refused(visit: Visit, error: ApiError, back: str | None) -> HttpResponse:
    if back is None and isinstance(error, Refused) and error.code == "not_found":
        return visit.render("404.html", status=404)
    if back is not None and not isinstance(error, NotConnected):
        code, params = (error.code, params_of(error)) if isinstance(error, Refused) else ("unreachable", {})
        return visit.go(back, code, params)
    code = error.code if isinstance(error, Refused) else "unavailable"
    sentence = sentences.refusal(code, params_of(error) if isinstance(error, Refused) else {})
    context = {"sentence": sentence, "not_connected": isinstance(error, NotConnected), "again": visit.request.path}
    if isinstance(error, Unreachable | NotConnected):
        context["api_url"] = settings.SHOP_API_URL
    return visit.render("shop/trouble.html", context, status=503)


def _seal(response: HttpResponse, correlation_id: str) -> HttpResponse:
    response.setdefault("Content-Security-Policy", POLICY)
    # A page shows a balance and masked addresses, and the back button is to show how things stand.
    response["Cache-Control"] = "no-store"
    response["X-Correlation-Id"] = correlation_id
    return response
