"""Challenges that stand alone, and registrations, asked for and answered at the same moment."""

from __future__ import annotations

from datetime import timedelta
from functools import partial

import pytest

from tests import factories
from tests.companies import Company
from tests.factories import contact_challenge, step_up, token_of, wrong_token
from tests.races.guards import Pause, blind_changes, meet_after, outcomes, unlocked
from tests.stories import confirm, travel
from twofa.flows import challenges, contact_verifications, failures, issuing, participants
from twofa.flows.accounts import Account
from twofa.flows.registrations import Proof
from twofa.models import Challenge, Delivery, Device, Event, LoginGrant, Participant

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.postgres]

NEW = "new@example.com"


def verifying(shop, challenge, token):
    return lambda: challenges.verify(challenge.pk, storefront=shop.storefront, token=token, actor=shop.actor)


def resending(shop, challenge):
    return lambda: challenges.resend(challenge.pk, storefront=shop.storefront, actor=shop.actor)


def cancelling(shop, challenge):
    return lambda: challenges.cancel(challenge.pk, storefront=shop.storefront, actor=shop.actor)


def registering(shop, challenge, token, external_id="ana", **more):
    asked = {"storefront": shop.storefront, "campaign": shop.campaign, "name": "Ana", "actor": shop.actor, **more}
    return lambda: participants.register(external_id=external_id, proof=Proof(challenge.pk, token), **asked)


@pytest.fixture(params=["step_up", "contact"])
def challenge(request, shop) -> Challenge:
    return step_up(shop) if request.param == "step_up" else contact_challenge(shop)


# --- one token, many callers ------------------------------------------------------------------------------------------


def test_right_token_approves_once(shop, challenge, threads):
    results = threads([verifying(shop, challenge, token_of(challenge))] * 10)
    assert {result.status for result in results} == {"approved"}
    assert Event.objects.filter(type="challenge.approved").count() == 1
    assert Challenge.objects.get().attempts == 1


def test_without_the_guards_it_approves_more_than_once(shop, challenge, threads, monkeypatch):
    blind_changes(monkeypatch)
    meet_after(monkeypatch, challenges, "locked", 4)
    threads([unlocked(verifying(shop, challenge, token_of(challenge)))] * 4)
    assert Event.objects.filter(type="challenge.approved").count() > 1


def test_wrong_tokens_are_compared_five_times(shop, challenge, threads):
    told = outcomes(threads([verifying(shop, challenge, wrong_token(challenge))] * 20))
    assert told == {"token_invalid": 4, "attempts_exhausted": 1, "challenge_closed": 15}
    assert Event.objects.filter(type="challenge.attempt_failed").count() == 5


def test_without_the_guards_more_are_compared(shop, challenge, threads, monkeypatch):
    blind_changes(monkeypatch)
    meet_after(monkeypatch, challenges, "locked", 8)
    threads([unlocked(verifying(shop, challenge, wrong_token(challenge)))] * 8)
    assert Event.objects.filter(type="challenge.attempt_failed").count() > 5


# --- against one other ------------------------------------------------------------------------------------------------


def race(shop, challenge, threads, monkeypatch, other, guard=lambda call: call):
    """Another call comes while the right token is being judged."""
    token = token_of(challenge)
    travel(timedelta(seconds=31))
    pause = Pause(monkeypatch, Challenge, "judge")
    return threads([guard(verifying(shop, challenge, token)), guard(pause.then(other(shop, challenge)))])


@pytest.mark.parametrize("other", [resending, cancelling])
def test_right_token_and_what_would_void_it_do_not_both_win(shop, challenge, threads, monkeypatch, other):
    verified, lost = race(shop, challenge, threads, monkeypatch, other)
    assert (verified.status, lost.code) == ("approved", "challenge_closed")
    assert Challenge.objects.get().generation == 1


@pytest.mark.parametrize(("other", "both"), [(resending, ("approved", 2)), (cancelling, ("approved", 1))])
def test_without_the_guards_both_win(shop, challenge, threads, monkeypatch, other, both):
    blind_changes(monkeypatch)
    results = race(shop, challenge, threads, monkeypatch, other, unlocked)
    assert not [result for result in results if isinstance(result, Exception)]
    stored = Challenge.objects.get()
    assert (stored.status, stored.generation) == both


# --- budgets without a row to lock ------------------------------------------------------------------------------------


def opening(shop, address=NEW):
    return partial(contact_challenge, shop, "email", address)


def test_one_address_is_sent_one_verification_at_a_time(shop, threads):
    assert outcomes(threads([opening(shop)] * 8)) == {"done": 1, "resend_cooldown": 7}
    assert Delivery.objects.count() == 1


def test_without_the_turn_it_is_sent_several(shop, threads, monkeypatch):
    meet_after(monkeypatch, issuing, "ensure_sends", 4)
    threads([unlocked(opening(shop))] * 4)
    assert Delivery.objects.count() > 1


def test_verifications_of_different_addresses_wait_for_no_one_another(shop, threads, monkeypatch):
    """Nobody has an account yet, and so there is nobody whose turn they would all take."""
    meet_after(monkeypatch, contact_verifications.facts, "budgets", 4)
    told = outcomes(threads([opening(shop, f"{number}@example.com") for number in range(4)]))
    assert told == {"done": 4}


def test_challenges_of_a_participant_are_limited_exactly(shop, threads):
    told = outcomes(threads([partial(step_up, shop)] * 8))
    assert told == {"done": 3, "too_many_open_challenges": 5}


def test_without_the_guards_more_are_opened(shop, threads, monkeypatch):
    meet_after(monkeypatch, issuing, "ensure_opens", 5)
    threads([unlocked(partial(step_up, shop))] * 5)
    assert Challenge.objects.count() > 3


# --- registrations ----------------------------------------------------------------------------------------------------


def test_verification_makes_one_participant(shop, threads):
    challenge = contact_challenge(shop)
    token = token_of(challenge)
    told = outcomes(threads([registering(shop, challenge, token, f"p-{number}") for number in range(6)]))
    assert told == {"done": 1, "challenge_closed": 5}
    assert Participant.objects.filter(external_id__startswith="p-").count() == 1
    assert Device.objects.filter(address=challenge.address).count() == 1


def test_without_the_guards_it_makes_several(shop, threads, monkeypatch):
    challenge = contact_challenge(shop)
    token = token_of(challenge)
    blind_changes(monkeypatch)
    # One to a verification, by the database's own constraint: a guard as well.
    monkeypatch.setattr(LoginGrant.objects, "create", lambda **_columns: None)
    meet_after(monkeypatch, challenges, "locked", 3)
    threads([unlocked(registering(shop, challenge, token, f"p-{number}")) for number in range(3)])
    assert Participant.objects.filter(external_id__startswith="p-").count() > 1


def test_same_registration_twice_at_once_is_one(shop, threads):
    challenge = contact_challenge(shop)
    results = threads([registering(shop, challenge, token_of(challenge))] * 4)
    assert sorted(created for _participant, created in results) == [False, False, False, True]
    assert len({participant.pk for participant, _created in results}) == 1
    assert Challenge.objects.get().attempts == 1


def test_one_external_id_with_two_proofs_is_one_participant(shop, threads):
    """Whoever comes second is told so, and has spent nothing."""
    proofs = [contact_challenge(shop) for _number in range(2)]
    told = outcomes(threads([registering(shop, challenge, token_of(challenge)) for challenge in proofs]))
    assert told == {"done": 1, "invalid": 1}
    assert sorted(Challenge.objects.values_list("status", flat=True)) == ["approved", "pending"]


def test_one_name_for_two_registrations_at_once_is_had_by_one(shop, threads):
    """Whoever comes second is told so, and may choose another with the same token."""
    account = Account("ana@example.com", factories.PASSWORD)
    proofs = [contact_challenge(shop) for _number in range(2)]
    calls = [registering(shop, proof, token_of(proof), f"p-{proof.pk}", account=account) for proof in proofs]
    assert outcomes(threads(calls)) == {"done": 1, "invalid": 1}
    assert sorted(Challenge.objects.values_list("status", flat=True)) == ["approved", "pending"]


def test_registration_and_verification_at_once_are_both_right(shop, threads):
    challenge = contact_challenge(shop)
    token = token_of(challenge)
    results = threads([registering(shop, challenge, token), verifying(shop, challenge, token)])
    assert not [result for result in results if isinstance(result, Exception)]
    assert Challenge.objects.get().participant is not None


# --- a hundred in a row -----------------------------------------------------------------------------------------------


def failing(shop, challenge):
    return verifying(shop, challenge, wrong_token(challenge))


@pytest.fixture
def answered_by_one():
    """Two people's purchases, both of which one approver's phone answers: two rows to lock, and one device."""
    company = Company()
    colleague = factories.participant(company.campaign)
    factories.device(colleague)
    company.entitle(company.director, requester=colleague)
    first = company.ask()
    second = company.ask(participant=colleague.external_id)
    assert first.challenge.device_id == second.challenge.device_id
    return company, [first, second]


def test_no_wrong_token_in_a_row_is_lost(answered_by_one, threads):
    company, rows = answered_by_one
    told = outcomes(threads([lambda row=row: confirm(company, row, wrong_token(row.challenge)) for row in rows * 3]))
    assert told == {"token_invalid": 6}
    assert Device.objects.get(pk=rows[0].challenge.device_id).failures == 6


def test_counted_by_what_was_read_one_is_lost(answered_by_one, threads, monkeypatch):
    company, rows = answered_by_one
    monkeypatch.setattr(failures, "F", lambda _column: 0)
    meet_after(monkeypatch, Challenge, "judge", 2)
    threads([lambda row=row: confirm(company, row, wrong_token(row.challenge)) for row in rows])
    assert Device.objects.get(pk=rows[0].challenge.device_id).failures == 1


def test_device_is_held_once(shop, threads):
    Device.objects.update(failures=99)
    told = outcomes(threads([failing(shop, step_up(shop, f"step_up:{number}")) for number in range(3)]))
    assert told == {"token_invalid": 1, "onboarding_incomplete": 2}
    assert Event.objects.filter(type="device.held").count() == 1


def test_without_the_guards_guesses_go_on_beyond_the_last(shop, threads, monkeypatch):
    Device.objects.update(failures=99)
    opened = [step_up(shop, f"step_up:{number}") for number in range(3)]
    blind_changes(monkeypatch)
    meet_after(monkeypatch, challenges, "locked", 3)
    threads([unlocked(failing(shop, challenge)) for challenge in opened])
    assert Device.objects.get().failures > 100
