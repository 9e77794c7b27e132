"""The queue, a document's page, and where documents appear on the pages of others."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth.models import Permission, User
from django.test import Client

from tests import factories, papers
from tests.admin.conftest import World, page
from tests.statements import record_statements
from tests.stories import unchanged
from twofa.flows import reviews
from twofa.flows.history import Actor
from twofa.models import Campaign, DocumentFile, IdentityDocument, Participant
from twofa.models.clock import now

pytestmark = pytest.mark.django_db(transaction=True)

QUEUE = page("identitydocument", "changelist")


def listed(client: Client, **asked: str) -> list[Any]:
    response = client.get(QUEUE, asked)
    assert response.status_code == 200
    return [row.pk for row in response.context["cl"].result_list]


def text(response: Any) -> str:
    return str(response.content.decode())


def each_state(world: World) -> dict[str, IdentityDocument]:
    """One document in each state, of the same participant; the first one waits."""
    member, made = world.shop.participant, now() - timedelta(days=1)
    found = {"waiting": world.document}
    for number, state in enumerate(("approved", "rejected", "expired", "purged", "replaced")):
        found[state] = papers.kept(
            member, "cnh", "front", created_at=made + timedelta(minutes=number), replaced_at=made
        )
    for state in ("approved", "rejected", "expired"):
        papers.decided(found[state], state, reason="unreadable" if state == "rejected" else "", replaced_at=None)
    papers.decided(found["purged"], "approved", status="purged", purged_at=now(), replaced_at=None)
    return found


def test_list_is_the_queue_and_begins_with_who_has_waited_longest(world: World, boss: Client):
    each_state(world)
    old = papers.kept(factories.participant(world.shop.campaign), created_at=now() - timedelta(days=2))

    assert listed(boss) == [old.pk, world.document.pk]
    shown = text(boss.get(QUEUE))
    assert "The oldest has waited" in shown
    assert "2 days" in shown


def test_list_shows_each_state_that_is_asked_for(world: World, boss: Client):
    rows = each_state(world)

    for state, row in rows.items():
        assert listed(boss, state=state) == [row.pk], state
    assert set(listed(boss, state="all")) == {row.pk for row in rows.values()}
    assert listed(boss, state="no such state") == listed(boss, state="all")


def test_queue_has_no_column_in_which_all_rows_are_alike(world: World, boss: Client):
    each_state(world)

    def columns(**asked: str) -> set[str]:
        return set(boss.get(QUEUE, asked).context["cl"].list_display)

    assert "reviewer" in columns()
    assert columns().isdisjoint({"shown_status", "decided_by"})
    assert {"shown_status", "decided_by"} <= columns(state="rejected")
    assert "reviewer" not in columns(state="rejected")


def test_empty_queue_says_so_and_has_no_button_that_leads_nowhere(world: World, boss: Client):
    IdentityDocument.objects.update(replaced_at=now())

    shown = text(boss.get(QUEUE))

    assert "No document waits for a decision." in shown
    assert "Review the next one" not in shown
    assert "Nothing matches." in text(boss.get(QUEUE, {"state": "rejected"}))


def test_decision_is_told_after_its_file_was_erased(world: World, boss: Client):
    each_state(world)

    addresses = (f"{QUEUE}?state=purged", page("participant", "change", world.shop.participant.pk))
    assert all("approved, file erased" in text(boss.get(address)) for address in addresses)


def test_list_is_filtered_by_campaign_kind_and_reason(world: World, boss: Client):
    rows = each_state(world)
    other = papers.kept(factories.participant(factories.campaign()), "passport", "single")

    assert listed(boss, campaign__id__exact=str(other.campaign_id)) == [other.pk]
    assert listed(boss, kind__exact="passport") == [other.pk]
    assert listed(boss, reason__exact="unreadable") == [rows["rejected"].pk], "what waits has no reason yet"


def test_search_looks_in_every_state(world: World, boss: Client):
    rows = each_state(world)

    assert set(listed(boss, q=world.shop.participant.external_id)) == {row.pk for row in rows.values()}
    assert listed(boss, q=str(rows["purged"].pk)) == [rows["purged"].pk]
    assert listed(boss, q="no such thing") == []


def test_row_tells_who_is_at_it_and_that_the_picture_came_for_others_too(world: World, boss: Client):
    papers.kept(factories.participant(world.shop.campaign), fingerprint=world.document.fingerprint)
    maria = User.objects.create_user("maria")
    reviews.claim(world.shop.participant, reviewer=maria, actor=Actor.staff(maria))

    shown = text(boss.get(QUEUE))

    assert "maria" in shown
    assert shown.count("sent for others too") == 2


def test_only_reviewers_have_the_buttons(world: World, boss: Client, staff: Callable[..., Client]):
    looker = staff("view_identitydocument", "view_participant")
    review = page("identitydocument", "review", world.shop.participant.pk)
    pages = (QUEUE, page("identitydocument", "change", world.document.pk),
             page("participant", "change", world.shop.participant.pk))  # fmt: skip

    for address in pages:
        assert review in text(boss.get(address)), address
        assert review not in text(looker.get(address)), address
    assert "Review the next one" in text(boss.get(QUEUE))
    assert "Review the next one" not in text(looker.get(QUEUE))


def test_button_asks_for_the_campaign_that_the_list_shows(world: World, boss: Client):
    shown = text(boss.get(QUEUE, {"campaign__id__exact": world.shop.campaign.pk}))

    assert f'name="campaign" value="{world.shop.campaign.pk}"' in shown
    assert "Review the next one of this campaign" in shown


def test_queue_costs_the_same_at_any_length(world: World, boss: Client):
    def cost() -> int:
        with record_statements() as statements:
            assert boss.get(QUEUE).status_code == 200
        return len(statements)

    boss.get(QUEUE)
    short = cost()
    for _number in range(60):
        papers.kept(factories.participant(world.shop.campaign), fingerprint=world.document.fingerprint)
    assert cost() == short
    assert short <= 14


def test_page_of_a_document_shows_no_picture_by_itself(world: World, boss: Client, staff: Callable[..., Client]):
    address = page("identitydocument", "change", world.document.pk)
    picture = page("identitydocument", "page", world.document.pk, 1)

    with unchanged():
        mine, theirs = text(boss.get(address)), text(staff("view_identitydocument").get(address))

    assert "<img" not in mine.replace("/static/admin/img", "")[: mine.find("Pictures")]
    assert f'href="{picture}"' in mine
    assert picture not in theirs


def test_timeline_of_a_document_is_its_own(world: World, boss: Client):
    other = papers.kept(world.shop.participant, "selfie", "single")
    user = User.objects.get(username="boss")
    for document in (world.document, other):
        reviews.look(document.pk, 1, reviewer=user, actor=Actor.staff(user))

    sections = boss.get(page("identitydocument", "change", world.document.pk)).context["sections"]

    timeline = next(section for section in sections if section.anchor == "timeline")
    assert [str(row[1].text) for row in timeline.rows] == ["Identity document looked at by staff"]


def test_documents_stand_on_the_participants_page_for_who_may_see_them(world: World, staff: Callable[..., Client]):
    address = page("participant", "change", world.shop.participant.pk)

    with_them = staff("view_participant", "view_identitydocument").get(address)
    without = staff("view_participant", name="joao").get(address)

    assert "Identity documents" in [str(section.title) for section in with_them.context["sections"]]
    assert "Identity documents" not in [str(section.title) for section in without.context["sections"]]


def test_file_that_the_storage_keeps_is_stuck(world: World, boss: Client):
    at = now()
    DocumentFile.objects.update(wrapped_key=None, erase_due_at=at, erase_tries=3)

    response = boss.get(page("redemption", "stuck"))

    assert "Files of documents that the storage did not erase: 1" in text(response)
    assert "3 failed tries" in text(response)
    assert page("identitydocument", "change", world.document.pk) in text(response)


def test_figures_of_a_campaign_tell_how_the_review_goes(world: World, boss: Client):
    member, at = world.shop.participant, now()
    for hours, state in ((1, "approved"), (3, "rejected"), (5, "rejected")):
        row = papers.kept(member, "cnh", "front", created_at=at - timedelta(hours=hours), replaced_at=at)
        papers.decided(row, state, reason="unreadable" if state == "rejected" else "", replaced_at=None)

    response = boss.get(page("campaign", "figures", world.shop.campaign.pk), {"days": "7"})

    told = {str(name): value for name, value in response.context["review_headline"]}
    assert (told["Waiting now"], told["Decided"], told["Median time to the decision"]) == ("1", "3", "3 hours")
    outcomes = {str(name): count for name, count, _part in response.context["review_outcomes"]}
    assert outcomes["rejected: cannot be read"] == "2"
    assert outcomes["approved"] == "1"


def test_figures_without_documents_have_no_such_part(boss: Client):
    campaign = factories.campaign()

    assert "Review of identity documents" not in text(boss.get(page("campaign", "figures", campaign.pk)))


@pytest.mark.parametrize(
    ("documents", "fault"),
    [
        (["rg:front", "rg:front"], "Name each document once."),
        (["rg:left"], "Not a document: rg:left."),
        (["library_card"], "Not a document"),
        ("rg", "Name each document once."),
        ([3], "Not a document: 3."),
    ],
)
def test_campaign_asks_for_documents_that_there_are(documents: Any, fault: str):
    campaign = factories.campaign(identity_required=True, required_documents=documents)

    with pytest.raises(Exception, match=fault):
        Campaign.objects.get(pk=campaign.pk).clean()


# --- what staff write to one another ----------------------------------------------------------------------------------

SECRET = "Same face as in the case of May."


def test_internal_comment_is_for_reviewers_and_not_about_themselves(world: World, staff: Callable[..., Client]):
    papers.decided(world.document, "rejected", reason="suspected_fraud", internal_comment=SECRET)
    change = page("identitydocument", "change", world.document.pk)
    review = page("identitydocument", "review", world.shop.participant.pk)
    maria = staff("view_identitydocument")
    assert SECRET not in text(maria.get(change))
    person = User.objects.get(username="maria")
    person.user_permissions.add(Permission.objects.get(codename="review_identitydocument"))
    assert SECRET in text(maria.get(change))
    assert SECRET in text(maria.get(review))
    papers.kept(factories.participant(world.shop.campaign), fingerprint=bytes(world.document.fingerprint))
    Participant.objects.filter(pk=world.shop.participant.pk).update(user=person)
    for address in (change, review):
        shown = text(maria.get(address))
        assert SECRET not in shown
        assert "The same picture was sent" not in shown


def test_review_is_framed_by_nobody(world: World, boss: Client):
    response = boss.get(page("identitydocument", "review", world.shop.participant.pk))
    assert response["X-Frame-Options"] == "DENY"


@pytest.mark.parametrize(("state", "name"), [("approved", "revoke"), ("rejected", "reopen")])
def test_way_back_of_a_decision_is_not_offered_about_ones_own(
    state: str, name: str, world: World, staff: Callable[..., Client]
):
    papers.decided(world.document, state, reason="unreadable" if state == "rejected" else "", is_final=True)
    maria = staff("view_identitydocument", "review_identitydocument")
    change = page("identitydocument", "change", world.document.pk)
    way = page("identitydocument", name, world.document.pk)
    review = page("identitydocument", "review", world.shop.participant.pk)
    assert all(way in text(maria.get(address)) for address in (change, review))

    Participant.objects.filter(pk=world.shop.participant.pk).update(user=User.objects.get(username="maria"))

    assert not any(way in text(maria.get(address)) for address in (change, review))
    response = maria.post(way, {"reason": "Mine."}, follow=True)
    assert "These are your own documents." in text(response)
    before = world.document.decision
    world.document.refresh_from_db()
    assert (world.document.decision, world.document.is_final) == (before, True)
