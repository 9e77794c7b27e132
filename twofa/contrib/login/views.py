"""Pages of a sign-in: the password, the token, a new token, the way back."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlencode

from django.contrib.auth.forms import AuthenticationForm
from django.contrib.auth.views import LoginView, RedirectURLMixin
from django.db import transaction  # noqa: TID251 - only to stay out of the transactions of the host
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.http.response import HttpResponseBase
from django.shortcuts import resolve_url
from django.template.loader import render_to_string
from django.urls import reverse
from django.utils.decorators import method_decorator
from django.views import View
from django.views.decorators.cache import never_cache
from django.views.decorators.csrf import csrf_protect
from django.views.decorators.debug import sensitive_post_parameters
from django.views.generic import FormView

from twofa.conf import conf
from twofa.contrib.login import halves, passwords, signing_in
from twofa.contrib.login.forms import TokenForm
from twofa.contrib.login.halves import Half
from twofa.contrib.login.sentences import told
from twofa.exceptions import (
    ChannelUnavailable,
    DestinationNotAllowed,
    InputError,
    OnboardingIncomplete,
    ResendCooldown,
    ResendsExhausted,
    SendBudget,
    Throttled,
    TokenExpired,
    TokenInvalid,
    TokenSuperseded,
    TwoFactorError,
    Unavailable,
)
from twofa.models import Challenge

STYLE_LIFE = "public, max-age=3600"
_TYPE_AGAIN = (InputError, TokenInvalid, TokenSuperseded, TokenExpired)
_NO_MESSAGE = (ChannelUnavailable, DestinationNotAllowed, ResendCooldown, ResendsExhausted, SendBudget)
"""After these the sign-in goes on: the token that was sent may still be typed."""
_NOT_BY_THE_APP = (OnboardingIncomplete, Throttled, Unavailable)
"""After these, where an app answers, the sign-in goes on: its pause ends, or another way is taken."""


def _is_verified(request: HttpRequest) -> bool:
    user: Any = request.user
    return bool(user.is_authenticated and user.is_verified())


# Whatever ATOMIC_REQUESTS says: a wrong token is charged although the request is refused.
@method_decorator(transaction.non_atomic_requests, name="dispatch")
class TwoFactorLoginView(LoginView):
    """Django's login view, whose right password leads to the page of the token and not into a session."""

    template_name = "twofa_login/login.html"

    def dispatch(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        if not _is_verified(request):
            # Of a password alone: sent on, they would come back from the page that asks for more, for ever.
            self.redirect_authenticated_user = False
        return super().dispatch(request, *args, **kwargs)

    def get_form_class(self) -> type[AuthenticationForm]:
        return passwords.counted(super().get_form_class())

    def form_valid(self, form: AuthenticationForm) -> HttpResponse:
        """Ask for the token; nobody is signed in."""
        try:
            signing_in.begin(self.request, form.get_user())
        except TwoFactorError as error:
            form.add_error(None, str(told(error)))
            return self.form_invalid(form)
        return HttpResponseRedirect(_with_next("twofa_login:token", self.get_redirect_url()))


@method_decorator(
    (transaction.non_atomic_requests, sensitive_post_parameters("token"), csrf_protect, never_cache), name="dispatch"
)
class _Step(RedirectURLMixin, View):
    """What needs a right password given before, in this session."""

    request: HttpRequest
    half: Half
    challenge: Challenge

    def dispatch(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        half = halves.find(request)
        if half is None:
            # A second press of the button, after the first one let them in, goes where the first one went.
            done = self.get_success_url() if _is_verified(request) else None
            return HttpResponseRedirect(done or login_url(self.get_redirect_url()))
        found = signing_in.waiting(half)
        if found is None:
            return self.ended()
        self.half, (_user, self.challenge) = half, found
        return super().dispatch(request, *args, **kwargs)

    def get_default_redirect_url(self) -> str:
        """Return where those go who asked for no page."""
        return resolve_url(conf.login_redirect_url)

    def ended(self, error: TwoFactorError | None = None) -> HttpResponse:
        """End the half, and say so: its token is worth nothing, and only the password leads on."""
        signing_in.cancel(self.request)
        if halves.is_of_no_session(self.request):
            # Two presses at once: the other one let them in.
            return HttpResponseRedirect(self.get_success_url())
        context = {"detail": told(error) if error else "", "login_url": login_url(self.get_redirect_url())}
        html = render_to_string("twofa_login/ended.html", context, request=self.request)
        return HttpResponse(html, status=403)


class TokenView(_Step, FormView):  # type: ignore[type-arg]
    """Asks for the token, and lets its owner in."""

    form_class = TokenForm
    template_name = "twofa_login/token.html"
    http_method_names = ["get", "head", "post"]

    def get_form_kwargs(self) -> dict[str, Any]:
        return {**super().get_form_kwargs(), **self.form_options()}

    def form_options(self) -> dict[str, Any]:
        """Return what the form asks for."""
        taken = signing_in.takes_recovery_codes(self.challenge)
        return {"challenge": self.challenge, "takes_recovery_codes": taken}

    def get_context_data(self, **context: Any) -> dict[str, Any]:
        following = self.get_redirect_url()
        return super().get_context_data(
            challenge=self.challenge,
            takes_recovery_codes=signing_in.takes_recovery_codes(self.challenge),
            other_ways=signing_in.other_ways(self.challenge),
            following=following,
            resend_url=_with_next("twofa_login:resend", following),
            cancel_url=_with_next("twofa_login:cancel", following),
            **context,
        )

    def form_valid(self, form: TokenForm) -> HttpResponse:
        try:
            signing_in.finish(self.request, self.half, form.cleaned_data["token"])
        except _TYPE_AGAIN as error:
            form.add_error("token", str(told(error)))
            return self.form_invalid(form)
        except _NOT_BY_THE_APP as error:
            if not self.challenge.is_unbound:
                return self.ended(error)
            form.add_error("token", str(told(error)))
            return self.form_invalid(form)
        except TwoFactorError as error:
            return self.ended(error)
        return HttpResponseRedirect(self.get_success_url())


class ResendView(TokenView):
    """Sends a new token."""

    http_method_names = ["post"]

    def post(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        try:
            signing_in.resend(self.half, self._channel())
        except _NO_MESSAGE as error:
            form = TokenForm(**self.form_options())
            return self.render_to_response(self.get_context_data(form=form, trouble=told(error)))
        except TwoFactorError as error:
            return self.ended(error)
        return HttpResponseRedirect(_with_next("twofa_login:token", self.get_redirect_url()))

    def _channel(self) -> str | None:
        """Return the channel that was chosen in place of an app: one that the page offered, or none."""
        given = self.request.POST.get("channel")
        return next((way.channel for way in signing_in.other_ways(self.challenge) if way.channel == given), None)


class CancelView(_Step):
    """Leads back to the password, and ends the challenge."""

    http_method_names = ["post"]

    def post(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        signing_in.cancel(request)
        # Where the token came in the same moment, the session of this page is no more.
        done = self.get_success_url() if halves.is_of_no_session(request) else None
        return HttpResponseRedirect(done or login_url(self.get_redirect_url()))


class StyleView(View):
    """The stylesheet of the pages: a template, so that a host may put its own in its place."""

    http_method_names = ["get", "head"]

    def get(self, request: HttpRequest) -> HttpResponse:
        response = HttpResponse(render_to_string("twofa_login/style.css"), content_type="text/css")
        response["Cache-Control"] = STYLE_LIFE
        response["X-Content-Type-Options"] = "nosniff"
        return response


def login_url(following: str) -> str:
    """Return the page of the password, from which one comes to ``following``."""
    return _with_next("twofa_login:login", following)


def _with_next(name: str, following: str) -> str:
    """Return a page's address. ``following`` has been judged: it is of this host, or empty."""
    return reverse(name) + (f"?{urlencode({'next': following})}" if following else "")
