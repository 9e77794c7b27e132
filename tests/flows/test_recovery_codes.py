from __future__ import annotations

import secrets

import pytest

from tests import factories
from tests.authenticators import App, agreed
from tests.stories import refused, stored, tamper
from twofa.exceptions import Invalid, NotActive, TokenInvalid, TokenMalformed
from twofa.flows import recovery_codes
from twofa.models import Delivery, Event, RecoveryCode

pytestmark = pytest.mark.django_db


@pytest.fixture
def app(monkeypatch) -> App:
    return App(monkeypatch)


@pytest.fixture
def codes(shop) -> list[str]:
    """Ten codes of a participant who has a phone by now."""
    shop.device.delete()
    issued = issue(shop)
    shop.device = factories.device(shop.participant)
    return issued


def issue(shop, authorization=None) -> list[str]:
    return recovery_codes.issue(
        shop.participant, storefront=shop.storefront, actor=shop.actor, authorization=authorization
    )


def use(shop, token, participant=None) -> int:
    return recovery_codes.use(participant or shop.participant, token=token, actor=shop.actor)


def test_there_are_ten_of_eighty_bits_and_none_is_stored(codes):
    assert len(set(codes)) == 10
    assert {tuple(map(len, code.split("-"))) for code in codes} == {(4, 4, 4, 4)}
    text = repr(stored())
    assert not [code for code in codes if code in text or code.replace("-", "") in text]
    assert {len(bytes(row.hash)) for row in RecoveryCode.objects.all()} == {32}


def test_each_is_taken_once_and_every_contact_is_told(shop, codes):
    factories.device(shop.participant, "email")
    assert [use(shop, code) for code in codes[:2]] == [9, 8]
    assert Delivery.objects.filter(event="recovery_codes.used").count() == 4
    assert Event.objects.filter(type="recovery_codes.used").count() == 2
    for code in codes[:2]:
        with pytest.raises(TokenInvalid):
            use(shop, code)
    assert RecoveryCode.objects.filter(used_at=None).count() == 8
    assert Delivery.objects.filter(event="recovery_codes.used").count() == 4


def test_used_code_is_not_good_again_in_another_spelling(shop, codes):
    use(shop, codes[0])
    for spelling in (codes[0].lower(), codes[0].replace("-", ""), f" {codes[0]} ", codes[0].replace("0", "o")):
        with pytest.raises(TokenInvalid):
            use(shop, spelling)


def test_code_is_taken_as_people_write_it(shop, codes):
    written = codes[0].lower().replace("-", " ").replace("0", "o").replace("1", "l")
    assert use(shop, written) == 9


@pytest.mark.parametrize("token", [None, 1, "", "ABCD", "U" * 16, "0" * 17, "0" * 65])
def test_what_is_no_code_is_not_looked_up(shop, codes, token):
    with refused(TokenMalformed):
        use(shop, token)


def test_wrong_code_leaves_a_trace_and_uses_none(shop, codes):
    with pytest.raises(TokenInvalid):
        use(shop, "0000-0000-0000-0000")
    assert Event.objects.get(type="recovery_codes.refused").participant_id == shop.participant.pk
    assert not RecoveryCode.objects.exclude(used_at=None).exists()
    assert use(shop, codes[0]) == 9


def test_code_is_its_owners_alone(shop, codes):
    other = factories.participant(shop.campaign)
    with pytest.raises(TokenInvalid):
        use(shop, codes[0], other)
    RecoveryCode.objects.filter(used_at=None).update(participant=other)
    with pytest.raises(TokenInvalid):
        use(shop, codes[0], other)


def test_new_set_needs_the_factor_that_stands_and_voids_the_old_one(shop, codes):
    with refused(Invalid):
        issue(shop)
    challenge = agreed(shop, "step_up:recovery_codes")
    new = issue(shop, challenge.pk)
    assert not set(new) & set(codes)
    with pytest.raises(TokenInvalid):
        use(shop, codes[0])
    assert use(shop, new[0]) == 9
    with refused(Invalid):
        issue(shop, challenge.pk)


def test_agreement_to_another_change_brings_no_codes(shop, codes):
    challenge = agreed(shop, "step_up:authenticator_add")
    with refused(Invalid):
        issue(shop, challenge.pk)


def test_code_outlives_the_key_it_was_made_with_as_long_as_that_is_in_the_ring(shop, codes, settings):
    old, new = dict(settings.TWOFA_TOKEN_KEYS), {"new": secrets.token_bytes(32)}
    settings.TWOFA_TOKEN_KEYS = {**new, **old}
    assert use(shop, codes[0]) == 9
    settings.TWOFA_TOKEN_KEYS = new
    with pytest.raises(TokenInvalid):
        use(shop, codes[1])


def test_whoever_is_switched_off_recovers_nothing(shop, codes):
    tamper(shop.participant, is_active=False)
    with refused(NotActive):
        use(shop, codes[0])
