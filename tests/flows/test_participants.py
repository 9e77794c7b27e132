from __future__ import annotations

import pytest
from django.contrib.auth import get_user_model

from tests import factories
from tests.factories import token_of
from tests.stories import deliver_due, refused, unchanged
from twofa.channels.memory import outbox
from twofa.exceptions import Invalid, OnboardingIncomplete, Unavailable
from twofa.flows import devices, participants
from twofa.models import Event, Participant

pytestmark = pytest.mark.django_db

CPF = "529.982.247-25"


def enroll(shop, external_id: str = "u-42", **columns):
    given = {"name": "Bea", **columns}
    return participants.enroll(campaign=shop.campaign, external_id=external_id, actor=shop.actor, **given)


def update(shop, **columns):
    return participants.update(shop.participant, storefront=shop.storefront, actor=shop.actor, **columns)


def test_new_participant_gets_a_user_who_cannot_sign_in(shop):
    participant, created = enroll(shop, locale="pt-br", document_number=CPF)
    assert created
    assert not participant.user.has_usable_password()
    assert (participant.name, participant.locale, participant.document_number) == ("Bea", "pt-br", "52998224725")
    event = Event.objects.get(type="participant.enrolled", participant=participant)
    assert "52998224725" not in str(event.data)


def test_known_participant_is_updated_and_what_is_left_out_stays(shop):
    first, _created = enroll(shop, locale="es", document_number=CPF)
    again, created = enroll(shop, name="Beatriz")
    assert (again.pk, created, again.name, again.locale) == (first.pk, False, "Beatriz", "es")
    assert again.document_number == "52998224725"
    event = Event.objects.get(type="participant.updated")
    assert event.data == {"columns": ["name"]}
    with unchanged():
        enroll(shop, name="Beatriz", document_number="529 982 247 25")


def test_new_participant_needs_a_name(shop):
    with refused(Invalid) as refusal:
        participants.enroll(campaign=shop.campaign, external_id="u-42", actor=shop.actor)
    assert refusal.value.params["errors"][0]["field"] == "name"


@pytest.mark.parametrize("number", ["529.982.247-26", "11111111111", "11.222.333/0001-82"])
def test_document_with_wrong_check_digits_is_refused(shop, number):
    with refused(Invalid) as refusal:
        enroll(shop, document_number=number)
    assert refusal.value.params["errors"][0]["code"] == "invalid_document"
    assert number not in str(refusal.value.params)


@pytest.mark.parametrize(
    ("given", "stored"), [("11.222.333/0001-81", "11222333000181"), (" AB 123 ", "AB 123"), ("", ""), ("123", "123")]
)
def test_other_documents_are_text(shop, given, stored):
    assert enroll(shop, document_number=given)[0].document_number == stored


def test_document_number_is_one_participants(shop):
    enroll(shop, document_number=CPF)
    for spelling in (CPF, "52998224725"):
        with refused(Invalid) as refusal:
            enroll(shop, "u-43", document_number=spelling)
        assert refusal.value.params["errors"][0]["code"] == "not_unique"
    elsewhere = factories.Shop()
    assert enroll(elsewhere, document_number=CPF)[1]


def test_default_method_is_stamped_on_new_participants_only(shop):
    old, _created = enroll(shop, "u-1")
    shop.campaign.default_method = "email"
    shop.campaign.save()
    new, _created = enroll(shop, "u-2")
    enroll(shop, "u-1", name="Other")
    methods = Participant.objects.in_bulk([old.pk, new.pk])
    assert (methods[old.pk].two_factor_method, methods[new.pk].two_factor_method) == ("none", "email")


def test_host_may_choose_the_user(shop, settings):
    user = get_user_model().objects.create_user("bea")
    settings.TWOFA_USER_RESOLVER = lambda **_given: user
    assert enroll(shop)[0].user == user


def test_failing_resolver_of_the_host_enrolls_nobody(shop, settings):
    def resolver(**_given):
        get_user_model().objects.create_user("half done")
        raise RuntimeError

    settings.TWOFA_USER_RESOLVER = resolver
    with refused(Unavailable):
        enroll(shop)
    assert not get_user_model().objects.filter(username="half done").exists()


@pytest.mark.parametrize("answer", [None, "bea", 42, get_user_model()], ids=str)
def test_resolver_that_gives_no_user_enrolls_nobody(shop, settings, answer):
    settings.TWOFA_USER_RESOLVER = lambda **_given: answer
    with refused(Unavailable):
        enroll(shop)


def test_user_of_another_participant_is_not_taken_a_second_time(shop, settings):
    settings.TWOFA_USER_RESOLVER = lambda **_given: shop.participant.user
    with refused(Invalid) as refusal:
        enroll(shop)
    assert refusal.value.params["errors"][0]["code"] == "user_taken"
    elsewhere = factories.Shop.__new__(factories.Shop)
    elsewhere.campaign, elsewhere.actor = factories.campaign(), shop.actor
    assert enroll(elsewhere)[0].user == shop.participant.user


# --- method -----------------------------------------------------------------------------------------------------------


def test_method_needs_an_active_device_of_its_kind(shop):
    for method in ("email", "whatsapp", "totp"):
        with refused(OnboardingIncomplete) as refusal:
            update(shop, two_factor_method=method)
        assert refusal.value.params["missing"] == ["device"]
    participant, authorization = update(shop, two_factor_method="sms")
    assert (participant.two_factor_method, authorization) == ("sms", None)


def test_switching_off_needs_a_token_of_the_present_device(shop):
    update(shop, two_factor_method="sms")
    participant, authorization = update(shop, two_factor_method="none", name="Bea")
    assert (participant.two_factor_method, participant.name) == ("sms", "Bea")
    assert authorization.action == "switch_off"
    deliver_due()
    (message,) = outbox
    assert message.token == token_of(authorization)
    devices.authorize(shop.device, storefront=shop.storefront, token=message.token, actor=shop.actor)
    assert Participant.objects.get(pk=participant.pk).two_factor_method == "none"
    assert Event.objects.filter(type="participant.switched_off").count() == 1
    deliver_due()
    assert outbox[1].event == "participant.switched_off"


def test_switching_off_without_any_device_needs_no_token(shop):
    shop.participant.two_factor_method = "sms"
    shop.participant.save()
    shop.device.delete()
    participant, authorization = update(shop, two_factor_method="none")
    assert (participant.two_factor_method, authorization) == ("none", None)


def test_update_that_changes_nothing_leaves_no_trace(shop):
    with unchanged():
        update(shop, name=shop.participant.name, two_factor_method="none")
