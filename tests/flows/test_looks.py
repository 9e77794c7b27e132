"""Looks at a document: each has a name, and the event is there before the picture."""

from __future__ import annotations

import pytest
from django.db import transaction

from tests import papers
from tests.flows.test_reviews import count, look, reviewer
from tests.stories import refused
from twofa.exceptions import DocumentUnreadable, NotFound, StorageUnavailable
from twofa.flows import document_files
from twofa.models import DocumentFile, Event
from twofa.models.clock import now
from twofa.vault import storage

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("documents_folder")]


def test_look_gives_the_picture_and_leaves_a_name(shop):
    maria = reviewer()
    document = papers.kept(shop.participant, data=b"page", pages=2)

    assert look(document, maria, 2) == b"page"
    event = Event.objects.get(type="document.viewed")
    assert (event.actor, event.data) == ("maria", {"document": str(document.pk), "page": 2})


def test_look_is_told_even_where_the_storage_then_fails(shop, monkeypatch):
    """The event comes first: otherwise somebody whose connection breaks in time would see without a trace."""
    maria, document = reviewer(), papers.kept(shop.participant)

    def down(name: str) -> bytes:
        raise StorageUnavailable(60)

    monkeypatch.setattr("twofa.vault.fetch", down)
    with pytest.raises(StorageUnavailable):
        look(document, maria)
    assert count("document.viewed") == 1


def test_look_inside_of_somebody_elses_transaction_is_no_look(shop):
    """Its event could be rolled back after the picture was seen."""
    maria, document = reviewer(), papers.kept(shop.participant)

    with pytest.raises(RuntimeError), transaction.atomic():
        look(document, maria)


def test_nothing_is_seen_of_a_page_that_is_not_there_or_erased(shop):
    maria, document = reviewer(), papers.kept(shop.participant)
    with refused(NotFound):
        look(document, maria, 2)
    with transaction.atomic():
        document_files.shred(DocumentFile.objects.filter(document=document), now())
    with refused(NotFound):
        look(document, maria)


def test_file_that_was_exchanged_does_not_open(shop):
    maria = reviewer()
    document, other = papers.kept(shop.participant, data=b"mine"), papers.kept(shop.participant, side="back")
    (name,), (theirs,) = (row.files.values_list("name", flat=True) for row in (document, other))
    sealed = storage.fetch(theirs)
    storage.erase(name)
    storage.put(name, sealed)

    with pytest.raises(DocumentUnreadable):
        look(document, maria)
