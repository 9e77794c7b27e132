"""Chapters on accounts: sign up and sign in with a code, an app and a code on paper, a step of another service."""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING
from urllib.parse import parse_qs, urlsplit

from django.utils.translation import gettext as _
from django_otp.oath import totp

from example_project.loyalty.demo import seed
from example_project.loyalty.demo.failure import expect

if TYPE_CHECKING:
    from example_project.loyalty.demo.client import Answer
    from example_project.loyalty.demo.story import Story

MEMBER, NAME, PHONE = "bia", "Bia Lima", "+5511999990077"
USERNAME, PASSWORD = "bia@example.com", "correct horse battery"
_CAMPAIGN = f"/campaigns/{seed.GUARDED}/"
_PARTICIPANT = f"{_CAMPAIGN}participants/{MEMBER}/"


def sign_up(story: Story) -> None:
    """Prove a phone before there is an account, and begin the account with it."""
    story.terminal.say(_("Nobody is known yet: the token goes to a number that is nobody's."))
    opened = story.client.call(
        "POST",
        f"{_CAMPAIGN}contact-verifications/",
        {"channel": "sms", "address": PHONE},
        expect=201,
        show=("id", "purpose", "destination"),
    )
    story.token = story.receive("Bia")
    proof = {"challenge_id": opened.body["id"], "token": story.token}
    story.client.call(
        "PUT",
        _PARTICIPANT,
        {"name": NAME, "username": USERNAME, "password": PASSWORD, "contact_verification": proof},
        expect=201,
        show=("external_id", "name", "two_factor_method"),
    )
    story.terminal.say(_("The code just typed is good once more: as that of her first login."))
    _log_in(story, 200, token=story.token)
    _log_in(story, 401, token=story.token, code="token_required")
    story.token = story.receive("Bia")


def sign_in(story: Story) -> None:
    """Ask for the token after the right password only."""
    _log_in(story, 401, password="guessed", code="invalid_credentials")
    expect(story.inbox.unread(), 0, _("messages after a wrong password"))
    story.terminal.say(_("The password is right, and still the answer is that a token is needed, and how it came."))
    asked = _log_in(story, 401, code="token_required")
    expect(asked.headers.get("X-Two-Factor"), "required; method=sms", _("the header"))
    entered = _log_in(story, 200, token=story.token)
    story.terminal.say(_("With the access token her own app reads what is hers, and nothing else."))
    bearer = {"Authorization": f"Bearer {entered.body['access_token']}"}
    for path, status in ((_PARTICIPANT, 200), (f"{_CAMPAIGN}participants/{seed.PARTICIPANT}/", 404)):
        answer = story.client.exchange("GET", f"/api/v1{path}", None, bearer)
        story.terminal.fact(f"GET {path}", str(answer.status))
        expect(answer.status, status, path)


def use_app(story: Story) -> None:
    """Add an authenticator app with the phone's agreement, and get in with a code on paper."""
    story.terminal.say(_("Her phone agrees first: whoever has her session alone adds no factor of their own."))
    agreed = _ask(story, "step_up:authenticator_add")
    app = story.client.call(
        "POST",
        f"{_PARTICIPANT}devices/",
        {"channel": "totp", "authorization": agreed},
        expect=201,
        show=("id", "channel", "status"),
    )
    secret = parse_qs(urlsplit(app.body["otpauth_uri"]).query)["secret"][0]
    code = f"{totp(base64.b32decode(secret)):06d}"
    shown = ("channel", "status")
    ready = story.client.call("POST", f"/devices/{app.body['id']}/verify/", {"token": code}, expect=200, show=shown)
    codes = ready.body["recovery_codes"]
    story.terminal.fact(_("Recovery codes, shown once"), str(len(codes)))
    story.receive_message("Bia", channel="sms")
    story.receive_message("Bia", channel="sms")
    story.client.call("PATCH", _PARTICIPANT, {"two_factor_method": "totp"}, expect=200, show=("two_factor_method",))
    story.terminal.say(_("Her phone is gone. A code of a moment ago is worth nothing; one on paper lets her in, once."))
    _log_in(story, 401, code="token_required")
    _log_in(story, 422, token=code, code="token_invalid")
    _log_in(story, 200, token=codes[0])
    story.receive_message("Bia", channel="sms")


def step_up(story: Story) -> None:
    """Ask for a second factor on behalf of another service; its token opens nothing else."""
    story.terminal.say(_("A bank asks the same engine before it changes an address. It knows her by its own id."))
    path = f"{_CAMPAIGN}participants/nobody/challenges/"
    unknown = story.client.call("POST", path, {"purpose": "step_up:address"}, expect=404, code="not_found")
    expect(unknown.body.get("resource"), "participant", _("what is not there"))
    _ask(story, "step_up:address", description=_("Change the address"))


def _ask(story: Story, purpose: str, **said: str) -> str:
    opened = story.client.call(
        "POST",
        f"{_PARTICIPANT}challenges/",
        {"purpose": purpose, "channel": "sms", **said},
        expect=201,
        show=("id", "purpose", "status", "destination"),
    )
    token, pk = story.receive("Bia", says=said.get("description", "")), str(opened.body["id"])
    done = story.client.call(
        "POST", f"/challenges/{pk}/verify/", {"token": token}, expect=200, show=("purpose", "status")
    )
    expect(done.body["status"], "approved", _("the challenge"))
    return pk


def _log_in(
    story: Story, status: int, *, password: str = PASSWORD, token: str | None = None, code: str | None = None
) -> Answer:
    body = {"username": USERNAME, "password": password, **({} if token is None else {"token": token})}
    shown = ("token_type", "expires_in", "participant") if status == 200 else ("code", "detail")
    return story.client.call("POST", f"{_CAMPAIGN}login/", body, expect=status, code=code, show=shown)
