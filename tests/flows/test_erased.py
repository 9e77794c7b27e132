"""Nothing is written to a row whose person was erased, by whatever call had read it before; and it leads to nobody."""

from __future__ import annotations

import json
from datetime import timedelta

import pytest

from tests import factories
from tests.api.client import Api
from tests.dumps import found_in_tables
from tests.lives import CPF, EXTERNAL_ID, NAME, PHONE, TRACES, Life
from tests.papers import submitted
from tests.stories import STAFF, deliver_due, travel, unchanged
from twofa.exceptions import NotFound, PolicyRefused
from twofa.flows import (
    audits,
    checkouts,
    device_logins,
    devices,
    disclosures,
    erasures,
    methods,
    participants,
    reviews,
    seals,
)
from twofa.flows.registrations import Proof
from twofa.models import Authenticator, Device, IdempotencyRecord, Participant
from twofa.models.clock import now

pytestmark = pytest.mark.django_db


def erase(life: Life, reason: str = "request 17") -> erasures.Erasure:
    return erasures.erase(life.participant, actor=STAFF, reason=reason)


def test_call_that_had_read_the_participant_before_writes_nothing(life):
    stale, device = life.participant, life.shop.device
    order = life.shop.order()
    erasure = erase(life)
    shop = life.shop
    late = [
        lambda: participants.update(stale, storefront=shop.storefront, actor=STAFF, name=NAME, locale="pt-br"),
        lambda: participants.update(stale, storefront=shop.storefront, actor=STAFF, two_factor_method="sms"),
        lambda: participants.enroll(
            campaign=shop.campaign, external_id=erasure.pseudonym, name=NAME, document_number=CPF, actor=STAFF
        ),
        lambda: devices.register(stale, storefront=shop.storefront, channel="sms", address=PHONE, actor=STAFF),
        lambda: devices.resend(device, storefront=shop.storefront, actor=STAFF),
        lambda: devices.reset(device, actor=STAFF, reason=f"{NAME} rang"),
        lambda: methods.set_method(stale, method="sms", by=factories.staff(), actor=STAFF, reason=f"{NAME} rang"),
        lambda: disclosures.show_contact(device, actor=STAFF, reason=f"{NAME} rang"),
        lambda: disclosures.show_document_number(stale, actor=STAFF, reason=f"{NAME} rang"),
        lambda: reviews.claim(stale, reviewer=factories.staff(), actor=STAFF),
        lambda: submitted(stale, "rg", colour="green"),
        lambda: checkouts.open_redemption(
            checkouts.Order(**{**vars(order), "participant": erasure.pseudonym}),
            storefront=shop.storefront, campaign=shop.campaign.slug, actor=shop.actor,
        ),
    ]  # fmt: skip
    # What somebody switches on again is erased all the same.
    Participant.objects.filter(pk=stale.pk).update(is_active=True)
    for call in late:
        with unchanged(), pytest.raises(NotFound):
            call()
    assert found_in_tables(*TRACES) == set()


def test_login_with_a_token_of_one_who_was_erased_is_no_error(life, monkeypatch):
    """django-otp must never see one; and the challenge may have been open when it was looked for."""
    login = factories.login_challenge(life.shop)
    token = factories.token_of(login)
    life._end_what_is_open()
    locked = devices.locked_device

    def late(pk):
        monkeypatch.setattr(device_logins, "locked_device", locked)
        erase(life)
        return locked(pk)

    monkeypatch.setattr(device_logins, "locked_device", late)
    assert device_logins.answer_login(life.shop.device, token) is False


def test_pseudonym_is_refused_over_the_api(life):
    erasure = erase(life)
    path = f"/campaigns/{life.shop.campaign.slug}/participants/{erasure.pseudonym}/"
    answer = life.api.put(path, {"name": NAME, "document_number": CPF}, idempotency_key="again")
    assert (answer.status_code, answer.json()["code"]) == (404, "not_found")
    assert life.api.patch(path, {"name": NAME}, idempotency_key="once-more").status_code == 404
    assert found_in_tables(NAME, CPF) == set()


@pytest.mark.postgres
@pytest.mark.django_db(transaction=True)
def test_change_at_the_same_moment_is_made_before_or_not_at_all(life, threads):
    stale = life.participant

    def change():
        try:
            return participants.update(stale, storefront=life.shop.storefront, actor=STAFF, name=NAME, locale="en")[0]
        except NotFound:
            return None

    _changed, erasure = threads([change, lambda: erase(life)])
    assert life.participant.name == erasure.pseudonym
    assert found_in_tables(*TRACES) == set()


def test_answer_that_was_given_during_the_erasure_is_forgotten_too(life, monkeypatch):
    """An order sent once more is answered with what it is, as long as the name is there."""
    forget = erasures._forget_admin_log
    known = life.participant.redemptions.get(status="completed")
    order = {
        "participant": EXTERNAL_ID,
        "order_id": known.order_id,
        "amount": str(known.amount),
        "description": known.description,
        "items": known.items,
    }

    def meanwhile(participant):
        path = f"/campaigns/{life.shop.campaign.slug}/redemptions/"
        assert life.api.post(path, order, idempotency_key="between").status_code == 200
        assert IdempotencyRecord.objects.filter(key="between", body__contains=EXTERNAL_ID).exists()
        return forget(participant)

    monkeypatch.setattr(erasures, "_forget_admin_log", meanwhile)
    erase(life)
    assert not IdempotencyRecord.objects.filter(key="between").exists()
    assert found_in_tables(*TRACES) == set()


def test_reason_that_staff_gave_during_the_erasure_is_taken_out_too(life, monkeypatch):
    rename = erasures._rename

    def meanwhile(participant, *args):
        disclosures.show_document_number(participant, actor=STAFF, reason=f"{NAME} rang")
        assert found_in_tables(NAME)
        return rename(participant, *args)

    monkeypatch.setattr(erasures, "_rename", meanwhile)
    erase(life)
    assert found_in_tables(*TRACES) == set()
    assert list(audits.Audit().findings()) == []


# --- the user of the host's -------------------------------------------------------------------------------------------


def test_member_whose_user_the_host_resolves_enrolls_again_as_somebody_new(life, settings):
    user = life.participant.user
    settings.TWOFA_USER_RESOLVER = lambda **_given: user
    erase(life)
    body = {"name": NAME, "document_number": CPF}
    answer = life.api.put(life.path, body, idempotency_key="again")
    assert answer.status_code == 201, answer.content
    row = Participant.objects.get(external_id=EXTERNAL_ID)
    assert row.user == user
    assert row.pk != life.participant.pk
    assert row.erased_at is None
    assert Api(factories.key(life.shop.storefront)).get(life.path).status_code == 200


def test_ledger_does_not_lead_to_the_host_s_user(life):
    """Who may delete it then, too."""
    user = life.participant.user
    erase(life)
    placeholder = life.participant.user
    assert placeholder != user
    assert not placeholder.has_usable_password()
    for factor in (Device, Authenticator):
        owners = factor.objects.filter(participant=life.participant).values_list("user", flat=True)
        assert set(owners) == {placeholder.pk}
    factors_before = Device.objects.count(), Authenticator.objects.count()
    user.delete()
    assert (Device.objects.count(), Authenticator.objects.count()) == factors_before
    assert life.participant.redemptions.exists()


def test_contact_that_somebody_registered_with_is_forgotten_where_it_was_nobody_s_yet():
    shop, address = factories.Shop(), "zuleica.q@quaresma.example"
    challenge = factories.contact_challenge(shop, address=address)
    deliver_due()
    new, _created = participants.register(
        campaign=shop.campaign,
        external_id=EXTERNAL_ID,
        storefront=shop.storefront,
        actor=shop.actor,
        proof=Proof(challenge.pk, factories.token_of(challenge)),
        name=NAME,
    )
    travel(timedelta(hours=1))
    seals.seal(now())
    # A mask as it is in JSON, too: SQLite keeps its letters escaped.
    traces = (address, challenge.destination, json.dumps(challenge.destination)[1:-1])
    assert ("twofa_event", "data") in found_in_tables(*traces)

    erasures.erase(Participant.objects.get(pk=new.pk), actor=STAFF)

    assert found_in_tables(*traces) == set()
    assert [str(finding) for finding in audits.Audit().findings()] == []


# --- why --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "reason",
    ["Zuleica asked", "phone (11) 98765-4321", "CPF 529.982.247-25", "request 17\r\nlevel=ERROR", "request\u202e17"],
)
def test_reason_that_lets_the_person_through_is_refused(life, reason):
    with unchanged(), pytest.raises(PolicyRefused):
        erase(life, reason)
    assert life.participant.erased_at is None
