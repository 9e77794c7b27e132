"""The review page: who may, what a GET never does, what is told to whom, and one decision of two."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.contrib.messages import get_messages
from django.test import Client

from tests import factories, papers
from tests.admin.conftest import World, page
from tests.admin.trees import Tree
from tests.statements import record_statements
from tests.stories import travel, unchanged
from twofa.models import CLAIM_LIFE, Event, IdentityDocument, Participant
from twofa.models.clock import now

pytestmark = pytest.mark.django_db(transaction=True)

REVIEWER = ("view_identitydocument", "review_identitydocument")
CPF = "39053344705"
MOST = 14


@pytest.fixture
def world(world: World) -> World:
    Participant.objects.filter(pk=world.shop.participant.pk).update(document_number=CPF)
    return world


def review(world: World) -> str:
    return page("identitydocument", "review", world.shop.participant.pk)


def picture(document: IdentityDocument, number: int = 1) -> str:
    return page("identitydocument", "page", document.pk, number)


def claim(client: Client, world: World) -> Any:
    return client.post(review(world), {"do": "claim"})


def begin(client: Client, world: World) -> None:
    """Begin the review, and let the page load its picture, as a browser does."""
    claim(client, world)
    assert client.get(picture(world.document)).status_code == 200


def form(client: Client, world: World, document: IdentityDocument | None = None) -> dict[str, Any]:
    """What the form of a document would send, as the page has it."""
    return filled(client.get(review(world)), document or world.document)


def forms_of(shown: str) -> list[dict[str, Any]]:
    return [found.values for found in Tree(shown).forms]


def filled(response: Any, document: IdentityDocument) -> dict[str, Any]:
    """What the form of a document has in an answer."""
    return next(values for values in forms_of(text(response)) if values.get("document") == [str(document.pk)])


def decision(client: Client, world: World, **typed: str) -> dict[str, Any]:
    return {**form(client, world), "do": "decide", **typed}


def said(client: Client, response: Any) -> str:
    """What the next page tells."""
    following = client.get(response["Location"]) if response.status_code == 302 else response
    return " ".join(str(message) for message in get_messages(following.wsgi_request))


def text(response: Any) -> str:
    return str(response.content.decode())


# --- who may ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("permissions", [(), ("view_identitydocument",), ("review_identitydocument",), ("view_event",)])
def test_neither_review_nor_picture_opens_without_both_permissions(
    permissions: tuple[str, ...], world: World, staff: Callable[..., Client]
):
    client = staff(*permissions)

    with unchanged():
        answers = [
            client.get(review(world)),
            claim(client, world),
            client.post(review(world), {"do": "decide", "document": world.document.pk, "verdict": "approve"}),
            client.post(page("identitydocument", "next")),
            client.get(picture(world.document)),
            client.head(picture(world.document)),
            client.post(page("identitydocument", "revoke", world.document.pk), {"reason": "x"}),
        ]
    assert [answer.status_code for answer in answers] == [403] * len(answers)


def test_without_signing_in_everything_leads_to_the_door(world: World):
    for address in (review(world), picture(world.document)):
        assert Client().get(address)["Location"].startswith("/admin/login/")


def test_what_is_not_there_is_absent(world: World, boss: Client):
    bare = factories.participant(world.shop.campaign)
    uuid = "01a20000-0000-7000-8000-000000000000"

    assert boss.get(page("identitydocument", "review", bare.pk)).status_code == 404
    assert boss.get(page("identitydocument", "review", 999_999)).status_code == 404
    assert boss.get(page("identitydocument", "page", uuid, 1)).status_code == 404
    assert boss.get(picture(world.document, 9)).status_code == 404


# --- looking changes nothing ------------------------------------------------------------------------------------------


def test_page_that_nobody_has_begun_shows_no_picture_and_no_number(world: World, boss: Client):
    with unchanged():
        shown = text(boss.get(review(world)))

    assert "Nobody reviews this yet." in shown
    assert "Begin the review" in shown
    assert "<img" not in shown
    assert "390.533.447-05" not in shown
    assert CPF not in shown


def test_begun_review_shows_pictures_number_and_forms_to_who_began_it_alone(
    world: World, boss: Client, staff: Callable[..., Client]
):
    claim(boss, world)

    mine, theirs = text(boss.get(review(world))), text(staff(*REVIEWER).get(review(world)))

    assert f'src="{picture(world.document)}"' in mine
    assert "390.533.447-05" in mine
    assert 'name="verdict"' in mine
    assert "boss is reviewing this participant" in theirs
    assert "<img" not in theirs
    assert "390.533.447-05" not in theirs
    assert 'name="verdict"' not in theirs
    assert Event.objects.get(type="document.claimed").actor == "boss"


def test_review_that_lapsed_hides_everything_again(world: World, boss: Client):
    claim(boss, world)
    travel(CLAIM_LIFE + timedelta(seconds=1))

    shown = text(boss.get(review(world)))

    assert "Nobody reviews this yet." in shown
    assert "<img" not in shown


def test_page_costs_the_same_however_much_is_on_it(world: World, boss: Client):
    def cost() -> int:
        with record_statements() as statements:
            assert boss.get(review(world)).status_code == 200
        return len(statements)

    claim(boss, world)
    boss.get(review(world))
    short = cost()
    for kind in ("cnh", "passport", "selfie"):
        papers.kept(world.shop.participant, kind, "single", pages=3)
    for number in range(20):
        twin = papers.kept(factories.participant(world.shop.campaign), fingerprint=world.document.fingerprint)
        old = papers.kept(world.shop.participant, "rg", "back", created_at=now() - timedelta(days=number))
        papers.decided(old, "rejected", by=User.objects.get(username="boss"), reason="other")
        assert twin.fingerprint == world.document.fingerprint
    claim(boss, world)

    assert cost() == short
    assert short <= MOST


def test_same_picture_of_others_is_flagged_with_the_way_there(world: World, boss: Client, staff: Callable[..., Client]):
    twin = papers.kept(factories.participant(world.shop.campaign), fingerprint=world.document.fingerprint)
    papers.kept(factories.participant(factories.campaign()), fingerprint=world.document.fingerprint)

    shown = text(boss.get(review(world)))

    assert "The same picture was sent for 1 other participant of this campaign." in shown
    assert page("identitydocument", "review", twin.participant_id) in shown
    assert page("identitydocument", "review", twin.participant_id) not in text(staff(*REVIEWER).get(review(world)))


def test_what_was_decided_before_is_told_with_its_reasons(world: World, boss: Client):
    old = papers.kept(world.shop.participant, created_at=now() - timedelta(days=1), replaced_at=None, status="rejected",
                      decision="rejected", reason="unreadable", comment="Too dark.", decided_at=now())  # fmt: skip
    IdentityDocument.objects.filter(pk=old.pk).update(internal_comment="Look at the edges.")

    shown = text(boss.get(review(world)))

    for told in ("cannot be read", "Too dark.", "Look at the edges."):
        assert told in shown


# --- decisions --------------------------------------------------------------------------------------------------------


def test_approval_is_told_and_leads_to_the_next_one(world: World, boss: Client):
    begin(boss, world)

    response = boss.post(review(world), decision(boss, world, verdict="approve"))

    following = boss.get(response["Location"])
    assert "All documents of this participant are decided." in said(boss, response) + text(following)
    assert "Review the next one" in text(following)
    world.document.refresh_from_db()
    assert (world.document.status, world.document.decided_by) == ("approved", User.objects.get(username="boss"))


@pytest.mark.parametrize(
    ("typed", "fault"),
    [
        ({}, "This field is required."),
        ({"verdict": "reject"}, "Say why"),
        ({"verdict": "reject", "reason": "other"}, "Tell the applicant"),
        ({"verdict": "reject", "reason": "because"}, "Select a valid choice"),
        ({"verdict": "approve", "comment": "x" * 501}, "at most 500 characters"),
        ({"verdict": "perhaps"}, "Select a valid choice"),
    ],
)
def test_form_that_does_not_say_enough_comes_back_with_what_was_typed(
    typed: dict[str, str], fault: str, world: World, boss: Client
):
    claim(boss, world)
    sent = decision(boss, world, **{"internal_comment": "Kept while it is wrong.", **typed})

    with unchanged():
        response = boss.post(review(world), sent)

    assert response.status_code == 200
    assert fault in text(response)
    assert "Kept while it is wrong." in text(response)


@pytest.mark.parametrize(
    ("state", "is_final", "way"),
    [("approved", False, "revoke"), ("rejected", True, "reopen"), ("rejected", False, ""), ("expired", False, "")],
)
def test_what_can_be_taken_back_of_a_decision_is_a_link_on_its_card(
    state: str, is_final: bool, way: str, world: World, boss: Client
):
    row = papers.decided(
        world.document, state, is_final=is_final, reason="unreadable" if state == "rejected" else "", status=state
    )

    shown = text(boss.get(review(world)))

    for name in ("revoke", "reopen"):
        assert (page("identitydocument", name, row.pk) in shown) is (name == way)


def test_rejection_stores_what_each_reader_is_meant_to_read(world: World, boss: Client):
    claim(boss, world)
    typed = {"reason": "unreadable", "comment": "Too dark.", "internal_comment": "Third time.", "further": "final"}

    boss.post(review(world), decision(boss, world, verdict="reject", **typed))

    world.document.refresh_from_db()
    row = world.document
    assert (row.status, row.reason, row.comment, row.internal_comment, row.is_final) == (
        "rejected", "unreadable", "Too dark.", "Third time.", True,
    )  # fmt: skip


def test_document_of_somebody_else_is_not_decided_on_this_page(world: World, boss: Client):
    other = papers.kept(factories.participant(world.shop.campaign))
    claim(boss, world)
    sent = decision(boss, world, verdict="approve", document=str(other.pk))

    with unchanged():
        assert boss.post(review(world), sent).status_code == 404


def test_own_documents_are_refused_with_a_text(world: World, staff: Callable[..., Client]):
    maria = staff(*REVIEWER)
    Participant.objects.filter(pk=world.shop.participant.pk).update(user=User.objects.get(username="maria"))

    shown = text(maria.get(review(world)))
    assert "These are your own documents." in shown
    assert "Begin the review" not in shown
    assert "Nobody reviews this yet." not in shown
    response = claim(maria, world)
    assert "These are your own documents." in said(maria, response)
    assert maria.get(picture(world.document)).status_code == 403
    told = Event.objects.filter(actor="maria", type__startswith="document.").values_list("type", flat=True)
    assert set(told) == {"document.self_review_refused"}


def test_review_is_given_back(world: World, boss: Client, staff: Callable[..., Client]):
    claim(boss, world)
    boss.post(review(world), {"do": "release"})

    assert "You are reviewing" in text(staff(*REVIEWER).post(review(world), {"do": "claim"}, follow=True))


def test_revoked_approval_counts_no_longer(world: World, boss: Client):
    papers.decided(world.document)

    boss.post(page("identitydocument", "revoke", world.document.pk), {"reason": "It was a copy."})

    world.document.refresh_from_db()
    assert world.document.status == "expired"
    assert Event.objects.get(type="document.expired").data["reason"] == "It was a copy."
