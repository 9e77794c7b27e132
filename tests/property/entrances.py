"""Every secret that a storefront may type for a participant, and every place where it may type one, over HTTP."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from tests import factories
from tests.api.client import Api, batch_order, batches, checkouts, member, order
from tests.api.phones import Phone
from tests.factories import PASSWORD, account, token_of
from tests.stories import STAFF
from twofa import totp
from twofa.flows import recovery_codes
from twofa.flows.history import Trail
from twofa.models import Authenticator, Campaign, Challenge, Device, Participant, Storefront
from twofa.models.clock import now
from twofa.vault import seal_secret

STANDING_ALONE = {"login", "step_up:a", "step_up:b"}
SPEND = {"redemption", "batch"}


@dataclass
class Seat:
    """One participant, as one storefront serves them; ``campaign``, ``participant`` are named as a shop's are."""

    api: Api
    storefront: Storefront
    campaign: Campaign
    participant: Participant
    username: str
    app: Phone
    code: str = field(repr=False)
    """One recovery code of theirs."""

    def __str__(self) -> str:
        return f"{self.participant} at {self.storefront} in {self.campaign}"


@dataclass(frozen=True)
class Entrance:
    """Where a secret is typed: ``enter`` does so, by the storefront of the seat or by another caller."""

    name: str
    seat: Seat
    challenge: str
    enter: Callable[..., Any]

    def __str__(self) -> str:
        return f"{self.name} of {self.seat}"


@dataclass(frozen=True)
class Secret:
    """What opens the entrances of these names: of its seat, or of its person wherever they are served."""

    name: str
    seat: Seat
    text: Callable[[], str]
    entrances: frozenset[str]
    is_persons: bool = False

    def opens(self, entrance: Entrance) -> bool:
        if entrance.name not in self.entrances:
            return False
        if self.is_persons:
            return entrance.seat.participant == self.seat.participant
        return entrance.seat is self.seat

    def __str__(self) -> str:
        return f"{self.name} of {self.seat}"


@dataclass
class Person:
    """A participant with a phone, an app, a code on paper and a password."""

    participant: Participant
    username: str
    app: Phone
    code: str

    def at(self, api: Api, storefront: Storefront) -> Seat:
        of = self.participant
        return Seat(api, storefront, of.campaign, of, self.username, self.app, self.code)


def caller(storefront: Storefront) -> tuple[Api, Storefront]:
    return Api(factories.key(storefront)), storefront


def person(campaign: Campaign, external_id: str, phone: str | None = None) -> Person:
    participant = factories.participant(campaign, external_id=external_id)
    factories.device(participant, "sms", phone)
    trail = Trail(STAFF, now())
    code = recovery_codes.first(participant, trail)[0]
    trail.write()
    username = account(participant, f"{external_id}-{campaign.slug}")
    return Person(participant, username, _app(participant), code)


def _app(participant: Participant) -> Phone:
    secret = secrets.token_bytes(totp.SECRET_BYTES)
    row = Authenticator(participant=participant, user=participant.user)
    row.created_at = row.activated_at = row.approves_from = now()
    row.status, row.confirmed, row.last_step = Authenticator.Status.ACTIVE, True, 0
    row.kid, row.secret = seal_secret(secret, owner=participant.pk, name=row.uuid)
    row.save()
    return Phone(totp.provisioning_uri(secret, issuer="x", account="y"))


class Furnished:
    """All entrances and secrets of one seat."""

    def __init__(self, seat: Seat) -> None:
        self.seat = seat
        self.entrances: list[Entrance] = []
        self.secrets: list[Secret] = []
        self._unproved = self._stranger("unproved")
        self._orders()
        self._devices()
        self._contact()
        self._asked()
        self._app_to_confirm()
        self._granted()
        own = frozenset({*STANDING_ALONE, "by app", "password and login"})
        self._secret("recovery code", lambda: seat.code, own, is_persons=True)

    # --- what waits -----------------------------------------------------------------------------------------------

    def _orders(self) -> None:
        for name, path, body, where in (
            ("redemption", checkouts(self.seat), order(self.seat), "redemptions"),
            ("batch", batches(self.seat), batch_order(self.seat, "150.00"), "redemption-batches"),
        ):
            opened = self._made(path, body)
            challenge = opened["two_factor"]["challenge"]["id"]
            self._token(name, challenge, f"/{where}/{opened['id']}/confirm/")

    def _devices(self) -> None:
        seat = self.seat
        spare = factories.device(seat.participant, "email")
        changed = self._made(f"/devices/{spare.uuid}/make-default/", None)
        self._token("device: default", changed["authorization"]["id"], f"/devices/{spare.uuid}/authorize/")
        contact = {"channel": "email", "address": f"added-{seat.participant.pk}-{seat.storefront.pk}@example.com"}
        added = self._made(f"{member(seat)}devices/", contact)
        self._token("device: add", added["authorization"]["id"], f"/devices/{added['id']}/authorize/")
        address = f"first-{seat.participant.pk}-{seat.storefront.pk}@example.com"
        first = self._made(f"{self._unproved}devices/", {"channel": "email", "address": address})
        self._token("device: verify", first["challenge"]["id"], f"/devices/{first['id']}/verify/")

    def _contact(self) -> None:
        challenge = self._verification("contact")
        path = member(self.seat, f"new-{challenge}")
        enter = self._calling(
            "PUT",
            path,
            lambda token: {"name": "New", "contact_verification": {"challenge_id": challenge, "token": token}},
        )
        self.entrances.append(Entrance("registration", self.seat, challenge, enter))
        self._token("contact", challenge, f"/challenges/{challenge}/verify/", "registration")

    def _asked(self) -> None:
        for purpose in sorted(STANDING_ALONE):
            opened = self._made(f"{member(self.seat)}challenges/", {"purpose": purpose, "channel": "sms"})
            more = ["password and login"] if purpose == "login" else []
            self._token(purpose, opened["id"], f"/challenges/{opened['id']}/verify/", *more)
            if purpose == "login":
                self._login("password and login", opened["id"], self.seat.username)
        opened = self._made(f"{member(self.seat)}challenges/", {"purpose": "step_up:app", "channel": "totp"})
        self._entrance("by app", opened["id"], f"/challenges/{opened['id']}/verify/")
        self._secret("code of the app", self.seat.app.code, frozenset({"by app"}), is_persons=True)

    def _app_to_confirm(self) -> None:
        opened = self._made(f"{self._stranger('appless')}devices/", {"channel": "totp"})
        self._entrance("app: confirm", "", f"/devices/{opened['id']}/verify/")
        self._secret("code of a new app", Phone(opened["otpauth_uri"]).code, frozenset({"app: confirm"}))

    def _granted(self) -> None:
        challenge = self._verification("granted")
        token, username = token_of(Challenge.objects.get(pk=challenge)), f"granted-{challenge}"
        proof = {"challenge_id": challenge, "token": token}
        body = {"name": "Granted", "contact_verification": proof, "username": username, "password": PASSWORD}
        self._made(member(self.seat, username), body, "PUT")
        self._login("grant", challenge, username)
        self._secret("grant", lambda: token, frozenset({"grant"}))

    # --- by which way ---------------------------------------------------------------------------------------------

    def _stranger(self, name: str) -> str:
        """The path of a participant of this seat's alone, without any factor."""
        row = factories.participant(self.seat.campaign, external_id=f"{name}-{self.seat.storefront.pk}-{id(self)}")
        return member(self.seat, row.external_id)

    def _verification(self, name: str) -> str:
        address = f"{name}-{self.seat.participant.pk}-{self.seat.storefront.pk}@example.com"
        path = f"/campaigns/{self.seat.campaign.slug}/contact-verifications/"
        return str(self._made(path, {"channel": "email", "address": address})["id"])

    def _made(self, path: str, body: Any, method: str = "POST") -> Any:
        answer = self.seat.api.send(method, path, body)
        assert answer.status_code in {200, 201, 202}, answer.json()
        return answer.json()

    def _calling(self, method: str, path: str, body: Callable[[str], Any]) -> Callable[..., Any]:
        return lambda token, by=None: (by or self.seat.api).send(method, path, body(token))

    def _entrance(self, name: str, challenge: str, path: str) -> None:
        enter = self._calling("POST", path, lambda token: {"token": token})
        self.entrances.append(Entrance(name, self.seat, challenge, enter))

    def _login(self, name: str, challenge: str, username: str) -> None:
        path = f"/campaigns/{self.seat.campaign.slug}/login/"
        enter = self._calling("POST", path, lambda token: {"username": username, "password": PASSWORD, "token": token})
        self.entrances.append(Entrance(name, self.seat, challenge, enter))

    def _token(self, name: str, challenge: str, path: str, *more: str) -> None:
        """An entrance and the token that was sent for it, which opens ``more`` too."""
        self._entrance(name, challenge, path)
        row = Challenge.objects.get(pk=challenge)
        token = row.derive_token()
        self._secret(name, lambda: token, frozenset({name, *more}))

    def _secret(
        self, name: str, text: Callable[[], str], entrances: frozenset[str], *, is_persons: bool = False
    ) -> None:
        self.secrets.append(Secret(name, self.seat, text, entrances, is_persons))


def restore() -> None:
    """Give back what wrong secrets cost."""
    Challenge.objects.filter(attempts__gt=0).update(attempts=0)
    Device.objects.filter(failures__gt=0).update(failures=0)
    Authenticator.objects.update(failures=0, failed_at=None)
