"""Documents sent and decided at the same moment."""

from __future__ import annotations

import pytest

from tests import factories
from tests.forms import picture
from tests.papers import opened, submitted
from tests.races import guards
from tests.races.guards import blind_changes, meet_after, outcomes, unlocked
from tests.stories import STAFF
from twofa.flows import document_files, documents, reviews
from twofa.models import DocumentFile, Event, IdentityDocument

pytestmark = [
    pytest.mark.django_db(transaction=True), pytest.mark.postgres, pytest.mark.usefixtures("documents_folder"),
]  # fmt: skip


def sending(shop, kind: str = "cnh", data: bytes | None = None):
    content = picture() if data is None else data
    return lambda: documents.submit(
        shop.participant, storefront=shop.storefront, kind=kind, side="single", data=content, actor=shop.actor
    )


def deciding(document: IdentityDocument, reviewer, *, approve: bool):
    decision = reviews.Ruling(approve=approve, reason="" if approve else "unreadable")
    seen = reviews.declared(document.participant)
    return lambda: reviews.decide(document.pk, decision, seen=seen, reviewer=reviewer, actor=STAFF)


def test_fifty_uploads_at_once_stay_inside_the_quota(shop, threads, settings, documents_folder):
    settings.TWOFA_DOCUMENTS_PER_PARTICIPANT = 5
    told = outcomes(threads([sending(shop)] * 50))
    assert told == {"done": 5, "document_quota": 45}
    assert IdentityDocument.objects.count() == 5
    assert IdentityDocument.objects.waiting().count() == 1
    assert len([path for path in documents_folder.rglob("*") if path.is_file()]) == 5


def test_without_the_lock_they_overdraw_it(shop, threads, settings, monkeypatch):
    settings.TWOFA_DOCUMENTS_PER_PARTICIPANT = 1
    monkeypatch.setattr(guards, "PATIENCE", 30.0)
    meet_after(monkeypatch, documents, "_ensure_wanted", 2)
    claim, claimed = document_files.claim, []
    monkeypatch.setattr(
        document_files, "claim", lambda *args, **kwargs: claimed.append(claim(*args, **kwargs)) or claimed[-1]
    )
    threads([unlocked(sending(shop, kind)) for kind in ("cnh", "rg")])
    # Places that were taken, whatever became of the two uploads.
    assert len(claimed) > 1


def test_of_two_reviewers_at_once_one_decides(shop, threads):
    document, maria = submitted(shop.participant), factories.staff()
    opened(document, maria)
    calls = [deciding(document, maria, approve=True), deciding(document, maria, approve=False)] * 4
    # Somebody else, who took nothing over: refused whoever is faster.
    others = [deciding(document, factories.staff(), approve=True)] * 2
    told = outcomes(threads([*calls, *others]))
    assert (told["done"], told["wrong_state"] + told.get("policy_refused", 0)) == (1, 9)
    stored = IdentityDocument.objects.get()
    decided = Event.objects.filter(type__in=("document.approved", "document.rejected"))
    assert [event.type for event in decided] == [f"document.{stored.status}"]


def test_without_the_guards_both_decide(shop, threads, monkeypatch):
    document, maria = submitted(shop.participant), factories.staff()
    opened(document, maria)
    blind_changes(monkeypatch)
    monkeypatch.setattr(guards, "PATIENCE", 30.0)
    meet_after(monkeypatch, reviews, "_ensure_free", 2)
    calls = [deciding(document, maria, approve=True), deciding(document, maria, approve=False)]
    threads([unlocked(call) for call in calls])
    assert Event.objects.filter(type__in=("document.approved", "document.rejected")).count() == 2


def test_of_two_reviewers_who_begin_at_once_one_reviews(shop, threads):
    submitted(shop.participant)
    people = [factories.staff() for _ in range(6)]
    told = outcomes(
        threads([lambda who=who: reviews.claim(shop.participant, reviewer=who, actor=STAFF) for who in people])
    )
    assert told == {"done": 1, "policy_refused": 5}
    assert Event.objects.filter(type="document.claimed").count() == 1


def test_picture_that_is_replaced_while_it_is_decided_is_one_or_the_other(shop, threads):
    document, maria = submitted(shop.participant), factories.staff()
    opened(document, maria)
    results = threads([deciding(document, maria, approve=True), sending(shop, data=picture("blue"))])
    document.refresh_from_db()
    # Either it was approved, and the other picture refused; or it was replaced, and the decision came too late.
    assert outcomes(results) == {"done": 1, "wrong_state": 1}
    assert (document.decision == "approved") == (document.replaced_at is None)
    assert not DocumentFile.objects.filter(document__isnull=True).exclude(erase_due_at__isnull=False).exists()
