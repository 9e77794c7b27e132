from __future__ import annotations

from datetime import timedelta

import pytest

from tests.companies import Company
from tests.factories import Shop, case, staff
from tests.stories import STAFF, refused, travel
from twofa.exceptions import Invalid, PolicyRefused, WrongState
from twofa.flows import cases, devices, erasures, holds, portability, purges
from twofa.models import Case, Device, Event, Redemption
from twofa.models.clock import now

pytestmark = pytest.mark.django_db(transaction=True)

NOTE = "Spoke with her: it was her son."


@pytest.fixture
def opened(shop: Shop, redemption: Redemption) -> Case:
    return case(redemption.challenge)


def close(row: Case, *, by=None, outcome: str = "mistake", note: str = NOTE) -> Case:
    return cases.close(row, by=by or staff(), actor=STAFF, outcome=outcome, note=note)


def test_case_is_closed_with_what_was_found_and_by_whom(opened: Case):
    maria = staff()
    close(opened, by=maria, note=f"  {NOTE}\n")

    row = Case.objects.get()
    assert (row.status, row.outcome, row.note, row.closed_by) == ("closed", "mistake", NOTE, maria)
    event = Event.objects.get(type="case.closed")
    assert event.data == {"case": str(row.pk), "outcome": "mistake"}
    assert (event.actor, event.participant_id, event.redemption_id) == ("maria", row.participant_id, row.redemption_id)


def test_closed_case_is_not_closed_again(opened: Case):
    close(opened)

    with refused(WrongState):
        close(opened, outcome="fraud")


@pytest.mark.parametrize(
    ("given", "field"), [({"outcome": ""}, "outcome"), ({"outcome": "won"}, "outcome"), ({"note": " \n"}, "note")]
)
def test_closing_says_what_and_why(opened: Case, given: dict[str, str], field: str):
    by = staff()
    with refused(Invalid) as refusal:
        close(opened, by=by, **given)

    assert [line["field"] for line in refusal.value.params["errors"]] == [field]


def test_case_is_not_closed_while_its_device_is_held(shop: Shop, opened: Case):
    Device.objects.update(held_at=now(), confirmed=False)
    by = staff()
    with refused(PolicyRefused):
        close(opened, by=by)

    holds.release(shop.device, by=by, actor=STAFF, reason="Spoken with.")
    assert close(opened, by=by).status == "closed"


def test_reset_device_holds_nobody_up(shop: Shop, opened: Case):
    Device.objects.update(held_at=now(), confirmed=False)
    devices.reset(shop.device, actor=STAFF, reason="Stolen.")

    assert close(opened, outcome="fraud").outcome == "fraud"


def test_device_that_another_case_holds_stays_held(shop: Shop, opened: Case):
    other = case(shop.open().challenge)
    Device.objects.update(held_at=now(), confirmed=False)
    by = staff()

    assert close(opened, by=by).status == "closed"
    assert Device.objects.get().is_held
    with refused(PolicyRefused):
        close(other, by=by)


def test_nobody_closes_a_case_about_themselves(shop: Shop, opened: Case):
    with refused(PolicyRefused):
        close(opened, by=shop.participant.user)


def test_approver_whose_device_is_held_does_not_close_the_case():
    company = Company()
    opened = case(company.ask().challenge, device=company.phone)
    with refused(PolicyRefused):
        close(opened, by=company.director.user)
    assert Case.objects.get().status == "open"


def test_queue_begins_with_what_came_too_late_and_then_with_the_oldest(shop: Shop, opened: Case):
    late, last = (case(shop.open().challenge, too_late=too_late) for too_late in (True, False))

    assert list(cases.opened()) == [late, opened, last]
    close(late)
    assert list(cases.opened()) == [opened, last]


# --- what is kept -----------------------------------------------------------------------------------------------------


def test_note_is_emptied_a_year_after_the_case_was_closed(opened: Case):
    close(opened)
    travel(timedelta(days=364))
    assert purges.due()["cases"] == 0
    travel(timedelta(days=2))
    assert purges.due()["cases"] == 1

    assert purges.purge().counts["cases"] == 1
    row = Case.objects.get()
    assert (row.note, row.status, row.outcome) == ("", "closed", "mistake")
    assert purges.purge().counts["cases"] == 0


def test_participant_is_not_erased_while_a_case_is_open(shop: Shop, redemption: Redemption, opened: Case):
    Redemption.objects.update(status="cancelled", points="released")
    with refused(PolicyRefused) as refusal:
        erasures.erase(shop.participant, actor=STAFF)
    assert str(opened.pk) in str(refusal.value.detail)

    close(opened)
    erasures.erase(shop.participant, actor=STAFF)
    assert Case.objects.get().note == ""


@pytest.mark.parametrize("with_internal_comments", [False, True])
def test_export_has_the_case_and_the_note_where_it_is_asked_for(shop: Shop, opened: Case, with_internal_comments: bool):
    close(opened)
    (given,) = portability.export(shop.participant, actor=STAFF, with_internal_comments=with_internal_comments).data[
        "cases"
    ]

    assert (given["outcome"], given["redemption"]) == ("mistake", opened.redemption_id)
    assert ("note" in given) is with_internal_comments
