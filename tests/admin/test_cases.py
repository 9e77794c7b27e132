"""Cases in the admin: the queue, one case with what it is about, and what staff do about it."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest
from django.test import Client

from tests import factories
from tests.admin.conftest import World, page
from tests.companies import Company
from tests.factories import link_of, token_of
from tests.stories import confirm, unchanged
from twofa.flows import denials
from twofa.models import Case, Device, Event

pytestmark = pytest.mark.django_db(transaction=True)

REASON = {"reason": "Spoken with her by phone."}
CLOSING = {"outcome": "fraud", "note": "She was abroad."}
SEES = ("view_case", "view_device", "view_redemption", "view_challenge", "view_delivery", "view_participant")


@pytest.fixture
def denied(world: World) -> Case:
    """A case as a denial opens it, in the place of the world's own."""
    Case.objects.all().delete()
    return denials.deny(*link_of(world.challenge))


def shown(client: Client, case: Case) -> str:
    return client.get(page("case", "change", case.pk)).content.decode()


def test_page_says_what_it_is_about(denied: Case, world: World, boss: Client):
    content = shown(boss, denied)

    for told in (str(world.redemption), world.shop.device.destination, "it was stopped in time", "Device held"):
        assert told in content
    for model, row in (("redemption", world.redemption), ("device", world.shop.device), ("challenge", world.challenge)):
        assert page(model, "change", row.pk) in content
    assert world.shop.device.address not in content


def test_pages_are_named_by_participant_and_day(denied: Case, boss: Client):
    name = f"{denied.participant}, {denied.opened_at:%Y-%m-%d}"

    for address in (page("case", "change", denied.pk), page("case", "release-device", denied.pk)):
        content = boss.get(address).content.decode()
        above, _, _ = content.partition('id="content-main"')
        assert f"<h2>{name}</h2>" in above
        assert above.count(name) == 3, "in the title, the breadcrumbs and the heading"
        assert f">{denied.pk}<" not in above


def test_closing_is_offered_once_nothing_is_held(denied: Case, boss: Client):
    assert page("case", "close", denied.pk) not in shown(boss, denied)
    assert "does not allow this" in boss.get(page("case", "close", denied.pk)).content.decode()

    boss.post(page("case", "release-device", denied.pk), REASON)

    assert page("case", "close", denied.pk) in shown(boss, denied)


def test_closing_is_offered_while_another_open_case_holds_the_device(world: World, boss: Client):
    other = factories.case(world.shop.open().challenge)
    Case.objects.exclude(pk=other.pk).delete()
    denied = denials.deny(*link_of(world.challenge))

    assert page("case", "close", denied.pk) in shown(boss, denied)
    boss.post(page("case", "close", denied.pk), CLOSING)

    assert page("case", "close", other.pk) not in shown(boss, other), "now it alone holds the device"


def test_page_names_whose_device_it_is(denied: Case, boss: Client):
    company = Company()
    approvers = factories.case(company.ask().challenge, device=company.phone)

    for case, owner in ((denied, denied.participant), (approvers, company.director)):
        (told,) = re.findall(r'Whose device it is:.+?<div class="readonly">(.+?)</div>', shown(boss, case), re.DOTALL)
        assert told == str(owner)
        assert str(owner) in boss.get(page("case", "close", case.pk)).content.decode()


def test_page_of_what_came_too_late_says_what_to_do(world: World, boss: Client):
    Case.objects.all().delete()
    confirm(world.shop, world.redemption, token_of(world.challenge))
    content = shown(boss, denials.deny(*link_of(world.challenge)))

    assert "nothing: it was approved" in content
    assert "ask whoever ships" in content


def test_open_cases_are_first_those_that_came_too_late_before_all(world: World, boss: Client):
    late = factories.case(world.shop.open().challenge, too_late=True)
    done = factories.case(world.shop.open().challenge)
    boss.post(page("case", "close", done.pk), CLOSING)
    content = boss.get(page("case", "changelist")).content.decode()
    order = [content.index(str(case.pk)) for case in (late, world.case, done)]

    assert order == sorted(order)


def test_case_is_closed_with_a_note_that_is_in_no_event(world: World, staff: Callable[..., Client]):
    client = staff("view_case", "close_case")
    assert client.post(page("case", "close", world.case.pk), CLOSING).status_code == 302

    world.case.refresh_from_db()
    assert (world.case.status, world.case.outcome, world.case.note) == ("closed", "fraud", CLOSING["note"])
    assert str(world.case.closed_by) == "maria"
    assert CLOSING["note"] in shown(client, world.case)
    assert not [event for event in Event.objects.all() if CLOSING["note"] in str(event.data)]


@pytest.mark.parametrize("missing", ["outcome", "note"])
def test_closing_asks_for_both(world: World, boss: Client, missing: str):
    with unchanged():
        response = boss.post(page("case", "close", world.case.pk), {**CLOSING, missing: ""})

    assert response.status_code == 200
    assert Case.objects.get().status == "open"


def test_device_is_decided_about_before_the_case_is_closed(denied: Case, staff: Callable[..., Client]):
    client = staff(*SEES, "close_case", "release_device")
    refusal = client.post(page("case", "close", denied.pk), CLOSING, follow=True)
    assert "still held" in refusal.content.decode()
    assert Case.objects.get().status == "open"

    client.post(page("case", "release-device", denied.pk), REASON)
    assert not Device.objects.get().is_held
    assert Event.objects.get(type="device.released").data["reason"] == REASON["reason"]
    client.post(page("case", "close", denied.pk), CLOSING)
    assert Case.objects.get().status == "closed"


def test_device_is_reset_from_its_case(denied: Case, boss: Client):
    boss.post(page("case", "reset-device", denied.pk), REASON)

    assert Device.objects.get().status == "revoked"
    assert page("case", "release-device", denied.pk) not in shown(boss, denied)


@pytest.mark.parametrize("action", ["close", "release-device", "reset-device"])
def test_without_the_permission_nothing_is_done(denied: Case, staff: Callable[..., Client], action: str):
    client = staff(*SEES)
    assert page("case", action, denied.pk) not in shown(client, denied)
    with unchanged():
        response = client.post(page("case", action, denied.pk), {**REASON, **CLOSING})

    assert response.status_code == 403


def test_page_leads_only_where_its_reader_may_go(denied: Case, world: World, staff: Callable[..., Client]):
    content = shown(staff("view_case"), denied)

    assert page("redemption", "change", world.redemption.pk) not in content
    assert page("device", "change", world.shop.device.pk) not in content
    assert page("challenge", "change", world.challenge.pk) not in content


def test_other_cases_of_the_participant_are_named(world: World, boss: Client):
    other = factories.case(world.shop.open().challenge)

    assert page("case", "change", other.pk) in shown(boss, world.case)


def test_pages_of_participant_and_redemption_lead_to_the_case(world: World, boss: Client):
    for model, row in (("participant", world.shop.participant), ("redemption", world.redemption)):
        assert page("case", "change", world.case.pk) in boss.get(page(model, "change", row.pk)).content.decode()


def test_case_of_a_batch_and_its_batch_lead_to_one_another(world: World, boss: Client):
    batch = world.shop.open_batch()
    case = denials.deny(*link_of(batch.challenge))
    address = page("redemptionbatch", "change", batch.pk)
    content = shown(boss, case)

    assert page("case", "change", case.pk) in boss.get(address).content.decode()
    assert address in content
    found = boss.get(page("case", "changelist"), {"q": batch.request_id}).content.decode()
    assert page("case", "change", case.pk) in found
    assert page("case", "change", world.case.pk) not in found


def test_pages_of_others_show_no_case_to_who_may_see_none(world: World, staff: Callable[..., Client]):
    client = staff("view_participant", "view_redemption", "view_delivery")
    addresses = [
        page("participant", "change", world.shop.participant.pk),
        page("redemption", "change", world.redemption.pk),
        page("redemption", "stuck"),
    ]

    for address in addresses:
        assert "/twofa/case/" not in client.get(address).content.decode()


def test_what_is_stuck_begins_with_open_cases(world: World, boss: Client):
    content = boss.get(page("redemption", "stuck")).content.decode()

    assert "Cases: somebody said that it was not them: 1" in content
    assert page("case", "change", world.case.pk) in content


def test_held_device_is_said_to_be_held_and_is_released_there(denied: Case, world: World, boss: Client):
    device = world.shop.device
    for address in (page("device", "change", device.pk), page("device", "changelist")):
        assert "held: waits for staff" in boss.get(address).content.decode()
    assert ">held<" in boss.get(page("participant", "change", world.shop.participant.pk)).content.decode()

    boss.post(page("device", "release", device.pk), REASON)
    assert not Device.objects.get().is_held
    assert page("device", "release", device.pk) not in boss.get(page("device", "change", device.pk)).content.decode()


def test_rejected_redemption_says_who_stopped_it(denied: Case, world: World, boss: Client):
    content = boss.get(page("redemption", "change", world.redemption.pk)).content.decode()

    assert "whoever got the message said that it was not them" in content
