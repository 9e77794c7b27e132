"""One code of an app, or one from paper, given by many at the same moment."""

from __future__ import annotations

from uuid import UUID

import pytest

from tests import authenticators as apps
from tests import factories
from tests.authenticators import App
from tests.races.guards import blind_changes, meet_after, outcomes, unlocked
from twofa.flows import agreements, authenticators, challenges, recovery_codes
from twofa.models import Authenticator, Challenge, Event, RecoveryCode
from twofa.models.clock import now

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.postgres]


@pytest.fixture
def app(monkeypatch) -> App:
    return App(monkeypatch)


@pytest.fixture
def active(shop, app) -> Authenticator:
    return apps.active(shop, app)


@pytest.fixture
def code(shop) -> str:
    shop.device.delete()
    return recovery_codes.issue(shop.participant, storefront=shop.storefront, actor=shop.actor)[0]


def verifying(shop, row, token):
    return lambda: authenticators.verify(row, token=token, actor=shop.actor)


def using(shop, token):
    return lambda: recovery_codes.use(shop.participant, token=token, actor=shop.actor)


def count(type_: str) -> int:
    return Event.objects.filter(type=type_).count()


def test_code_of_an_app_is_taken_once(shop, app, active, threads):
    results = threads([verifying(shop, active, app.code())] * 10)
    assert sum(isinstance(result, Authenticator) for result in results) == 1
    assert count("authenticator.verified") == 1


def test_without_the_guards_it_is_taken_more_than_once(shop, app, active, threads, monkeypatch):
    blind_changes(monkeypatch)
    meet_after(monkeypatch, authenticators, "locked", 4)
    threads([unlocked(verifying(shop, active, app.code()))] * 4)
    assert count("authenticator.verified") > 1


def test_without_locks_the_conditional_update_still_takes_it_once(shop, app, active, threads, monkeypatch):
    meet_after(monkeypatch, authenticators, "locked", 4)
    threads([unlocked(verifying(shop, active, app.code()))] * 4)
    assert count("authenticator.verified") == 1


def test_wrong_codes_at_once_are_looked_at_once(shop, app, active, threads):
    told = outcomes(threads([verifying(shop, active, app.wrong_code())] * 10))
    assert told == {"token_invalid": 1, "throttled": 9}
    assert Authenticator.objects.get().failures == 1


def test_without_the_guards_more_are_looked_at(shop, app, active, threads, monkeypatch):
    blind_changes(monkeypatch)
    meet_after(monkeypatch, authenticators, "locked", 4)
    threads([unlocked(verifying(shop, active, app.wrong_code()))] * 4)
    assert count("authenticator.attempt_failed") > 1


def test_recovery_code_is_taken_once(shop, code, threads):
    results = threads([using(shop, code)] * 10)
    assert results.count(9) == 1
    assert count("recovery_codes.used") == 1


def test_without_the_guards_it_recovers_more_than_once(shop, code, threads, monkeypatch):
    monkeypatch.setattr(
        recovery_codes, "_mark", lambda row, at: RecoveryCode.objects.filter(pk=row.pk).update(used_at=at) == 1
    )
    meet_after(monkeypatch, recovery_codes, "find", 4)
    threads([unlocked(using(shop, code))] * 4)
    assert count("recovery_codes.used") > 1


def test_two_enrolments_leave_one_pending_app(shop, threads):
    shop.device.delete()
    threads([lambda: apps.enrol(shop)] * 4)
    assert Authenticator.objects.filter(status="pending").count() == 1


def test_without_the_lock_the_database_refuses_the_second(shop, threads, monkeypatch):
    shop.device.delete()
    meet_after(monkeypatch, agreements, "ensure", 2)
    results = threads([unlocked(lambda: apps.enrol(shop))] * 2)
    assert sum(isinstance(result, Exception) for result in results) == 1
    assert Authenticator.objects.filter(status="pending").count() == 1


def opened(shop, app) -> list[Challenge]:
    """Challenges that one app may answer now, by the clock of the database."""
    app.at = now()
    Authenticator.objects.update(last_step=0)
    return [factories.step_up(shop, f"step_up:{name}") for name in ("transfer", "address")]


def answering(shop, challenge, token):
    return lambda: challenges.verify(challenge.pk, storefront=shop.storefront, token=token, actor=shop.actor)


def test_code_of_an_app_approves_one_challenge(shop, app, active, threads):
    asked = opened(shop, app)
    results = threads([answering(shop, challenge, app.code()) for challenge in asked])
    assert sum(isinstance(result, Challenge) for result in results) == 1
    assert Challenge.objects.filter(status="approved").count() == 1
    assert count("authenticator.verified") == 1


def test_recovery_code_approves_one_challenge(shop, app, active, threads):
    asked = opened(shop, app)
    text = recovery_codes.issue(
        shop.participant, storefront=shop.storefront, actor=shop.actor, authorization=agreed_by(shop, app)
    )[0]
    results = threads([answering(shop, challenge, text) for challenge in asked])
    assert sum(isinstance(result, Challenge) for result in results) == 1
    assert RecoveryCode.objects.filter(used_at__isnull=False).count() == 1
    assert count("recovery_codes.used") == 1


def test_wrong_codes_on_one_challenge_are_at_most_its_attempts(shop, app, active, threads):
    challenge = factories.step_up(shop)
    threads([answering(shop, challenge, app.wrong_code())] * 12)
    challenge.refresh_from_db()
    failed = Event.objects.filter(type="challenge.attempt_failed").count()
    assert challenge.attempts == failed == Authenticator.objects.get().failures <= challenge.max_attempts


def agreed_by(shop, app) -> UUID:
    challenge = factories.step_up(shop, "step_up:recovery_codes")
    answering(shop, challenge, app.code())()
    return challenge.pk
