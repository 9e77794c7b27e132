from __future__ import annotations

from datetime import timedelta

import pytest
from django.contrib.auth import get_user_model

from tests import factories
from tests.factories import access_token, account, link_of, token_of
from tests.logins import asked_for, log_in
from tests.stories import STAFF, refused, travel, unchanged
from twofa.exceptions import ChallengeClosed, NotAuthenticated, NotFound, Unavailable
from twofa.flows import access_tokens, denials, devices, erasures
from twofa.flows.access_tokens import Bearer, Issued, OpaqueIssuer
from twofa.models import AccessToken, Event, Participant, Storefront
from twofa.models.clock import now

pytestmark = pytest.mark.django_db


@pytest.fixture
def text(shop) -> str:
    account(shop.participant)
    return access_token(shop)


def is_open(text: str) -> bool:
    try:
        access_tokens.authenticate(text)
    except NotAuthenticated:
        return False
    return True


def test_token_says_who_calls_and_by_way_of_whom(shop, text):
    bearer = access_tokens.authenticate(text)
    assert (bearer.participant, bearer.storefront) == (shop.participant, shop.storefront)
    assert AccessToken.objects.get().last_used_at is not None
    with unchanged():
        access_tokens.authenticate(text)


def test_only_a_hash_of_it_is_kept(text):
    row = AccessToken.objects.get()
    assert bytes(row.hashed_token) == AccessToken.digest(text)
    assert text.startswith(str(row).removesuffix("…"))


@pytest.mark.parametrize(
    "spoil",
    [lambda t: t[:-1], lambda t: t + "x", str.upper, lambda t: t[:-1] + "\0", lambda _t: ""],
    ids=["cut", "longer", "upper", "NUL", "empty"],
)
def test_what_is_not_exactly_the_token_opens_nothing(text, spoil):
    with refused(NotAuthenticated):
        access_tokens.authenticate(spoil(text))


def switch_off(shop):
    Participant.objects.update(is_active=False)


def switch_user_off(shop):
    get_user_model().objects.filter(pk=shop.participant.user_id).update(is_active=False)


def change_password(shop):
    user = get_user_model().objects.get(pk=shop.participant.user_id)
    user.set_password("another horse battery")
    user.save()


def close_storefront(shop):
    Storefront.objects.update(is_active=False)


def take_campaign_away(shop):
    shop.storefront.campaigns.clear()


def revoke(shop):
    access_tokens.revoke(AccessToken.objects.get(), actor=STAFF, reason="asked for")


def reset_device(shop):
    devices.reset(shop.device, actor=STAFF, reason="Phone stolen.")


def deny(shop):
    denials.deny(*factories.link_of(factories.login_challenge(shop)))


def erase(shop):
    erasures.erase(shop.participant, actor=STAFF)


def wait(shop):
    travel(timedelta(hours=1))


@pytest.mark.parametrize(
    "event",
    [
        switch_off, switch_user_off, change_password, close_storefront, take_campaign_away, revoke, reset_device, deny,
        erase, wait,
    ],
)  # fmt: skip
def test_what_ends_the_trust_ends_the_token(shop, text, event):
    assert is_open(text)
    event(shop)
    assert not is_open(text)


def test_secret_key_that_was_rotated_ends_no_token(text, settings):
    settings.SECRET_KEY, settings.SECRET_KEY_FALLBACKS = "another" * 10, [settings.SECRET_KEY]
    assert is_open(text)
    settings.SECRET_KEY_FALLBACKS = []
    assert not is_open(text)


def test_life_is_what_the_setting_says(shop, settings):
    settings.TWOFA_ACCESS_TOKEN_TTL = timedelta(minutes=5)
    assert OpaqueIssuer().issue(participant=shop.participant, storefront=shop.storefront).expires_in == 300
    row = AccessToken.objects.get()
    assert row.expires_at - row.created_at == timedelta(minutes=5)


def test_revoking_is_told_once_with_its_reason(shop, text):
    token = AccessToken.objects.get()
    access_tokens.revoke(token, actor=STAFF, reason="App lost.")
    with unchanged():
        access_tokens.revoke(token, actor=STAFF, reason="App lost.")
    event = Event.objects.get(type="participant.tokens_revoked")
    assert (event.participant_id, event.actor, event.data) == (
        shop.participant.pk, "maria", {"count": 1, "reason": "App lost."},
    )  # fmt: skip


def test_reset_of_a_device_revokes_all_that_are_live_and_nobody_elses(shop, text):
    access_token(shop)
    AccessToken.objects.filter(pk=AccessToken.objects.latest("pk").pk).update(expires_at=now())
    access_token(shop)
    access_token(shop, factories.participant(shop.campaign))
    reset_device(shop)
    assert Event.objects.get(type="participant.tokens_revoked").data == {"count": 2, "reason": "device_reset"}
    assert AccessToken.objects.filter(revoked_at=None).exclude(participant=shop.participant).count() == 1


def test_nobody_who_was_erased_gets_a_token(shop, text):
    erase(shop)
    assert not AccessToken.objects.exists()
    with refused(NotFound):
        OpaqueIssuer().issue(participant=shop.participant, storefront=shop.storefront)


def test_tokens_that_expired_long_ago_are_forgotten(shop, text):
    travel(timedelta(hours=1))
    assert access_tokens.forget(now()) == 0
    travel(access_tokens.KEPT)
    assert access_tokens.forget(now()) == 1


class Directory:
    """An issuer of a host's: what it wrote it knows again."""

    def issue(self, *, participant, storefront):
        return Issued(f"jwt.{storefront.pk}.{participant.pk}", 60)

    def authenticate(self, text):
        mark, storefront, participant = text.split(".")
        assert mark == "jwt"
        return Bearer(Participant.objects.get(pk=participant), Storefront.objects.get(pk=storefront))


def test_host_may_issue_tokens_of_its_own(shop, settings):
    settings.TWOFA_ACCESS_TOKEN_ISSUER = f"{__name__}.Directory"
    issued = access_tokens.issue(shop.participant, storefront=shop.storefront)
    assert access_tokens.authenticate(issued.token) == Bearer(shop.participant, shop.storefront)
    assert not AccessToken.objects.exists()
    with refused(Unavailable):
        access_tokens.authenticate("nonsense")


@pytest.mark.parametrize("lose", ["deny", "reset", "nothing"])
def test_token_that_is_issued_while_a_factor_is_taken_away_is_given_to_nobody(shop, monkeypatch, lose):
    """An issuer takes its time, and the owner presses “it was not me” meanwhile."""
    name = account(shop.participant)
    login = asked_for(shop, name)
    link, issue = link_of(login), OpaqueIssuer.issue

    def slow(issuer, **about):
        issued = issue(issuer, **about)
        if lose == "deny":
            denials.deny(*link)
        elif lose == "reset":
            devices.reset(shop.device, actor=STAFF, reason="Lost.")
        # As if it had come a moment later.
        AccessToken.objects.update(revoked_at=None)
        return issued

    monkeypatch.setattr(OpaqueIssuer, "issue", slow)
    if lose == "nothing":
        assert log_in(shop, name, token_of(login))
        return
    with pytest.raises(ChallengeClosed):
        log_in(shop, name, token_of(login))
    assert not AccessToken.objects.filter(revoked_at=None).exists()
    assert not Event.objects.filter(type="participant.logged_in").exists()


@pytest.mark.parametrize(
    ("model", "changes"),
    [
        (Participant, {"is_active": False}),
        (Participant, {"erased_at": "2026-01-01T00:00:00Z"}),
        (Storefront, {"is_active": False}),
        (get_user_model(), {"is_active": False}),
    ],
    ids=["participant", "erased", "storefront", "user"],
)
def test_whom_staff_switched_off_calls_no_more_whoever_issued_the_token(shop, settings, model, changes):
    settings.TWOFA_ACCESS_TOKEN_ISSUER = f"{__name__}.Directory"
    issued = access_tokens.issue(shop.participant, storefront=shop.storefront)
    model.objects.update(**changes)
    with refused(NotAuthenticated):
        access_tokens.authenticate(issued.token)
