"""One code of an app, typed at once wherever one may be typed, over HTTP: it opens one thing (RFC 6238, 5.2)."""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial
from typing import Any

import pytest

from tests import factories
from tests.api.client import Api, checkouts, member, order
from tests.api.phones import Phone, activate
from tests.factories import PASSWORD, account
from tests.races.guards import blind_changes, meet_after, unlocked
from twofa.flows import authenticators
from twofa.models import AccessToken, Authenticator, Campaign, Challenge, Event, Participant, Redemption

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.postgres]


class Owner:
    """A participant whose one device is an app, and what waits for its code: of each kind, one."""

    def __init__(self, shop: factories.Shop) -> None:
        Campaign.objects.update(unbound_devices_approve=True, max_open_challenges=10)
        self.shop, self.api = shop, Api(factories.key(shop.storefront))
        device, self.app = activate(self.api, shop)
        self.recovery_code: str = device["recovery_codes"][0]
        Participant.objects.filter(pk=shop.participant.pk).update(two_factor_method="totp")
        # As loaded by a host: django-otp asks a device that it read before.
        self.device = Authenticator.objects.get()
        self._name = account(shop.participant)
        self._login()

    def _login(self, **more: str) -> Any:
        body = {"username": self._name, "password": PASSWORD, **more}
        return self.api.post(f"/campaigns/{self.shop.campaign.slug}/login/", body)

    def ask(self, purpose: str) -> str:
        opened = self.api.post(f"{member(self.shop)}challenges/", {"purpose": purpose}).json()
        return f"/challenges/{opened['id']}/verify/"

    def everywhere(self) -> list[Callable[[str], bool]]:
        """Each tells whether the code opened it."""
        opened = self.api.post(checkouts(self.shop), order(self.shop)).json()
        paths = [self.ask("step_up:a"), self.ask("step_up:b"), f"/redemptions/{opened['id']}/confirm/"]
        return [
            *(lambda code, path=path: self.api.post(path, {"token": code}).status_code == 200 for path in paths),
            lambda code: self._login(token=code).status_code == 200,
        ]

    def django_login(self, code: str) -> bool:
        return bool(Authenticator.objects.get().verify_token(code))


def code_with_time_left(app: Phone) -> str:
    """A code that is not outrun while the others are typed."""
    if time.time() % 30 > 25:
        time.sleep(30 - time.time() % 30)
    return app.code()


def opened() -> int:
    """What the code opened, as it is stored."""
    return Challenge.objects.filter(status="approved").count()


@pytest.fixture
def owner(shop) -> Owner:
    return Owner(shop)


def test_code_opens_one_of_all_that_wait_for_it(owner, threads):
    calls, code = [*owner.everywhere(), owner.django_login], code_with_time_left(owner.app)
    told = threads([partial(call, code) for call in calls])
    assert sorted(told) == [False] * (len(calls) - 1) + [True], told
    assert Event.objects.filter(type="authenticator.verified").count() == 1
    assert opened() == (0 if told[-1] else 1)
    assert AccessToken.objects.count() == told[3]
    assert Redemption.objects.filter(status="completed").count() == told[2]


def test_without_the_guards_it_opens_more_than_one(owner, threads, monkeypatch):
    calls, code = owner.everywhere(), code_with_time_left(owner.app)
    blind_changes(monkeypatch)
    meet_after(monkeypatch, authenticators, "active", len(calls))
    told = threads([unlocked(partial(call, code)) for call in calls])
    assert told.count(True) > 1
    assert opened() > 1


def test_code_typed_ten_times_over_is_taken_once(owner, threads):
    """The same request at once: whoever comes later is told the stored state, and nothing more is opened."""
    path, code = owner.ask("step_up:a"), code_with_time_left(owner.app)
    answers = threads([lambda: owner.api.post(path, {"token": code}).status_code] * 10)
    assert set(answers) == {200}
    assert (Event.objects.filter(type="authenticator.verified").count(), opened()) == (1, 1)


def test_code_of_the_step_before_is_taken_no_more_after_the_present_one(owner):
    """Not in parallel, but in the wrong order: a code that was read over a shoulder a moment ago."""
    calls, code = owner.everywhere(), code_with_time_left(owner.app)
    assert calls[0](code)
    Authenticator.objects.update(failed_at=None)
    assert not calls[1](owner.app.code(-1))
    assert opened() == 1


def test_recovery_code_opens_one_of_all_that_wait_for_it(owner, threads):
    calls = owner.everywhere()
    told = threads([partial(call, owner.recovery_code) for call in calls])
    assert told.count(True) == opened() == 1
    assert told[2] is False, "no order"
    assert Event.objects.filter(type="recovery_codes.used").count() == 1
