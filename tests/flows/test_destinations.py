from __future__ import annotations

from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid4

import pytest

from tests import factories
from twofa.exceptions import ChannelUnavailable, DestinationNotAllowed, NotFound, OnboardingIncomplete
from twofa.flows import destinations
from twofa.models import Campaign, Device, Participant

T = datetime(2026, 11, 22, 12, tzinfo=UTC)
ADDRESSES = {"sms": "+5511999990034", "whatsapp": "+5511999990035", "email": "ana@example.com"}


def device(channel: str, **columns) -> Device:
    given = {"uuid": uuid4(), "address": ADDRESSES[channel], "status": "active", "usable_from": T, **columns}
    return Device(channel=channel, **given)


def choose(
    *devices: Device, allowed=("sms", "whatsapp", "email"), method="none", countries=(), off=(), **wanted
) -> Device:
    switches = {f"login.token/{channel}": False for channel in off}
    campaign = Campaign(allowed_channels=list(allowed), allowed_countries=list(countries), message_switches=switches)
    return destinations.choose(
        devices,
        participant=Participant(two_factor_method=method),
        campaign=campaign,
        at=T,
        allowed_channels=list(allowed),
        event="login.token",
        **wanted,
    )


def test_preferred_method_comes_first_then_the_default_then_the_order_of_the_policy():
    sms, whatsapp, email = device("sms"), device("whatsapp"), device("email")
    assert choose(email, whatsapp, sms) is sms
    assert choose(email, whatsapp, sms, allowed=("email", "sms")) is email
    whatsapp.is_default = True
    assert choose(email, whatsapp, sms) is whatsapp
    assert choose(email, whatsapp, sms, method="email") is email
    assert choose(whatsapp, sms, method="email") is whatsapp


def test_choice_of_the_caller_is_served_or_refused():
    sms, email = device("sms"), device("email")
    assert choose(sms, email, channel="email") is email
    assert choose(sms, email, device=email.uuid) is email
    assert choose(sms, email, device=email.uuid, channel="email") is email
    with pytest.raises(NotFound):
        choose(sms, email, device=email.uuid, channel="sms")
    with pytest.raises(NotFound):
        choose(sms, device=UUID(int=0))
    with pytest.raises(ChannelUnavailable):
        choose(sms, channel="email")
    with pytest.raises(ChannelUnavailable):
        choose(sms, email, channel="email", allowed=("sms",))


def test_device_that_cools_off_is_waited_for():
    cooling = device("sms", usable_from=T + timedelta(milliseconds=1))
    with pytest.raises(OnboardingIncomplete) as refusal:
        choose(cooling)
    action = refusal.value.params["next_action"]
    assert (action.type, action.available_at) == ("wait", cooling.usable_from)
    email = device("email")
    assert choose(cooling, email) is email
    with pytest.raises(ChannelUnavailable):
        choose(cooling, email, channel="sms")


def test_no_device_at_all_means_onboarding():
    with pytest.raises(OnboardingIncomplete) as refusal:
        choose()
    assert refusal.value.params["next_action"].type == "onboarding"


def test_countries_of_the_policy_are_kept_to():
    sms, email = device("sms"), device("email")
    assert choose(sms, countries=["BR"]) is sms
    assert choose(sms, email, countries=["PT"]) is email
    with pytest.raises(DestinationNotAllowed):
        choose(sms, countries=["PT"])
    with pytest.raises(DestinationNotAllowed):
        choose(sms, email, countries=["PT"], channel="sms")


def next_contacts(
    *devices: Device, tried=(), allowed=("sms", "whatsapp", "email"), countries=(), switches=None
) -> list[Device]:
    campaign = Campaign(
        allowed_channels=list(allowed), allowed_countries=list(countries), message_switches=switches or {}
    )
    return destinations.next_contacts(
        devices, campaign=campaign, at=T, allowed_channels=list(allowed), event="login.token", tried=set(tried)
    )


def test_next_contacts_are_on_channels_not_tried_in_the_order_of_the_policy():
    sms, whatsapp, email = device("sms"), device("whatsapp"), device("email")
    assert next_contacts(sms, whatsapp, email, tried=["sms"]) == [whatsapp, email]
    assert next_contacts(sms, whatsapp, email, tried=["sms"], allowed=("email", "whatsapp")) == [email, whatsapp]
    assert next_contacts(sms, whatsapp, email, tried=["sms", "whatsapp", "email"]) == []
    assert next_contacts(sms, tried=["sms"]) == []


def test_next_contact_of_a_channel_is_the_first_that_may_be_used():
    cooling, first, second = device("email", usable_from=T + timedelta(seconds=1)), device("email"), device("email")
    assert next_contacts(cooling, first, second) == [first]


def test_next_contacts_may_approve_and_may_be_sent_to():
    assert next_contacts(device("email", usable_from=T + timedelta(seconds=1))) == []
    assert next_contacts(device("email", status="revoked")) == []
    assert next_contacts(device("sms"), countries=["PT"]) == []
    assert next_contacts(device("email"), allowed=("sms",)) == []


def test_channel_on_which_the_message_is_switched_off_gives_way_to_the_next():
    sms, email = device("sms"), device("email")
    sms.is_default = True
    assert choose(sms, email, off=["sms"]) is email
    assert next_contacts(sms, email, switches={"login.token/sms": False}) == [email]
    assert next_contacts(sms, email, switches={"device.token/sms": False}) == [sms, email]
    for wanted in ({"channel": "sms"}, {"device": sms.uuid}):
        with pytest.raises(ChannelUnavailable) as error:
            choose(sms, email, off=["sms"], **wanted)
        assert "switched this message off" in str(error.value.detail)


def test_message_that_is_switched_off_everywhere_is_unavailable_and_no_matter_of_onboarding():
    sms, email = device("sms"), device("email")
    with pytest.raises(ChannelUnavailable):
        choose(sms, email, off=["sms", "email"])
    with pytest.raises(ChannelUnavailable):
        choose(sms, off=["sms"])
    with pytest.raises(OnboardingIncomplete):
        choose(sms, off=["sms"], allowed=["email"])
    with pytest.raises(OnboardingIncomplete):
        choose(off=["sms"])


def test_change_of_devices_is_asked_for_where_its_message_is_on():
    sms, email, subject = device("sms", pk=1, is_default=True), device("email", pk=2), device("whatsapp", pk=3)

    def asked(**switches: bool) -> Device:
        campaign = Campaign(message_switches={f"device_change.token/{name}": on for name, on in switches.items()})
        allowed = ["sms", "whatsapp", "email"]
        return destinations.authorizing([sms, email], subject, campaign=campaign, at=T, allowed_channels=allowed)

    assert asked() is sms
    assert asked(sms=False) is email
    with pytest.raises(ChannelUnavailable):
        asked(sms=False, email=False)


def test_registration_needs_a_channel_that_sends_its_token():
    campaign = Campaign(message_switches={"device.token/sms": False})
    with pytest.raises(ChannelUnavailable):
        destinations.ensure_allowed(campaign, "sms", ADDRESSES["sms"], event="device.token")
    destinations.ensure_allowed(campaign, "email", ADDRESSES["email"], event="device.token")


@pytest.mark.parametrize(
    ("switches", "countries", "told"),
    [
        ({}, [], "sms"),
        ({"redemption.rejected/sms": False}, [], "email"),
        ({}, ["PT"], "email"),
        ({"redemption.rejected/sms": False, "redemption.rejected/email": False}, [], None),
    ],
)
def test_notice_goes_to_the_first_device_that_it_may_go_to(switches, countries, told):
    campaign = Campaign(message_switches=switches, allowed_countries=countries)
    devices = [device("sms", usable_from=T + timedelta(days=1)), device("email")]
    found = destinations.for_notice(devices, campaign=campaign, event="redemption.rejected")

    assert (None if found is None else found.channel) == told


@pytest.mark.django_db
def test_devices_are_read_with_the_time_the_default_first():
    participant = factories.participant(factories.campaign())
    assert destinations.devices_of(participant)[0] == []
    first, second = factories.device(participant), factories.device(participant, "email")
    factories.device(participant, "whatsapp", status="revoked", confirmed=False, is_default=False)
    devices, at = destinations.devices_of(participant)
    assert devices == [first, second]
    assert at >= first.usable_from


def test_channel_without_a_provider_carries_nothing(settings):
    settings.TWOFA_CHANNELS = {"email": {"BACKEND": "twofa.channels.memory.MemoryChannel"}}
    email = device("email")
    assert choose(device("sms"), email) is email
    with pytest.raises(ChannelUnavailable):
        destinations.ensure_allowed(
            Campaign(allowed_channels=["sms", "email"]), "sms", ADDRESSES["sms"], event="device.token"
        )
    destinations.ensure_allowed(
        Campaign(allowed_channels=["sms"], test=True), "sms", ADDRESSES["sms"], event="device.token"
    )
    with pytest.raises(DestinationNotAllowed):
        destinations.ensure_allowed(
            Campaign(allowed_channels=["sms"], allowed_countries=["PT"], test=True),
            "sms",
            ADDRESSES["sms"],
            event="device.token",
        )
