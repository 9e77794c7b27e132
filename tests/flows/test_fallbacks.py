"""The day's SMS used up, and what a prefix may get in a day: which contact a token goes to then."""

from __future__ import annotations

from datetime import timedelta

import pytest

from tests import factories
from tests.companies import DIRECTOR, Company, sent_to
from tests.flows.channels import REFUSED, SETTING, ScriptedChannel
from tests.statements import record_statements
from tests.stories import STAFF, deliver_due, refused, resend, states, travel
from twofa.channels.memory import outbox
from twofa.exceptions import SendBudget
from twofa.flows import devices, fallbacks, prefixes
from twofa.flows.recipients import Named
from twofa.models import Campaign, Delivery

pytestmark = pytest.mark.django_db


def capped(**policy) -> factories.Shop:
    """A shop of which one SMS of the day is sent already, by somebody else, to somewhere else."""
    shop = factories.Shop(**policy)
    neighbour = factories.participant(shop.campaign)
    factories.device(neighbour, address="+5521987650001")
    shop.open(participant=neighbour.external_id)
    return shop


def channels() -> list[str]:
    return list(Delivery.objects.order_by("pk").values_list("channel", flat=True))


def test_token_goes_by_sms_while_there_is_one_left():
    shop = capped(sms_per_day=2)
    factories.device(shop.participant, "email")
    shop.open()
    assert channels() == ["sms", "sms"]


def test_token_goes_by_the_next_channel_when_the_sms_are_used_up():
    shop = capped(sms_per_day=1)
    email = factories.device(shop.participant, "email")
    whatsapp = factories.device(shop.participant, "whatsapp")
    redemption = shop.open()
    deliver_due()
    assert outbox[-1].recipient == whatsapp.address
    assert (redemption.challenge.device_id, redemption.challenge.channel) == (whatsapp.pk, "whatsapp")
    type(shop.campaign).objects.update(allowed_channels=["sms", "email", "whatsapp"])
    shop.open()
    deliver_due()
    assert outbox[-1].recipient == email.address


@pytest.mark.parametrize("how", ["channel", "device"])
def test_sms_of_the_callers_choice_is_refused_when_they_are_used_up(how):
    shop = capped(sms_per_day=1)
    factories.device(shop.participant, "email")
    with refused(SendBudget) as info:
        shop.open(**({"channel": "sms"} if how == "channel" else {"device": shop.device.uuid}))
    assert info.value.retry_after == 24 * 3600


@pytest.mark.parametrize("left", ["none", "cooling off", "not allowed", "revoked"])
def test_without_another_contact_it_is_refused(left):
    shop = capped(sms_per_day=1, allowed_channels=["sms", "whatsapp"])
    if left == "cooling off":
        factories.device(shop.participant, "whatsapp", usable_from=shop.device.usable_from + timedelta(days=1))
    if left == "not allowed":
        factories.device(shop.participant, "email")
    if left == "revoked":
        factories.device(shop.participant, "whatsapp", status="revoked", confirmed=False)
    with refused(SendBudget):
        shop.open()


def test_method_that_is_no_sms_does_not_spend_them():
    shop = capped(sms_per_day=1)
    email = factories.device(shop.participant, "email")
    shop.participant.two_factor_method = "email"
    shop.participant.save()
    assert shop.open().challenge.device_id == email.pk


def test_sms_come_back_after_a_day():
    shop = capped(sms_per_day=1)
    travel(timedelta(hours=24))
    shop.open()
    assert channels() == ["sms", "sms"]


def test_sms_of_another_campaign_are_not_counted():
    capped()
    shop = factories.Shop(sms_per_day=1)
    shop.open()
    with refused(SendBudget):
        shop.open()


def test_exempt_redemption_needs_no_sms():
    shop = capped(sms_per_day=1, threshold=1000)
    type(shop.campaign).objects.update(sms_per_day=1)
    assert shop.open().status == "completed"


def test_budget_of_the_next_channel_is_kept_to():
    shop = capped(sms_per_day=1, sends_per_destination_per_day=1)
    factories.device(shop.participant, "email")
    shop.open()
    with refused(SendBudget):
        shop.open()


def test_resend_moves_where_nobody_chose_the_channel():
    shop = factories.Shop(sms_per_day=1)
    redemption = shop.open()
    deliver_due()
    email = factories.device(shop.participant, "email")
    travel(timedelta(seconds=31))
    with refused(SendBudget):
        resend(shop, redemption, channel="sms")
    resend(shop, redemption)
    deliver_due()
    assert outbox[-1].recipient == email.address
    assert states(redemption)[-1] == (2, "email", "sent", "")


def test_resend_of_a_chosen_sms_is_refused():
    shop = factories.Shop(sms_per_day=1)
    redemption = shop.open(channel="sms")
    deliver_due()
    factories.device(shop.participant, "email")
    travel(timedelta(seconds=31))
    with refused(SendBudget):
        resend(shop, redemption)


def test_failover_passes_sms_over_when_they_are_used_up(settings):
    settings.TWOFA_CHANNELS = SETTING
    shop = capped(sms_per_day=1, allowed_channels=["whatsapp", "sms", "email"])
    shop.device.channel = "whatsapp"
    shop.device.save()
    factories.device(shop.participant, "sms")
    factories.device(shop.participant, "email")
    Delivery.objects.update(status="sent")
    redemption = shop.open()
    ScriptedChannel.follow(REFUSED)
    deliver_due()
    deliver_due()
    assert states(redemption) == [(1, "whatsapp", "failed", "message_refused"), (2, "email", "sent", "")]


def test_new_phone_is_not_asked_for_its_token_when_the_sms_are_used_up():
    shop = capped(sms_per_day=1)
    fresh = factories.participant(shop.campaign)
    with refused(SendBudget):
        devices.register(fresh, storefront=shop.storefront, channel="sms", address="+5511999990034", actor=shop.actor)


def test_change_of_devices_is_not_agreed_to_by_another_channel():
    """Whoever reads the mail would wait for the day's SMS to be used up, and let their own device in."""
    shop = capped(sms_per_day=1)
    email = factories.device(shop.participant, "email")
    with refused(SendBudget):
        devices.make_default(email, storefront=shop.storefront, actor=shop.actor)


# --- where another person approves, and of a batch --------------------------------------------------------------------


def company_without_sms() -> Company:
    """A company of which the day's SMS are used up, by somebody else."""
    company = Company(sms_per_day=1)
    neighbour = factories.participant(company.campaign)
    factories.device(neighbour, address="+5521987650001")
    company.open(participant=neighbour.external_id)
    return company


def test_token_of_an_approver_goes_by_their_next_channel_and_is_counted_as_theirs():
    company = company_without_sms()
    factories.device(company.participant, "whatsapp")
    redemption = company.ask()
    assert sent_to(redemption) == company.mail
    assert redemption.approver_id == company.director.pk
    sent = Delivery.objects.get(challenge__redemption=redemption)
    assert (sent.channel, sent.participant_id, sent.prefix) == ("email", company.director.pk, "")


def test_approver_whom_the_campaign_demands_is_asked_by_their_next_channel():
    company = company_without_sms()
    type(company.campaign).objects.update(approver_threshold=100)
    assert sent_to(company.open()) == company.mail


def test_sms_chosen_for_an_approver_is_refused_when_they_are_used_up():
    company = company_without_sms()
    with refused(SendBudget):
        company.ask(channel="sms")


def test_token_of_an_approver_never_goes_to_whoever_asks():
    company = company_without_sms()
    factories.device(company.participant, "email")
    factories.device(company.participant, "whatsapp")
    type(company.mail).objects.filter(pk=company.mail.pk).delete()
    with refused(SendBudget):
        company.ask()


def test_budget_of_a_prefix_is_that_of_the_approvers_phone():
    company = Company(sends_per_prefix_per_day=1)
    assert sent_to(company.ask()) == company.phone
    assert Delivery.objects.get().prefix == company.phone.address[:-4]
    type(company.device).objects.filter(pk=company.device.pk).update(address="+5521987650001")
    assert company.open().challenge.channel == "sms"
    assert sent_to(company.ask()) == company.mail


def test_resend_to_an_approver_moves_on_among_their_contacts():
    company = Company(sms_per_day=1)
    factories.device(company.participant, "whatsapp")
    redemption = company.ask()
    deliver_due()
    travel(timedelta(seconds=31))
    resend(company, redemption)
    deliver_due()
    assert outbox[-1].recipient == company.mail.address
    assert states(redemption)[-1] == (2, "email", "sent", "")


def test_message_to_an_approvers_paused_prefix_moves_on_among_their_contacts():
    company = Company()
    factories.device(company.participant, "whatsapp")
    redemption = company.ask()
    factories.prefix_pause(prefix=company.phone.address[:-4])
    deliver_due()
    deliver_due()
    assert [row[1:] for row in states(redemption)] == [("sms", "failed", "prefix_paused"), ("email", "sent", "")]
    assert outbox[-1].recipient == company.mail.address


def test_token_of_a_batch_goes_by_the_next_channel_and_a_chosen_sms_is_refused():
    shop = capped(sms_per_day=1)
    email = factories.device(shop.participant, "email")
    assert shop.open_batch().challenge.device_id == email.pk
    with refused(SendBudget):
        shop.open_batch(channel="sms")


def test_token_of_a_batch_that_another_person_approves_goes_by_their_next_channel():
    company = company_without_sms()
    batch = company.open_batch(approver=Named(DIRECTOR))
    assert batch.challenge.device_id == company.mail.pk
    assert Delivery.objects.get(challenge=batch.challenge).participant_id == company.director.pk


# --- the budget of a prefix -------------------------------------------------------------------------------------------


def test_prefix_gets_no_more_than_its_budget_in_a_day():
    shop = factories.Shop(sends_per_prefix_per_day=2)
    phones = [f"+55119876500{number:02}" for number in range(3)]
    people = [factories.participant(shop.campaign) for _phone in phones]
    for person, phone in zip(people, phones, strict=True):
        factories.device(person, address=phone)
    for person in people[:2]:
        shop.open(participant=person.external_id)
    with refused(SendBudget):
        shop.open(participant=people[2].external_id)
    prefixes.add_safe_number(phones[2], actor=STAFF, reason="Ours.")
    shop.open(participant=people[2].external_id)
    travel(timedelta(hours=24))
    shop.open(participant=people[0].external_id)


def test_prefix_is_counted_over_all_campaigns():
    other = factories.Shop()
    other.open()
    shop = factories.Shop(sends_per_prefix_per_day=1)
    shop.device.address = other.device.address
    shop.device.save()
    with refused(SendBudget):
        shop.open()
    email = factories.device(shop.participant, "email")
    assert shop.open().challenge.device_id == email.pk


# --- what it costs ----------------------------------------------------------------------------------------------------


def test_open_way_is_one_round_trip_and_a_closed_one_two():
    shop = capped(sms_per_day=2)
    campaign = Campaign.objects.get(pk=shop.campaign.pk)
    contacts = [shop.device, factories.device(shop.participant, "email")]

    def trips() -> int:
        with record_statements() as statements:
            fallbacks.aim(contacts, participant=shop.participant, campaign=campaign)
        return len(statements.executed)

    assert trips() == 1
    campaign.sms_per_day = 1
    assert trips() == 2
