from __future__ import annotations

import re
from collections.abc import Callable
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.test import Client, override_settings

from tests import factories
from tests.admin.conftest import page
from twofa.exceptions import PolicyRefused
from twofa.flows import campaigns, policy_changes
from twofa.flows.history import WORKER
from twofa.models import Campaign, Event

EDITOR = ("view_campaign", "change_campaign", "change_policy")


def values(campaign: Campaign, **changes: Any) -> dict[str, Any]:
    """What a browser sends for the page of this campaign."""
    sent: dict[str, Any] = {"name": campaign.name, "unit": campaign.unit, "two_factor_mode": campaign.two_factor_mode}
    sent |= {"threshold": campaign.threshold or "", "default_method": campaign.default_method}
    sent |= {"completion_mode": campaign.completion_mode, "allowed_countries": ", ".join(campaign.allowed_countries)}
    sent |= {"token_alphabet": campaign.token_alphabet, "token_length": campaign.token_length}
    sent |= {name: getattr(campaign, name) for name in ("max_attempts", "max_resends", "max_open_challenges")}
    sent |= {name: getattr(campaign, name) for name in ("failed_attempts_per_day", "sends_per_destination_per_day")}
    sent |= {"sends_per_participant_per_day": campaign.sends_per_participant_per_day, "sends_per_campaign_per_day": ""}
    sent["shown_version"] = campaign.policy_version
    for number, channel in enumerate([*campaign.allowed_channels, "", "", ""][:3]):
        sent[f"allowed_channels_{number}"] = channel
    for name in ("token_ttl", "resend_cooldown", "redemption_ttl", "device_cooling_off"):
        minutes, seconds = divmod(int(getattr(campaign, name).total_seconds()), 60)
        sent |= {f"{name}_minutes": minutes, f"{name}_seconds": seconds}
    for name in ("schedule_max_ahead", "schedule_grace"):
        hours, minutes = divmod(int(getattr(campaign, name).total_seconds()) // 60, 60)
        sent |= {f"{name}_days": hours // 24, f"{name}_hours": hours % 24, f"{name}_minutes": minutes}
    if campaign.is_active:
        sent["is_active"] = "on"
    return sent | changes


def changed(campaign: Campaign) -> list[Event]:
    return list(Event.objects.filter(campaign=campaign, type="campaign.policy_changed").order_by("pk"))


@pytest.fixture
def campaign(db: None) -> Campaign:
    return factories.campaign()


def test_saved_policy_is_an_event_with_who_before_and_after(campaign: Campaign, staff: Callable[..., Client]):
    sent = values(campaign, max_attempts=3, token_ttl_minutes=2, token_ttl_seconds=30)

    response = staff(*EDITOR).post(page("campaign", "change", campaign.pk), sent)

    assert response.status_code == 302
    campaign.refresh_from_db()
    assert (campaign.max_attempts, campaign.token_ttl) == (3, timedelta(minutes=2, seconds=30))
    assert campaign.policy_version == 2
    (event,) = changed(campaign)
    assert (event.actor_kind, event.actor) == ("staff", "maria")
    assert event.data == {
        "policy_version": 2,
        "before": {"max_attempts": 5, "token_ttl": 300.0},
        "after": {"max_attempts": 3, "token_ttl": 150.0},
    }
    assert event.correlation_id


def test_saved_without_a_change_makes_no_version(campaign: Campaign, boss: Client):
    assert boss.post(page("campaign", "change", campaign.pk), values(campaign)).status_code == 302

    campaign.refresh_from_db()
    assert campaign.policy_version == 1
    assert changed(campaign) == []


def test_friendly_inputs_are_stored_as_the_api_knows_them(campaign: Campaign, boss: Client):
    sent = values(
        campaign,
        allowed_channels_0="email",
        allowed_channels_1="",
        allowed_channels_2="sms",
        allowed_countries="br, ar  PT",
        identity_required="on",
        required_documents=["selfie", "cnh:front"],
        device_cooling_off_minutes=2880,
        threshold="1500.50",
        sends_per_campaign_per_day="100000",
    )

    assert boss.post(page("campaign", "change", campaign.pk), sent).status_code == 302

    campaign.refresh_from_db()
    assert campaign.allowed_channels == ["email", "sms"]
    assert campaign.allowed_countries == ["BR", "AR", "PT"]
    assert campaign.required_documents == ["selfie", "cnh:front"]
    assert campaign.device_cooling_off == timedelta(days=2)
    assert campaign.threshold == Decimal("1500.50")
    assert campaign.sends_per_campaign_per_day == 100_000
    assert set(changed(campaign)[0].data["after"]) == {
        "allowed_channels",
        "allowed_countries",
        "identity_required",
        "required_documents",
        "device_cooling_off",
        "threshold",
        "sends_per_campaign_per_day",
    }


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"max_attempts": 6}, "At most 5 attempts."),
        ({"token_ttl_minutes": 11}, "at most 600"),
        ({"token_ttl_minutes": 0, "token_ttl_seconds": 59}, "lives less than a minute"),
        ({"token_ttl_minutes": "", "token_ttl_seconds": ""}, "This field is required"),
        ({"token_length": 3}, "Use between 4 and 12"),
        ({"token_alphabet": "numeric", "token_length": 5}, "Use between 6 and 12"),
        ({"allowed_channels_1": "sms"}, "Name each channel once"),
        ({"allowed_channels_0": "", "allowed_channels_1": "", "allowed_channels_2": ""}, "This field is required"),
        ({"allowed_channels_0": "pigeon"}, "Select a valid choice"),
        ({"default_method": "email", "allowed_channels_2": ""}, "whose channel is not allowed"),
        ({"default_method": "totp"}, "Select a valid choice. totp is not one of the available choices"),
        ({"allowed_countries": "BR, ZZ"}, "Not a country’s code: ZZ"),
        ({"redemption_ttl_minutes": 4}, "Shorter than the life of a token"),
        ({"resend_cooldown_minutes": 30}, "nobody could ask for another token"),
        ({"resend_cooldown_seconds": -1}, "greater than or equal to 0"),
        ({"max_open_challenges": 0}, "With 0 nobody could redeem"),
        ({"sends_per_campaign_per_day": 0}, "With 0 nobody could redeem"),
        ({"identity_required": "on"}, "Say which documents"),
        ({"required_documents": ["driving"]}, "Select a valid choice"),
        ({"threshold": "0"}, "greater than or equal to 0.01"),
        ({"two_factor_mode": "sometimes"}, "Select a valid choice"),
    ],
    ids=str,
)
def test_bad_combination_is_refused_with_the_reason(
    changes: dict[str, Any], reason: str, campaign: Campaign, boss: Client
):
    before = Campaign.objects.filter(pk=campaign.pk).values().get()

    response = boss.post(page("campaign", "change", campaign.pk), values(campaign, **changes))

    assert response.status_code == 200
    shown = response.content.decode().replace("&#x27;", "’").replace("'", "’")
    assert reason in shown
    assert Campaign.objects.filter(pk=campaign.pk).values().get() == before
    assert changed(campaign) == []


@override_settings(TWOFA_POLICY_LIMITS={"max_attempts": 3, "token_ttl": timedelta(minutes=4)})
def test_limits_of_the_host_are_shown_and_kept(campaign: Campaign, boss: Client):
    shown = boss.get(page("campaign", "change", campaign.pk)).content.decode()
    refused = boss.post(page("campaign", "change", campaign.pk), values(campaign, name="Other"))

    assert "at most 4 minutes" in shown
    assert "At most 3." in shown
    assert refused.status_code == 200
    assert "At most 3 attempts." in refused.content.decode()
    campaign.refresh_from_db()
    assert campaign.name != "Other"


def test_two_members_of_staff_do_not_undo_each_other(campaign: Campaign, boss: Client):
    """A page that was opened before somebody else's change does not write the old value back."""
    sent = values(campaign, max_resends=1)
    initial = boss.get(page("campaign", "change", campaign.pk))
    assert initial.status_code == 200
    campaigns.update(campaign, actor=WORKER, changes={"name": "Renamed meanwhile"})
    sent["name"] = "Renamed meanwhile"

    assert boss.post(page("campaign", "change", campaign.pk), sent).status_code == 302

    campaign.refresh_from_db()
    assert (campaign.name, campaign.max_resends) == ("Renamed meanwhile", 1)
    assert changed(campaign)[-1].data["after"] == {"max_resends": 1}


def test_without_the_permission_the_policy_cannot_be_changed(campaign: Campaign, staff: Callable[..., Client]):
    client = staff("view_campaign", "change_campaign")

    shown = client.get(page("campaign", "change", campaign.pk)).content.decode()
    response = client.post(
        page("campaign", "change", campaign.pk),
        values(campaign, name="New name", max_attempts=1, two_factor_mode="off"),
    )

    assert 'name="max_attempts"' not in shown
    assert 'name="name"' in shown
    assert "5 minutes" in shown
    assert response.status_code == 302
    campaign.refresh_from_db()
    assert (campaign.name, campaign.max_attempts, campaign.two_factor_mode) == ("New name", 5, "required")
    assert changed(campaign) == []


def test_conflict_in_a_column_they_may_not_edit_is_told_at_the_top(campaign: Campaign, staff: Callable[..., Client]):
    """As after a change of the host's limits: whoever may only rename it learns why nothing can be saved."""
    Campaign.objects.filter(pk=campaign.pk).update(max_open_challenges=0)
    client = staff("view_campaign", "change_campaign")

    response = client.post(page("campaign", "change", campaign.pk), values(campaign, name="New name"))

    assert response.status_code == 200
    assert "With 0 nobody could redeem." in str(response.context["adminform"].form.non_field_errors())
    campaign.refresh_from_db()
    assert campaign.name != "New name"


def test_who_may_only_look_cannot_save(campaign: Campaign, staff: Callable[..., Client]):
    client = staff("view_campaign")

    assert client.post(page("campaign", "change", campaign.pk), values(campaign, name="New")).status_code == 403
    assert client.post(page("campaign", "two-factor", campaign.pk), {"two_factor_mode": "off"}).status_code == 403
    assert "SMS, WhatsApp, e-mail" in client.get(page("campaign", "change", campaign.pk)).content.decode()
    campaign.refresh_from_db()
    assert (campaign.policy_version, campaign.two_factor_mode) == (1, "required")


def test_campaign_is_opened_with_its_policy(boss: Client):
    template = Campaign()
    sent = values(template, slug="verao", name="Verão", test="on", two_factor_mode="required")

    assert boss.post(page("campaign", "add"), sent).status_code == 302

    row = Campaign.objects.get(slug="verao")
    assert (row.name, row.test, row.two_factor_mode, row.policy_version) == ("Verão", True, "required", 1)
    event = Event.objects.get(campaign=row, type="campaign.opened")
    assert (event.actor, event.data["policy"]["two_factor_mode"]) == ("boss", "required")


def test_new_campaign_starts_from_the_defaults(boss: Client):
    """A name and a slug are enough: the rest of the page is filled in already."""
    form = boss.get(page("campaign", "add")).context["adminform"].form
    sent: dict[str, Any] = {"name": "Verão", "slug": "verao"}
    for bound in form:
        widget = bound.field.widget
        parts = widget.decompress(bound.value()) if hasattr(widget, "decompress") else None
        if parts is None:
            sent.setdefault(bound.name, "" if bound.value() is None else bound.value())
            continue
        sent |= dict(zip([f"{bound.name}{name}" for name in widget.widgets_names], parts, strict=True))
    sent = {name: value for name, value in sent.items() if value is not False and value is not None}

    answer = boss.post(page("campaign", "add"), sent)
    assert answer.status_code == 302, answer.context["adminform"].form.errors

    row = Campaign.objects.get(slug="verao")
    assert {name: value for name, value in row.policy().items() if name != "is_active"} == {
        name: value for name, value in Campaign().policy().items() if name != "is_active"
    }


def test_slug_and_test_never_change(boss: Client):
    """`test`, switched on for a moment, would show the tokens of real participants in the sandbox."""
    campaign = factories.campaign()

    boss.post(page("campaign", "change", campaign.pk), values(campaign, slug="other", test="on"))

    row = Campaign.objects.get(pk=campaign.pk)
    assert (row.slug, row.test) == (campaign.slug, False)


# --- the toggle ------------------------------------------------------------------------------------------------------


def test_list_shows_the_toggle_and_its_page(campaign: Campaign, boss: Client):
    shown = boss.get(page("campaign", "changelist")).content.decode()

    assert page("campaign", "two-factor", campaign.pk) in shown
    assert "required" in shown


def test_every_control_of_the_page_has_a_name_of_its_own(boss: Client):
    """As a screen reader says it: three boxes called "minutes" could be anything."""
    form = boss.get(page("campaign", "add")).context["adminform"].form
    names = [name for bound in form for name in re.findall('aria-label="([^"]+)"', str(bound))]

    assert {"Token life: minutes", "Token life: seconds", "Allowed channels: place 1"} <= set(names)
    assert len(names) == len(set(names)) == 17
    unlabelled = [bound.name for bound in form if 'aria-label="' not in str(bound) and not bound.id_for_label]
    assert unlabelled == ["required_documents"], "a group, whose every box has a label"


def test_refusal_of_the_flow_is_told(boss: Client):
    """Somebody else made the campaign unfit between the page and the flow: the reason is shown, nothing is written."""
    campaign = factories.campaign(two_factor_mode="off", token_length=12)
    Campaign.objects.filter(pk=campaign.pk).update(allowed_channels=[])

    sent = {"two_factor_mode": "required", "policy_version": 1}
    response = boss.post(page("campaign", "two-factor", campaign.pk), sent, follow=True)

    assert [str(message) for message in response.context["messages"]] != []
    campaign.refresh_from_db()
    assert (campaign.two_factor_mode, campaign.policy_version) == ("off", 1)


def test_refusal_of_the_flow_at_saving_is_told(campaign: Campaign, boss: Client, monkeypatch: pytest.MonkeyPatch):
    def refuse(*_args: object, **_values: object) -> None:
        raise PolicyRefused("Somebody else was faster.")

    monkeypatch.setattr(policy_changes, "submit", refuse)

    response = boss.post(page("campaign", "change", campaign.pk), values(campaign, max_attempts=2), follow=True)

    assert "Somebody else was faster." in response.content.decode()
    campaign.refresh_from_db()
    assert campaign.max_attempts == 5


# --- words -----------------------------------------------------------------------------------------------------------


def test_history_says_who_changed_what(campaign: Campaign, boss: Client):
    boss.post(page("campaign", "change", campaign.pk), values(campaign, max_attempts=2))

    shown = boss.get(page("campaign", "change", campaign.pk)).content.decode()

    assert "boss (staff)" in shown
    assert "attempts: 5 → 2" in shown


@pytest.mark.parametrize(
    ("policy", "expected"),
    [
        ({"two_factor_mode": "off"}, "Nobody is asked for a token."),
        ({"two_factor_mode": "optional"}, "Participants who chose a method are asked for a token."),
        ({"two_factor_mode": "required"}, "Every redemption is asked for a token."),
        ({"two_factor_mode": "required", "threshold": Decimal(1500)}, "reach 1500.00 points."),
        ({"two_factor_mode": "optional", "threshold": Decimal(1500)}, "everybody once 24 hours reach 1500.00 points."),
        ({"max_attempts": 1, "token_ttl": timedelta(seconds=90)}, "has 1 attempt; a token lives 1 minute 30 seconds."),
        ({"allowed_channels": ["email", "sms"]}, "Messages go by: e-mail, SMS."),
    ],
    ids=str,
)
def test_policy_is_said_in_plain_words(policy: dict[str, Any], expected: str, boss: Client):
    campaign = factories.campaign(**policy)

    shown = boss.get(page("campaign", "change", campaign.pk)).content.decode().replace("1,500", "1500")

    assert expected in shown


def test_refused_policy_is_told_once_and_nowhere_as_if_it_held(campaign: Campaign, boss: Client):
    response = boss.post(page("campaign", "change", campaign.pk), values(campaign, max_attempts=9))

    shown = response.content.decode()
    assert "A participant has 5 attempts" in shown
    assert "A participant has 9 attempts" not in shown
    assert response.context["adminform"].form.errors == {"max_attempts": ["At most 5 attempts."]}


def test_channel_without_a_provider_is_said_to_carry_nothing(settings: Any, campaign: Campaign, boss: Client):
    settings.TWOFA_CHANNELS = {name: entry for name, entry in settings.TWOFA_CHANNELS.items() if name == "sms"}

    shown = boss.get(page("campaign", "change", campaign.pk)).content.decode()

    assert "Messages go by: SMS." in shown
    assert "Allowed, but not set up here: WhatsApp, e-mail." in shown
    assert "WhatsApp (not set up)</option>" in shown
    assert "SMS (not set up)" not in shown
