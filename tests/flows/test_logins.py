from __future__ import annotations

import logging
from datetime import timedelta

import pytest
from django.contrib.auth import get_user_model
from django.contrib.auth.backends import BaseBackend

from tests import factories
from tests.canary import texts_of
from tests.factories import PASSWORD, account, contact_challenge, token_of, wrong_token
from tests.logins import asked_for, log_in
from tests.statements import record_statements
from tests.stories import deliver_due, refused, stored, travel, unchanged
from twofa.channels.memory import outbox
from twofa.exceptions import (
    AttemptsExhausted,
    ChallengeClosed,
    InvalidCredentials,
    NotActive,
    OnboardingIncomplete,
    ResendCooldown,
    TokenExpired,
    TokenInvalid,
    TokenMalformed,
    TokenRequired,
    TokenSuperseded,
    Unavailable,
)
from twofa.flows import challenges, logins, participants, sweeps
from twofa.flows.accounts import Account
from twofa.flows.logins import Credentials
from twofa.flows.registrations import Proof
from twofa.models import AccessToken, Campaign, Challenge, Device, Event, LoginBudget, LoginGrant, Participant
from twofa.models.clock import now

pytestmark = pytest.mark.django_db

COOLDOWN = timedelta(seconds=31)


@pytest.fixture
def name(shop) -> str:
    return account(shop.participant)


def told(type_: str) -> int:
    return Event.objects.filter(type=type_).count()


# --- the password -----------------------------------------------------------------------------------------------------


def refusals(shop, name) -> dict[str, tuple[str, str]]:
    """Ways in which a password is none: name and password, the rows being as they must be for it."""
    inactive = factories.participant(shop.campaign, is_active=False)
    switched_off = factories.participant(shop.campaign)
    get_user_model().objects.filter(pk=switched_off.user_id).update(is_active=False)
    switched_off.user.is_active = False
    stranger = get_user_model().objects.create_user("stranger", password=PASSWORD)
    elsewhere = factories.participant(factories.campaign())
    return {
        "unknown": ("nobody", PASSWORD),
        "wrong": (name, "wrong"),
        "no participant": (stranger.username, PASSWORD),
        "of another campaign": (account(elsewhere), PASSWORD),
        "inactive participant": (account(inactive), PASSWORD),
        "inactive user": (account(switched_off), PASSWORD),
    }


def test_whoever_is_not_let_in_gets_one_answer_for_the_same_work(shop, name):
    log_in_costs = {}
    for cause, (username, password) in refusals(shop, name).items():
        before = stored()
        with record_statements() as statements, pytest.raises(InvalidCredentials) as error:
            log_in(shop, username, password=password)
        log_in_costs[cause] = len(statements)
        assert error.value.params == {}
        changed = {table for table, rows in stored().items() if rows != before[table]}
        assert changed == {"LoginBudget"}, cause
    assert len(set(log_in_costs.values())) == 1, log_in_costs
    assert len(outbox) == 0


def test_wrong_password_touches_no_challenge_and_sends_nothing(shop, name):
    challenge = asked_for(shop, name)
    before = Challenge.objects.values().get()
    with pytest.raises(InvalidCredentials):
        log_in(shop, name, token_of(challenge), password="wrong")
    assert Challenge.objects.values().get() == before


class BrokenBackend(BaseBackend):
    def authenticate(self, request, **credentials):
        raise RuntimeError("the directory is away")


def test_host_whose_backend_fails_lets_nobody_in(shop, name, settings, caplog):
    settings.AUTHENTICATION_BACKENDS = ["tests.flows.test_logins.BrokenBackend"]
    with pytest.raises(Unavailable):
        log_in(shop, name)
    assert not Challenge.objects.exists()
    assert LoginBudget.objects.get().failures == 0
    assert PASSWORD not in "\n".join(texts_of(caplog.records))


def test_campaign_that_was_switched_off_lets_nobody_in(shop, name):
    Campaign.objects.update(is_active=False)
    with refused(NotActive):
        log_in(shop, name)


# --- whether a token is asked for -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("mode", "method", "is_needed"),
    [
        ("off", "none", False),
        ("optional", "none", False),
        ("required", "none", True),
        ("off", "sms", True),
        ("optional", "sms", True),
        ("required", "sms", True),
    ],
)
def test_token_is_asked_of_who_chose_a_method_and_where_the_campaign_demands_it(mode, method, is_needed):
    shop = factories.Shop(two_factor_mode=mode)
    Participant.objects.update(two_factor_method=method)
    name = account(Participant.objects.get())
    if is_needed:
        assert asked_for(shop, name).purpose == "login"
        assert not AccessToken.objects.exists()
    else:
        assert log_in(shop, name).issued.token
        assert not Challenge.objects.exists()


def test_who_has_no_device_is_led_to_onboarding(shop, name):
    Device.objects.all().delete()
    with pytest.raises(OnboardingIncomplete):
        log_in(shop, name)
    assert not AccessToken.objects.exists()


# --- the challenge ----------------------------------------------------------------------------------------------------


def test_right_password_sends_one_token_and_is_told_by_which_method(shop, name):
    with pytest.raises(TokenRequired) as error:
        log_in(shop, name)
    deliver_due()
    assert error.value.method == "sms"
    assert [message.recipient for message in outbox] == [shop.device.address]
    assert not AccessToken.objects.exists()
    with pytest.raises(TokenRequired) as again:
        log_in(shop, name)
    assert again.value.params["challenge"].pk == error.value.params["challenge"].pk
    deliver_due()
    assert len(outbox) == 1


def test_after_the_pause_another_token_is_sent_of_the_same_challenge(shop, name):
    first = asked_for(shop, name)
    travel(COOLDOWN)
    second = asked_for(shop, name)
    assert (second.pk, second.generation, second.resends) == (first.pk, 2, 1)


def test_with_no_message_left_the_last_token_stands_while_it_lives_and_then_a_login_begins_anew(shop, name):
    Campaign.objects.update(max_resends=0)
    challenge = asked_for(shop, name)
    travel(COOLDOWN)
    with pytest.raises(TokenRequired):
        log_in(shop, name)
    assert Challenge.objects.get().generation == 1
    travel(timedelta(minutes=10))
    token = token_of(challenge)
    with pytest.raises(TokenExpired):
        log_in(shop, name, token)
    fresh = asked_for(shop, name)
    assert fresh.pk != challenge.pk
    assert Challenge.objects.get(pk=challenge.pk).status == "cancelled"
    assert log_in(shop, name, token_of(fresh))


def test_new_challenge_is_no_way_around_the_pause(shop, name):
    challenge = asked_for(shop, name)
    challenges.cancel(challenge.pk, storefront=shop.storefront, actor=shop.actor)
    with pytest.raises(ResendCooldown):
        log_in(shop, name)
    assert Challenge.objects.count() == 1


def test_challenge_of_another_storefront_is_not_answered(shop, name):
    other = factories.storefront(shop.campaign)
    challenge = asked_for(shop, name)
    travel(COOLDOWN)
    with pytest.raises(TokenRequired) as error:
        log_in(shop, name, token_of(challenge), storefront=other)
    assert error.value.params["challenge"].pk != challenge.pk
    assert not AccessToken.objects.exists()


# --- the token --------------------------------------------------------------------------------------------------------


def test_right_token_gives_an_access_token_once(shop, name):
    challenge = asked_for(shop, name)
    token = token_of(challenge)
    done = log_in(shop, name, token)
    assert (done.participant, done.issued.expires_in) == (shop.participant, 3600)
    assert (told("participant.logged_in"), told("challenge.approved")) == (1, 1)
    assert Event.objects.get(type="participant.logged_in").data == {"proved_by": "token"}
    with pytest.raises(ChallengeClosed) as error:
        log_in(shop, name, token)
    assert error.value.params["challenge"].pk == challenge.pk
    assert AccessToken.objects.count() == 1


def test_wrong_tokens_are_charged_to_the_challenge_until_it_is_rejected(shop, name):
    challenge = asked_for(shop, name)
    wrong, right = wrong_token(challenge), token_of(challenge)
    with pytest.raises(TokenMalformed):
        log_in(shop, name, "7K")
    for remaining in (4, 3, 2, 1):
        with pytest.raises(TokenInvalid) as error:
            log_in(shop, name, wrong)
        assert error.value.params == {"attempts_remaining": remaining}
    with pytest.raises(AttemptsExhausted):
        log_in(shop, name, wrong)
    with pytest.raises(ChallengeClosed):
        log_in(shop, name, right)
    assert not AccessToken.objects.exists()
    assert Challenge.objects.get().status == "rejected"


def test_token_that_was_replaced_is_told_apart_and_charged(shop, name):
    old = token_of(asked_for(shop, name))
    travel(COOLDOWN)
    asked_for(shop, name)
    with pytest.raises(TokenSuperseded):
        log_in(shop, name, old)
    assert Challenge.objects.get().attempts == 1


def test_token_before_there_was_a_challenge_asks_for_one(shop, name):
    with pytest.raises(TokenRequired):
        log_in(shop, name, "7K2M9Q")
    assert Challenge.objects.get().attempts == 0


def test_token_of_another_purpose_logs_nobody_in(shop, name):
    redemption = shop.open()
    step_up = factories.step_up(shop)
    travel(COOLDOWN)
    login = asked_for(shop, name)
    for other in (redemption.challenge, step_up):
        with pytest.raises(TokenInvalid):
            log_in(shop, name, token_of(other))
    assert Challenge.objects.get(pk=login.pk).attempts == 2
    assert not AccessToken.objects.exists()


class BrokenIssuer:
    def issue(self, **_asked):
        raise RuntimeError("away")

    def authenticate(self, _text):
        return None


def test_token_is_used_up_even_where_the_issuer_fails(shop, name, settings):
    token = token_of(asked_for(shop, name))
    settings.TWOFA_ACCESS_TOKEN_ISSUER = BrokenIssuer
    with pytest.raises(Unavailable):
        log_in(shop, name, token)
    del settings.TWOFA_ACCESS_TOKEN_ISSUER
    with pytest.raises(ChallengeClosed):
        log_in(shop, name, token)
    assert told("participant.logged_in") == 0


def test_nothing_of_a_login_is_kept_or_logged_but_digests(shop, name, caplog):
    caplog.set_level(logging.DEBUG)
    token = token_of(asked_for(shop, name))
    done = log_in(shop, name, token)
    kept = repr(stored())
    for secret in (PASSWORD, token, done.issued.token, done.issued.token.split("_", 3)[3], name):
        assert secret not in kept
        assert secret not in "\n".join(texts_of(caplog.records))
    assert repr(done.issued) == "Issued(expires_in=3600)"
    assert PASSWORD not in repr(Credentials(name, PASSWORD, token))


# --- the grant of a registration --------------------------------------------------------------------------------------


def registered(shop, method="sms"):
    """A new participant with an account, and the token that registered them."""
    Campaign.objects.update(default_method=method)
    shop.campaign.refresh_from_db()
    challenge = contact_challenge(shop, "sms")
    token = token_of(challenge)
    participant, _created = participants.register(
        campaign=shop.campaign,
        external_id="bia",
        name="Bia Lima",
        storefront=shop.storefront,
        actor=shop.actor,
        proof=Proof(challenge.pk, token),
        account=Account("bia@example.com", PASSWORD),
    )
    return participant, token


def test_token_of_the_registration_serves_for_the_first_login_and_once(shop):
    participant, token = registered(shop)
    assert log_in(shop, "bia@example.com", token).participant == participant
    assert Event.objects.get(type="participant.logged_in").data == {"proved_by": "registration"}
    with pytest.raises(TokenRequired):
        log_in(shop, "bia@example.com", token)
    assert (AccessToken.objects.count(), Challenge.objects.filter(purpose="login").count()) == (1, 1)


def test_grant_ends_with_the_life_of_the_token(shop):
    _participant, token = registered(shop)
    travel(timedelta(minutes=10))
    with pytest.raises(TokenRequired):
        log_in(shop, "bia@example.com", token)
    assert not AccessToken.objects.exists()


def test_grant_is_deleted_with_the_life_of_the_token_and_not_before(shop):
    registered(shop)
    assert (logins.forget(now()), LoginGrant.objects.count()) == (0, 1)
    travel(timedelta(minutes=10))
    assert (sweeps.sweep()["forgotten"], LoginGrant.objects.count()) == (1, 0)


def test_grant_is_of_one_participant_and_one_storefront(shop, name):
    _participant, token = registered(shop)
    with pytest.raises(TokenRequired):
        log_in(shop, name, token)
    with pytest.raises(TokenRequired):
        log_in(shop, "bia@example.com", token, storefront=factories.storefront(shop.campaign))
    assert not AccessToken.objects.exists()
    assert LoginGrant.objects.get().used_at is None


def test_guesses_at_a_grant_are_charged_and_end_it(shop):
    _participant, token = registered(shop)
    wrong = ("0" if token[0] != "0" else "1") + token[1:]
    for remaining in (3, 2, 1):
        with pytest.raises(TokenInvalid) as error:
            log_in(shop, "bia@example.com", wrong)
        assert error.value.params == {"attempts_remaining": remaining}
    with pytest.raises(AttemptsExhausted):
        log_in(shop, "bia@example.com", wrong)
    with pytest.raises(TokenRequired):
        log_in(shop, "bia@example.com", token)
    assert not AccessToken.objects.exists()


def test_open_login_is_what_a_token_answers_and_not_the_grant(shop):
    _participant, token = registered(shop)
    challenge = asked_for(shop, "bia@example.com")
    with pytest.raises(TokenInvalid):
        log_in(shop, "bia@example.com", token)
    assert Challenge.objects.get(pk=challenge.pk).attempts == 1
    assert log_in(shop, "bia@example.com", token_of(challenge)).participant.external_id == "bia"


def test_device_that_was_revoked_since_takes_the_grant_with_it(shop):
    _participant, token = registered(shop)
    Device.objects.filter(participant__external_id="bia").update(held_at="2026-01-01T00:00:00Z", confirmed=False)
    with pytest.raises(OnboardingIncomplete):
        log_in(shop, "bia@example.com", token)
    assert not AccessToken.objects.exists()


def test_registration_that_was_refused_grants_nothing(shop):
    challenge = contact_challenge(shop, "sms")
    with pytest.raises(TokenInvalid):
        participants.register(
            campaign=shop.campaign,
            external_id="bia",
            name="Bia",
            storefront=shop.storefront,
            actor=shop.actor,
            proof=Proof(challenge.pk, wrong_token(challenge)),
            account=Account("bia@example.com", PASSWORD),
        )
    assert not LoginGrant.objects.exists()
    with unchanged():
        assert not get_user_model().objects.filter(username="bia@example.com").exists()
