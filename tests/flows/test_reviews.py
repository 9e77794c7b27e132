"""Reviews: one person at a time, one decision, a name for each look, and nobody about themselves."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth.models import User

from tests import factories, papers
from tests.stories import refused, travel, unchanged
from twofa.exceptions import Invalid, PolicyRefused, WrongState
from twofa.flows import document_files, onboarding, participants, reviews
from twofa.flows.history import WORKER, Actor
from twofa.flows.reviews import Ruling
from twofa.models import CLAIM_LIFE, DocumentFile, Event, IdentityDocument, Participant
from twofa.models.clock import now

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("documents_folder")]

APPROVE = Ruling(approve=True)
REJECT = Ruling(approve=False, reason="unreadable", comment="Too dark.", internal_comment="Seen before.")


def reviewer(name: str = "maria") -> Any:
    return User.objects.create_user(name, is_staff=True)


def take(participant: Participant, by: Any) -> Any:
    return reviews.claim(participant, reviewer=by, actor=Actor.staff(by))


def take_next(by: Any, **options: Any) -> Participant | None:
    return reviews.claim_next(reviewer=by, actor=Actor.staff(by), **options)


def decide(document: IdentityDocument, by: Any, decision: Ruling = APPROVE, **changes: Any) -> IdentityDocument:
    participant = Participant.objects.get(pk=document.participant_id)
    seen = changes.get("seen", reviews.declared(participant))
    return reviews.decide(document.pk, decision, seen=seen, reviewer=by, actor=Actor.staff(by))


def look(document: IdentityDocument, by: Any, page: int = 1) -> bytes:
    return reviews.look(document.pk, page, reviewer=by, actor=Actor.staff(by))


def begin(document: IdentityDocument, by: Any) -> None:
    """Take the review, and look at each page of the document."""
    take(Participant.objects.get(pk=document.participant_id), by)
    for page in range(1, document.pages + 1):
        look(document, by, page)


def count(type_: str) -> int:
    return Event.objects.filter(type=type_).count()


def waiting(shop: factories.Shop, number: int = 1) -> list[IdentityDocument]:
    """Documents of so many participants, the first of which has waited longest."""
    at = now()
    return [
        papers.kept(factories.participant(shop.campaign), created_at=at - timedelta(hours=number - place))
        for place in range(number)
    ]


# --- a review is begun ------------------------------------------------------------------------------------------------


def test_claim_covers_all_that_waits_of_a_participant_and_is_told_once(shop):
    maria = reviewer()
    documents = [papers.kept(shop.participant, side=side) for side in ("front", "back")]

    until = take(shop.participant, maria)
    take(shop.participant, maria)

    rows = IdentityDocument.objects.filter(pk__in=[row.pk for row in documents])
    assert set(rows.values_list("claimed_by", flat=True)) == {maria.pk}
    assert abs(until - now() - CLAIM_LIFE) < timedelta(seconds=10)
    event = Event.objects.get(type="document.claimed")
    assert (event.actor, event.data) == ("maria", {"documents": 2})


def test_claim_of_somebody_else_is_refused_with_their_name_until_it_lapses(shop):
    maria, joao = reviewer(), reviewer("joao")
    papers.kept(shop.participant)
    take(shop.participant, maria)

    with refused(PolicyRefused) as info:
        take(shop.participant, joao)
    assert "maria" in str(info.value.detail)
    travel(CLAIM_LIFE + timedelta(seconds=1))
    assert take(shop.participant, joao) is not None
    assert count("document.claimed") == 2


def test_what_was_given_back_is_free(shop):
    maria, joao = reviewer(), reviewer("joao")
    papers.kept(shop.participant)
    take(shop.participant, maria)

    reviews.release(shop.participant, reviewer=joao)
    with refused(PolicyRefused):
        take(shop.participant, joao)
    reviews.release(shop.participant, reviewer=maria)
    assert take(shop.participant, joao) is not None


def test_claim_where_nothing_waits_writes_nothing(shop):
    papers.decided(papers.kept(shop.participant))
    maria = reviewer()

    with unchanged():
        assert take(shop.participant, maria) is None


@pytest.mark.postgres
def test_of_two_claims_at_once_one_wins_and_the_other_is_told(shop, threads):
    people = [reviewer(name) for name in ("maria", "joao")]
    papers.kept(shop.participant)

    outcomes = threads([lambda who=who: take(shop.participant, who) for who in people])

    assert sorted(isinstance(outcome, PolicyRefused) for outcome in outcomes) == [False, True]
    assert count("document.claimed") == 1


# --- the next one -----------------------------------------------------------------------------------------------------


def test_next_is_who_has_waited_longest(shop):
    first, second = waiting(shop, 2)
    maria, joao = reviewer(), reviewer("joao")

    assert take_next(maria) == first.participant
    assert take_next(joao) == second.participant
    assert take_next(reviewer("rui")) is None
    assert take_next(maria) == first.participant, "what she began is hers to go on with"


def test_next_passes_over_who_is_left_and_begins_anew_at_the_end(shop):
    first, second, third = (row.participant for row in waiting(shop, 3))
    maria = reviewer()

    found = [take_next(maria)]
    for _time in range(3):
        found.append(take_next(maria, leave=found[-1]))

    assert found == [first, second, third, first]
    held = IdentityDocument.objects.filter(claimed_by=maria)
    assert [row.participant for row in held] == [first], "the others are given back"


def test_next_is_of_the_campaign_that_was_asked_for(shop):
    waiting(shop)
    other = factories.participant(factories.campaign())
    papers.kept(other)

    assert take_next(reviewer(), campaign=other.campaign) == other


def test_next_is_never_oneself_nor_what_somebody_else_holds_in_part(shop):
    maria, joao = reviewer(), reviewer("joao")
    mine = factories.participant(shop.campaign, user=maria)
    papers.kept(mine)
    papers.kept(shop.participant, side="front")
    take(shop.participant, joao)
    papers.kept(shop.participant, side="back")

    with unchanged():
        assert take_next(maria) is None


@pytest.mark.postgres
def test_two_who_ask_for_the_next_at_once_get_one_each(shop, threads):
    found = waiting(shop, 4)
    people = [reviewer(f"r{number}") for number in range(4)]

    outcomes = threads([lambda who=who: take_next(who) for who in people])

    assert {row.pk for row in outcomes} == {row.participant_id for row in found}


# --- decisions --------------------------------------------------------------------------------------------------------


def test_approval_counts_and_completes_the_onboarding(shop):
    shop.campaign.identity_required, shop.campaign.required_documents = True, ["rg:front"]
    shop.campaign.save()
    maria, document = reviewer(), papers.kept(shop.participant)
    begin(document, maria)

    done = decide(document, maria)

    assert (done.status, done.decision, done.decided_by, done.claimed_by) == ("approved", "approved", maria, None)
    participant = Participant.objects.select_related("campaign").get(pk=shop.participant.pk)
    assert onboarding.read(participant).status == "complete"
    assert participant.onboarded_at is not None
    assert count("participant.onboarded") == 1


def test_rejection_keeps_reason_and_comments_and_the_trail_only_the_reason(shop):
    maria, document = reviewer(), papers.kept(shop.participant)
    begin(document, maria)

    done = decide(document, maria, REJECT)

    assert (done.status, done.reason, done.comment, done.is_final) == ("rejected", "unreadable", "Too dark.", False)
    event = Event.objects.get(type="document.rejected")
    assert event.data == {"document": str(document.pk), "reason": "unreadable", "is_final": False}


@pytest.mark.parametrize(
    ("said", "field"),
    [
        ({"reason": ""}, "reason"),
        ({"reason": "because", "comment": "Too dark."}, "reason"),
        ({"reason": "other"}, "comment"),
        ({"reason": "other", "comment": " "}, "comment"),
        ({"reason": "other", "internal_comment": "Not for the applicant."}, "comment"),
    ],
)
def test_rejection_that_does_not_tell_the_applicant_why_is_refused(shop, said, field):
    maria, document = reviewer(), papers.kept(shop.participant)
    begin(document, maria)

    with refused(Invalid) as info:
        decide(document, maria, Ruling(approve=False, **said))
    assert [line["field"] for line in info.value.params["errors"]] == [field]


def test_approval_of_what_nobody_compared_is_refused(shop):
    """The name is another one than beside the picture: the approval would be for a name that nobody saw."""
    maria, document = reviewer(), papers.kept(shop.participant)
    seen = reviews.declared(shop.participant)
    begin(document, maria)
    participants.enroll(campaign=shop.campaign, external_id=shop.participant.external_id, name="Rui Lima", actor=WORKER)

    with refused(Invalid) as info:
        decide(document, maria, seen=seen)
    assert [line["field"] for line in info.value.params["errors"]] == ["seen"]
    assert decide(document, maria, REJECT, seen=seen).status == "rejected"


def test_decision_is_refused_to_who_does_not_hold_the_review(shop):
    maria, joao, document = reviewer(), reviewer("joao"), papers.kept(shop.participant)
    take(shop.participant, maria)

    with refused(PolicyRefused):
        decide(document, joao)
    travel(CLAIM_LIFE + timedelta(seconds=1))
    with refused(PolicyRefused):
        decide(document, joao, REJECT)
    begin(document, joao)
    assert decide(document, joao).decided_by == joao


def test_document_that_arrives_during_a_review_is_decided_once_it_is_taken_too(shop):
    maria = reviewer()
    begin(papers.kept(shop.participant), maria)
    back = papers.kept(shop.participant, side="back")
    look(back, maria)

    with refused(PolicyRefused) as info:
        decide(back, maria)
    assert "take what arrived since" in str(info.value.detail)
    take(shop.participant, maria)
    assert decide(back, maria).decided_by == maria
    assert count("document.claimed") == 2


def test_claim_that_lapsed_and_that_nobody_took_still_counts(shop):
    maria, document = reviewer(), papers.kept(shop.participant)
    begin(document, maria)
    travel(CLAIM_LIFE + timedelta(seconds=1))

    assert decide(document, maria).decided_by == maria


@pytest.mark.parametrize("pages", [(), (1,), (1, 2)])
def test_approval_without_a_look_at_each_page_is_refused(shop, pages):
    maria, document = reviewer(), papers.kept(shop.participant, pages=3)
    take(shop.participant, maria)
    begin(papers.kept(shop.participant, side="back"), maria)
    for page in pages:
        look(document, maria, page)

    with refused(PolicyRefused) as info:
        decide(document, maria)
    assert "each page" in str(info.value.detail)
    assert decide(document, maria, REJECT).status == "rejected"


def test_look_of_somebody_else_is_no_look(shop):
    maria, joao, document = reviewer(), reviewer("joao"), papers.kept(shop.participant)
    begin(document, joao)
    reviews.release(shop.participant, reviewer=joao)
    take(shop.participant, maria)

    with refused(PolicyRefused):
        decide(document, maria)


def test_picture_that_is_gone_is_not_approved(shop):
    maria, document = reviewer(), papers.kept(shop.participant)
    begin(document, maria)
    document_files.shred(DocumentFile.objects.filter(document=document), now())

    with refused(PolicyRefused) as info:
        decide(document, maria)
    assert "not there any more" in str(info.value.detail)


def test_decision_begins_the_time_of_the_rest_anew(shop):
    maria = reviewer()
    front, back = (papers.kept(shop.participant, side=side) for side in ("front", "back"))
    begin(front, maria)
    travel(timedelta(minutes=10))

    decide(front, maria)

    back.refresh_from_db()
    assert back.claimed_until - now() > timedelta(minutes=14)


def test_second_decision_and_one_about_a_replaced_picture_are_refused(shop):
    maria, joao, document = reviewer(), reviewer("joao"), papers.kept(shop.participant)
    begin(document, maria)
    decide(document, maria)
    old = papers.kept(shop.participant, side="back", replaced_at=now())

    for row in (document, old):
        with refused(WrongState):
            decide(row, joao, REJECT)


@pytest.mark.postgres
@pytest.mark.parametrize("other", [APPROVE, REJECT], ids=["same", "contrary"])
def test_of_two_decisions_at_once_one_counts_and_the_other_is_told(shop, threads, other):
    """One reviewer in two windows; of two reviewers only the one who holds the review is heard at all."""
    maria, document = reviewer(), papers.kept(shop.participant)
    begin(document, maria)

    outcomes = threads([lambda: decide(document, maria, APPROVE), lambda: decide(document, maria, other)])

    assert sorted(isinstance(outcome, WrongState) for outcome in outcomes) == [False, True]
    assert Event.objects.filter(type__in=("document.approved", "document.rejected")).count() == 1
    (winner,) = (outcome for outcome in outcomes if not isinstance(outcome, Exception))
    document.refresh_from_db()
    assert (document.decided_by, document.decision) == (winner.decided_by, winner.decision)


def test_approval_is_taken_back_with_a_reason_and_once(shop):
    maria, document = reviewer(), papers.decided(papers.kept(shop.participant))
    shop.campaign.identity_required = True
    shop.campaign.required_documents = ["rg:front"]
    shop.campaign.save()

    reviews.revoke(document, reviewer=maria, actor=Actor.staff(maria), reason="It was somebody else's.")

    document.refresh_from_db()
    assert (document.status, document.decision) == ("expired", "expired")
    assert Event.objects.get(type="document.expired").data["reason"] == "It was somebody else's."
    with refused(WrongState):
        reviews.revoke(document, reviewer=maria, actor=Actor.staff(maria), reason="Again.")


# --- nobody about themselves ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("what", ["claim", "decide", "look", "revoke", "reopen"])
def test_own_documents_are_refused_and_the_attempt_is_told(what, caplog):
    maria = reviewer()
    mine = factories.participant(factories.campaign(), user=maria)
    document = papers.kept(mine)
    acts: dict[str, Callable[[], Any]] = {
        "claim": lambda: take(mine, maria),
        "decide": lambda: decide(document, maria),
        "look": lambda: look(document, maria),
        "revoke": lambda: reviews.revoke(document, reviewer=maria, actor=Actor.staff(maria), reason="x"),
        "reopen": lambda: reviews.reopen(document, reviewer=maria, actor=Actor.staff(maria), reason="x"),
    }

    with pytest.raises(PolicyRefused, match="policy_refused"):
        acts[what]()

    document.refresh_from_db()
    assert (document.status, document.claimed_by) == ("pending", None)
    assert list(Event.objects.filter(type__startswith="document.").values_list("type", "actor")) == [
        ("document.self_review_refused", "maria")
    ]
    told = [record.alert_ids for record in caplog.records if getattr(record, "alert", "") == "four_eyes_bypass"]
    assert told == [{"campaign": str(mine.campaign_id), "participant": str(mine.pk)}]
