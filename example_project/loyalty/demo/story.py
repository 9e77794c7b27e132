"""The story: what happens when people spend points, in four stories. Whatever is shown is also checked."""

from __future__ import annotations

import time
from collections.abc import Callable
from decimal import Decimal
from typing import Any

from django.utils.translation import gettext as _

from example_project.loyalty import ledger
from example_project.loyalty.demo import accounts, business, evidence, identity, seed, timing, told, troubles
from example_project.loyalty.demo.client import Answer, Client
from example_project.loyalty.demo.failure import expect
from example_project.loyalty.demo.inbox import Inbox
from example_project.loyalty.demo.terminal import Terminal
from example_project.phone import PhoneMessage
from twofa.models import Channel

_PRICE = Decimal("15000.00")
_CHALLENGE = "two_factor.challenge"
_VERDICT = ("code", "detail", "attempts_remaining")
_BRIEF_VERDICT = ("code", "attempts_remaining")


class Story:
    """One storefront, and those who redeem there."""

    def __init__(self, client: Client, terminal: Terminal, inbox: Inbox) -> None:
        self.client = client
        self.terminal = terminal
        self.inbox = inbox
        self.order = 1000
        self.redemption = ""
        self.scheduled = ""

    def tell(self) -> None:
        """Tell it all. Raises: DemoFailed at the first thing that is not as told."""
        number = 0
        for name, chapters in self._stories():
            self.terminal.story(name)
            for title, chapter in chapters:
                number += 1
                self.terminal.chapter(number, title)
                chapter()

    def _stories(self) -> tuple[tuple[str, tuple[tuple[str, Callable[[], None]], ...]], ...]:
        """Return the four stories that this product was founded on, each by its own name, and their chapters."""
        redeeming = (
            (_("Ana registers her phone"), self.register_device),
            (_("A redemption waits for its token"), self.open_redemption),
            (_("A wrong token, and a new one"), self.renew_token),
            (_("The right token: the points leave, once"), self.confirm),
            (_("Five wrong tokens: the points come back"), self.exhaust_attempts),
            (_("A campaign without a second factor"), self.pass_straight_through),
            (_("A campaign that asks who she is"), lambda: identity.refuse(self)),
            (_("Her documents, for staff alone"), lambda: identity.send(self)),
            (_("A person looks, and decides"), lambda: identity.review(self)),
        )
        approving = (
            (_("A buyer asks, a director approves"), lambda: business.approve(self)),
            (_("Several prizes, one token"), lambda: business.approve_several(self)),
            (_("Confirmed now, booked later"), lambda: timing.schedule(self)),
            (_("The SMS provider fails"), lambda: troubles.fail_over(self)),
            (_("The time of what was scheduled"), lambda: timing.look_again(self)),
            (_("“It was not me”"), lambda: troubles.report(self)),
        )
        signing = (
            (_("Bia signs up with a code"), lambda: accounts.sign_up(self)),
            (_("Her password, then her code"), lambda: accounts.sign_in(self)),
            (_("An app, and a code on paper"), lambda: accounts.use_app(self)),
        )
        lending = (
            (_("Another service asks for a second factor"), lambda: accounts.step_up(self)),
            (_("What the shop was told"), lambda: told.hear(self)),
            (_("What was left behind"), self.look_behind),
        )
        return (
            (_("CloudLoyalty: points that only their owner spends"), redeeming),
            (_("QI Tech: one asks, another approves, and the rest happens by itself"), approving),
            (_("Freshcom: sign up and sign in with a code"), signing),
            (_("Cerberus: a second factor for the users of another service"), lending),
        )

    def register_device(self) -> None:
        self.terminal.say(_("A device receives tokens only once its owner has proved to hold it."))
        self.prove_phone(seed.GUARDED)
        self.show_points(available="50000.00", reserved="0.00")

    def prove_phone(self, slug: str) -> None:
        """Register Ana's phone in a campaign, and type the token that goes there."""
        answer = self.client.call(
            "POST",
            f"/campaigns/{slug}/participants/{seed.PARTICIPANT}/devices/",
            {"channel": "sms", "address": seed.PHONE},
            expect=201,
            show=("id", "channel", "destination", "status"),
        )
        expect(answer.body["destination"], "+55 •• •••••-••34", _("the masked number"))
        token = self.receive()
        answer = self.client.call(
            "POST",
            f"/devices/{answer.body['id']}/verify/",
            {"token": token},
            expect=200,
            show=("id", "destination", "status", "is_default"),
        )
        expect(answer.body["status"], "active", _("the device"))

    def open_redemption(self) -> None:
        self.terminal.say(_("Staff switched two-factor on for this campaign, so the answer asks for a token."))
        body = self.order_of(_PRICE)
        headers = {"Idempotency-Key": f"checkout-{self.order}"}
        answer = self.checkout(seed.GUARDED, body, headers=headers)
        expect(answer.body["status"], "pending_2fa_approval", _("the redemption"))
        self.redemption = answer.body["id"]
        self.terminal.say(_("At once another message? Not before the pause that the campaign sets."))
        refused = self.resend(429, code="resend_cooldown", show=("code", "retry_after"))
        self.pause = int(refused.body["retry_after"])
        self.first_token = self.receive()
        self.terminal.say(_("The storefront lost the answer and asks again, with the same key: the same answer."))
        again = self.checkout(seed.GUARDED, body, headers=headers, show=("id", "status"))
        expect(again.headers.get("Idempotency-Replayed"), "true", _("the repeated request"))
        expect(again.body["id"], self.redemption, _("the repeated redemption"))
        expect(self.inbox.unread(), 0, _("messages after the repeated request"))
        self.show_points(available="35000.00", reserved="15000.00")

    def renew_token(self) -> None:
        self.confirm_with(wrong(self.first_token), 422, code="token_invalid", left=4)
        self.terminal.say(_("The pause has passed: a new token, and the old one is worth nothing. The count stays."))
        time.sleep(self.pause)
        self.resend(202, show=("status", f"{_CHALLENGE}.token_sequence", f"{_CHALLENGE}.attempts_remaining"))
        self.token = self.receive()
        self.confirm_with(self.first_token, 422, code="token_superseded", left=3)
        self.show_points(available="35000.00", reserved="15000.00")

    def confirm(self) -> None:
        answer = self.confirm_with(self.token, 200, show=("id", "status", "amount", "completed_at"))
        expect(answer.body["status"], "completed", _("the redemption"))
        self.show_points(available="35000.00", reserved="0.00")
        self.terminal.say(_("Repeated, whether the token or the whole order, nothing happens twice."))
        again = self.confirm_with(self.token, 200, show=("id", "status"))
        expect(again.body["id"], self.redemption, _("the repeated confirmation"))
        same = self.checkout(seed.GUARDED, self.order_of(_PRICE, repeat=True), status=200, show=("id", "status"))
        expect(same.body["id"], self.redemption, _("the repeated order"))
        expect(self.inbox.unread(), 0, _("messages after the repeated order"))
        self.show_points(available="35000.00", reserved="0.00")

    def exhaust_attempts(self) -> None:
        self.terminal.say(_("Somebody else has Ana's session, but not her phone."))
        answer = self.checkout(seed.GUARDED, self.order_of(Decimal("20000.00")), show=("id", "status"))
        self.redemption = answer.body["id"]
        token = self.receive()
        self.show_points(available="15000.00", reserved="20000.00")
        for left in (4, 3, 2, 1):
            self.confirm_with(wrong(token, left), 422, code="token_invalid", left=left, show=_BRIEF_VERDICT)
        last = self.confirm_with(
            wrong(token, 5), 422, code="attempts_exhausted", left=0, show=(*_VERDICT, "challenge", "redemption")
        )
        expect(last.body["redemption"]["status"], "rejected", _("the redemption"))
        self.terminal.say(_("She is told, and has nothing to do."))
        self.receive_message("Ana", channel=Channel.SMS)
        self.terminal.say(_("From here on the right token is of no use either."))
        self.confirm_with(token, 409, code="challenge_closed", show=("code", "detail", "redemption"))
        self.show_points(available="35000.00", reserved="0.00")

    def pass_straight_through(self) -> None:
        self.terminal.say(_("The same call, for a campaign whose staff left two-factor off: no token, no message."))
        show = ("id", "status", "two_factor.required", "two_factor.reason", "next_action")
        answer = self.checkout(seed.OPEN, self.order_of(Decimal("1200.00")), show=show)
        expect(answer.body["status"], "completed", _("the redemption"))
        expect(self.inbox.unread(), 0, _("messages"))
        self.show_points(slug=seed.OPEN, available="48800.00", reserved="0.00")

    def look_behind(self) -> None:
        self.terminal.line()
        self.terminal.fact(_("Transfers in the ledger, every balance their sum"), evidence.balanced_transfers())
        self.terminal.fact(_("Events in the audit trail"), evidence.recorded_events())
        self.terminal.fact(
            _("Tokens found in the database file or in any answer"),
            evidence.tokens_left_behind(self.inbox.tokens, self.client.answers),
        )

    def order_of(self, amount: Decimal, *, participant: str = seed.PARTICIPANT, repeat: bool = False) -> dict[str, Any]:
        """Return the body of a checkout, under a new order id unless it is a repetition."""
        self.order += 0 if repeat else 1
        line = {"sku": "HP-1", "name": "Headphones", "quantity": 1, "amount": str(amount)}
        return {
            "participant": participant,
            "order_id": f"A-{self.order}",
            "amount": str(amount),
            "description": "Headphones",
            "items": [line],
        }

    def checkout(
        self,
        slug: str,
        body: dict[str, Any],
        *,
        status: int = 201,
        show: tuple[str, ...] = (
            "id", "status", "two_factor.reason", f"{_CHALLENGE}.channel", f"{_CHALLENGE}.destination",
            f"{_CHALLENGE}.attempts_remaining", f"{_CHALLENGE}.delivery.status", "next_action",
        ),
        headers: dict[str, str] | None = None,
    ) -> Answer:  # fmt: skip
        """Open a redemption."""
        path = f"/campaigns/{slug}/redemptions/"
        return self.client.call("POST", path, body, expect=status, show=show, headers=headers)

    def resend(self, status: int, *, code: str | None = None, show: tuple[str, ...] = ()) -> Answer:
        """Ask for a new token of the present redemption."""
        path = f"/redemptions/{self.redemption}/resend/"
        return self.client.call("POST", path, {}, expect=status, code=code, show=show)

    def confirm_with(
        self,
        token: str,
        status: int,
        *,
        code: str | None = None,
        left: int | None = None,
        show: tuple[str, ...] = _VERDICT,
    ) -> Answer:
        """Answer the present redemption's challenge."""
        path = f"/redemptions/{self.redemption}/confirm/"
        answer = self.client.call("POST", path, {"token": token}, expect=status, code=code, show=show)
        expect(answer.body.get("attempts_remaining"), left, _("attempts left"))
        return answer

    def receive(self, name: str = "Ana", *, channel: str = Channel.SMS, says: str = "") -> str:
        """Read the new message on somebody's phone; return its token."""
        message = self.receive_message(name, channel=channel)
        expect(says in message.text, True, _("whether the message says %(what)s") % {"what": says})
        return message.token

    def receive_message(self, name: str, *, channel: str) -> PhoneMessage:
        """Read the new message, which came by ``channel``."""
        message = self.inbox.next()
        expect(message.channel, channel, _("the channel"))
        label = _("%(name)s's phone, %(channel)s") % {"name": name, "channel": message.channel.upper()}
        self.terminal.bubble(label, message.text.splitlines())
        return message

    def show_points(
        self, slug: str = seed.GUARDED, who: str = seed.PARTICIPANT, *, available: str, reserved: str
    ) -> None:
        """Look somebody's points up in the ledger, and show them."""
        participant = seed.participant(slug, who)
        label = _("%(name)s's points") % {"name": participant.name.partition(" ")[0]}
        points = ledger.balances(participant)
        expect(points, ledger.Balances(Decimal(available), Decimal(reserved)), label)
        self.terminal.line()
        self.terminal.fact(
            label,
            _("%(available)s to spend, %(reserved)s set aside") % {"available": available, "reserved": reserved},
        )


def wrong(token: str, variant: int = 1) -> str:
    """Return a token that is well formed and not this one; another for each ``variant``."""
    alphabet = "0123456789"
    last = alphabet.index(token[-1]) if token[-1] in alphabet else 0
    return token[:-1] + alphabet[(last + variant) % len(alphabet)]
