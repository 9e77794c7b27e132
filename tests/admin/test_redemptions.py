from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.test import Client

from tests import factories
from tests.admin.conftest import World, page
from tests.fulfillment import RecordingBackend
from tests.statements import record_statements
from tests.stories import reject, travel
from twofa import correlation
from twofa.admin.actions import FlowAction
from twofa.admin.redemptions import ACTIONS
from twofa.exceptions import TemporaryFailure
from twofa.flows import redemptions
from twofa.models import Challenge, Delivery, Event, Redemption

# Flows own their transactions, so these rows are really committed.
pytestmark = pytest.mark.django_db(transaction=True)
REASON = {"reason": "The participant called."}


@pytest.fixture
def parked(world: World, settings: Any) -> Redemption:
    """A redemption that its token approved, and whose points system never answered."""
    settings.TWOFA_COMPLETION_MAX_TRIES = 1
    RecordingBackend.failures["complete"] = iter([TemporaryFailure()])
    redemption = redemptions.confirm(
        world.redemption.pk,
        storefront=world.shop.storefront,
        token=factories.token_of(world.challenge),
        amount=None,
        actor=world.shop.actor,
    )
    assert redemption.parked_at is not None
    return redemption


def shown(client: Client, redemption: Redemption) -> str:
    response = client.get(page("redemption", "change", redemption.pk))
    assert response.status_code == 200
    return response.content.decode()


def test_page_says_why_it_was_asked_and_where_the_points_are(world: World, boss: Client):
    text = shown(boss, world.redemption)

    assert "Asked for a token: the campaign requires it (policy version 1)." in text
    assert "set aside: neither spent nor free" in text
    assert "1 × Headphones (H-1), 150.00 points" in text


def test_timeline_has_events_and_messages_in_the_order_of_time(world: World, boss: Client):
    response = boss.get(page("redemption", "change", world.redemption.pk))

    (section,) = response.context["sections"]
    told = [str(line[1].text) for line in section.rows]
    assert told.index("Opened: waits for its token") < told.index("Message accepted by the provider")
    message = next(line for line in section.rows if str(line[1].text) == "Message: token of a redemption")
    assert world.challenge.destination in message[3].text
    assert [line[0].text for line in section.rows] == sorted(line[0].text for line in section.rows)


def test_timeline_of_one_without_a_challenge_is_its_own(world: World, boss: Client):
    exempt = factories.Shop(two_factor_mode="off").open()

    response = boss.get(page("redemption", "change", exempt.pk))

    (section,) = response.context["sections"]
    assert next(str(line[1].text) for line in section.rows) == "Opened: needs no token"
    assert len(section.rows) == Event.objects.filter(redemption=exempt).count()
    assert "Not asked for a token" in response.content.decode()


@pytest.mark.parametrize("term", ["order_id", "correlation_id", "id"])
def test_search_finds_it_by(term: str, world: World, boss: Client):
    factories.Shop().open()

    listed = boss.get(page("redemption", "changelist"), {"q": str(getattr(world.redemption, term))}).context["cl"]

    assert [row.pk for row in listed.result_list] == [world.redemption.pk]


def test_search_finds_it_by_participant(world: World, boss: Client):
    factories.Shop().open()

    listed = boss.get(page("redemption", "changelist"), {"q": world.shop.participant.external_id}).context["cl"]

    assert [row.pk for row in listed.result_list] == [world.redemption.pk]


def test_link_of_a_participant_lists_their_redemptions(world: World, boss: Client):
    factories.Shop().open()
    tools = boss.get(page("participant", "change", world.shop.participant.pk)).context["tools"]

    (link,) = [tool.url for tool in tools if "/redemption/" in tool.url]
    listed = boss.get(link).context["cl"]

    assert [row.pk for row in listed.result_list] == [world.redemption.pk]


def test_cancel_ends_it_with_the_reason_and_gives_the_points_back(world: World, staff: Callable[..., Client]):
    client = staff("view_redemption", "cancel_redemption")
    assert page("redemption", "cancel", world.redemption.pk) in shown(client, world.redemption)

    response = client.post(page("redemption", "cancel", world.redemption.pk), REASON)

    assert response.status_code == 302
    row = Redemption.objects.get(pk=world.redemption.pk)
    assert (row.status, row.points) == ("cancelled", "released")
    assert Challenge.objects.get(redemption=row).status == "cancelled"
    told = Event.objects.filter(redemption=row, actor="maria")
    assert "The participant called." in str(list(told.values_list("data", flat=True)))
    assert page("redemption", "cancel", row.pk) not in shown(client, row)


def test_without_a_reason_nothing_happens(world: World, boss: Client):
    response = boss.post(page("redemption", "cancel", world.redemption.pk), {"reason": "  "})

    assert response.status_code == 200
    assert "This field is required" in response.content.decode()
    assert Redemption.objects.get(pk=world.redemption.pk).status == "pending_2fa_approval"


def test_page_before_cancelling_cancels_nothing(world: World, boss: Client):
    assert boss.get(page("redemption", "cancel", world.redemption.pk)).status_code == 200
    assert Redemption.objects.get(pk=world.redemption.pk).status == "pending_2fa_approval"


def test_reason_is_explained_to_those_who_listen(world: World, boss: Client):
    asked = boss.get(page("redemption", "cancel", world.redemption.pk)).content.decode()

    assert 'aria-describedby="id_reason_helptext"' in asked
    assert 'id="id_reason_helptext"' in asked


def test_what_is_over_is_not_cancelled(parked: Redemption, boss: Client):
    asked = boss.get(page("redemption", "cancel", parked.pk)).content.decode()
    response = boss.post(page("redemption", "cancel", parked.pk), REASON, follow=True)

    assert "Its present state does not allow this." in asked
    assert 'name="reason"' not in asked
    assert "its state does not allow this any more" in response.content.decode()
    row = Redemption.objects.get(pk=parked.pk)
    assert (row.status, row.points) == ("approved", "reserved")


@pytest.mark.parametrize("action", ["cancel", "retry-completion", "fail"])
def test_without_the_permission_nothing_happens(action: str, parked: Redemption, staff: Callable[..., Client]):
    client = staff("view_redemption")
    before = Redemption.objects.filter(pk=parked.pk).values().get()

    assert page("redemption", action, parked.pk) not in shown(client, parked)
    assert client.get(page("redemption", action, parked.pk)).status_code == 403
    assert client.post(page("redemption", action, parked.pk), REASON).status_code == 403
    assert Redemption.objects.filter(pk=parked.pk).values().get() == before


def test_parked_completion_is_tried_again(parked: Redemption, staff: Callable[..., Client]):
    client = staff("view_redemption", "retry_completion")

    response = client.post(page("redemption", "retry-completion", parked.pk), REASON)

    assert response.status_code == 302
    row = Redemption.objects.get(pk=parked.pk)
    assert (row.status, row.points, row.parked_at) == ("completed", "completed", None)
    assert Event.objects.get(redemption=row, type="redemption.completion_retried").actor == "maria"


def test_who_may_retry_may_not_fail(parked: Redemption, staff: Callable[..., Client]):
    client = staff("view_redemption", "retry_completion")

    assert page("redemption", "fail", parked.pk) not in shown(client, parked)
    assert client.post(page("redemption", "fail", parked.pk), REASON).status_code == 403
    assert Redemption.objects.get(pk=parked.pk).status == "approved"


def test_parked_completion_is_failed_and_its_points_given_back(parked: Redemption, staff: Callable[..., Client]):
    client = staff("view_redemption", "fail_completion")

    client.post(page("redemption", "fail", parked.pk), REASON)

    row = Redemption.objects.get(pk=parked.pk)
    assert (row.status, row.points) == ("failed", "released")
    assert "staff gave its completion up" in shown(client, row)


def test_parked_ones_are_listed_by_a_filter(parked: Redemption, boss: Client):
    factories.Shop().open()

    listed = boss.get(page("redemption", "changelist"), {"parked": "yes"}).context["cl"]

    assert [row.pk for row in listed.result_list] == [parked.pk]


def test_actions_own_their_transaction_in_a_host_with_atomic_requests(
    world: World, boss: Client, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setitem(connection.settings_dict, "ATOMIC_REQUESTS", True)

    assert boss.post(page("redemption", "cancel", world.redemption.pk), REASON).status_code == 302
    assert Redemption.objects.get(pk=world.redemption.pk).status == "cancelled"


@pytest.mark.parametrize("given", ["", "of-the-host"])
def test_event_is_found_by_the_correlation_id_of_its_request(given: str, world: World, boss: Client):
    with correlation.bound(given):
        boss.post(page("redemption", "cancel", world.redemption.pk), REASON)

    found = Event.objects.get(type="redemption.cancelled").correlation_id
    assert found == given if given else len(found) == 32


# --- every action ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("action", ACTIONS, ids=lambda action: action.name)
def test_every_action_asks_for_a_reason_and_a_permission_of_its_own(action: FlowAction):
    assert "reason" in action.form.base_fields
    assert action.form.base_fields["reason"].required
    assert set(action.permissions) - {"twofa.view_redemption"}


@pytest.mark.parametrize("name", ["cancel", "resend", "retry-completion", "fail"])
def test_reason_of_every_action_is_in_the_trail_with_a_name(
    name: str, request: pytest.FixtureRequest, staff: Callable[..., Client]
):
    parked = name in ("retry-completion", "fail")
    redemption = request.getfixturevalue("parked") if parked else request.getfixturevalue("world").redemption
    travel(timedelta(seconds=31))
    client = staff("view_redemption", "cancel_redemption", "resend_token", "retry_completion", "fail_completion")

    assert client.post(page("redemption", name, redemption.pk), REASON).status_code == 302

    told = Event.objects.filter(redemption=redemption, actor="maria", data__reason="The participant called.")
    assert told.count() == 1


# --- the page --------------------------------------------------------------------------------------------------------


def test_attempts_events_and_messages_are_one_table_with_all_that_is_known(world: World, boss: Client):
    Delivery.objects.update(provider_message_id="SM0123")
    with correlation.bound("of-the-confirm"):
        reject(world.shop, world.redemption, 1)

    (section,) = boss.get(page("redemption", "change", world.redemption.pk)).context["sections"]

    assert [str(header) for header in section.headers] == [
        "when",
        "what",
        "who",
        "channel",
        "details",
        "provider's id",
        "correlation id",
    ]
    lines = {str(row[1].text): [str(cell.text) for cell in row] for row in section.rows}
    wrong = lines["Wrong token"]
    assert wrong[2] == f"{world.shop.storefront.name} (storefront)"
    assert wrong[4] == "typed: not a token of this challenge · attempts used: 1 · token number: 1"
    assert wrong[5:] == ["—", "of-the-confirm"]
    sent = lines["Message accepted by the provider"]
    assert sent[3] == f"SMS {world.challenge.destination}"
    assert sent[5] == "SM0123"
    assert not any(str(cell.text) == "" for row in section.rows for cell in row)


def test_search_finds_it_by_the_correlation_id_of_its_confirm(world: World, boss: Client):
    factories.Shop().open()
    with correlation.bound("of-the-confirm"):
        reject(world.shop, world.redemption, 1)

    listed = boss.get(page("redemption", "changelist"), {"q": "of-the-confirm"}).context["cl"]

    assert [row.pk for row in listed.result_list] == [world.redemption.pk]


def test_very_long_story_keeps_its_end(world: World, boss: Client, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("twofa.admin.stories.READ", 3)
    monkeypatch.setattr("twofa.admin.timelines.MOST", 2)

    (section,) = boss.get(page("redemption", "change", world.redemption.pk)).context["sections"]

    assert [str(row[1].text) for row in section.rows][-1] == "Message accepted by the provider"
    assert "Only the newest 2" in str(section.note)


def test_page_costs_the_same_however_much_happened(world: World, boss: Client):
    def cost() -> int:
        with record_statements() as statements:
            shown(boss, world.redemption)
        return len(statements)

    cost()  # What is cached for the whole process is read once.
    short = cost()
    reject(world.shop, world.redemption, 3)
    assert cost() == short
    assert short <= 8


def test_parked_one_does_not_look_well_in_the_list(parked: Redemption, boss: Client):
    assert (
        '<span class="twofa-tone twofa-tone-bad">waits for staff</span>'
        in boss.get(page("redemption", "changelist")).content.decode()
    )


def test_page_that_cancels_says_what_would_be_cancelled(world: World, boss: Client):
    asked = boss.get(page("redemption", "cancel", world.redemption.pk)).content.decode()

    assert world.redemption.description in asked
    assert "150.00 points" in asked
    assert str(world.redemption.participant) in asked
