"""The pictures of documents: streamed by permission, shut in by headers, and each look with a name."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from django.test import Client

from tests.admin.conftest import World, page
from tests.stories import unchanged
from twofa.exceptions import StorageUnavailable
from twofa.flows import document_files
from twofa.models import DocumentFile, Event, IdentityDocument
from twofa.models.clock import now

pytestmark = pytest.mark.django_db(transaction=True)

REVIEWER = ("view_identitydocument", "review_identitydocument")


def picture(document: IdentityDocument) -> str:
    return page("identitydocument", "page", document.pk, 1)


def test_picture_is_streamed_shut_in_and_its_look_has_a_name(world: World, staff: Callable[..., Client]):
    response = staff(*REVIEWER).get(picture(world.document))

    assert response.content == b"a picture, as far as the storage knows"
    assert response["Content-Type"] == "image/jpeg"
    assert response["Content-Disposition"] == 'inline; filename="document.jpg"'
    assert response["X-Content-Type-Options"] == "nosniff"
    policy = response["Content-Security-Policy"].split("; ")
    assert {"default-src 'none'", "sandbox", "frame-ancestors 'none'"} <= set(policy)
    assert {"no-store", "private"} <= set(response["Cache-Control"].split(", "))
    assert response["Cross-Origin-Resource-Policy"] == "same-origin"
    assert response["Referrer-Policy"] == "no-referrer"
    event = Event.objects.get(type="document.viewed")
    assert (event.actor_kind, event.actor, event.data["page"]) == ("staff", "maria", 1)


def test_picture_is_a_file_where_that_is_asked_for(world: World, boss: Client):
    response = boss.get(picture(world.document), {"download": ""})

    assert response["Content-Disposition"] == 'attachment; filename="document.jpg"'


def test_head_reads_nothing_and_so_is_no_look(world: World, boss: Client):
    with unchanged():
        response = boss.head(picture(world.document))

    assert response.status_code == 200
    assert response["Content-Type"] == "image/jpeg"
    assert boss.post(picture(world.document)).status_code == 405


def test_erased_picture_is_a_calm_line(world: World, boss: Client):
    document_files.shred(DocumentFile.objects.filter(document=world.document), now())

    with unchanged():
        response = boss.get(picture(world.document))

    assert response.status_code == 404
    assert response["Content-Type"].startswith("text/plain")
    assert "it was erased" in response.content.decode()


def test_storage_that_is_down_is_told_and_nothing_breaks(world: World, boss: Client, monkeypatch: pytest.MonkeyPatch):
    def down(name: str) -> bytes:
        raise StorageUnavailable(60)

    monkeypatch.setattr("twofa.vault.fetch", down)
    response = boss.get(picture(world.document))

    assert (response.status_code, response["Retry-After"]) == (503, "60")
    assert "does not answer" in response.content.decode()
    review = page("identitydocument", "review", world.shop.participant.pk)
    boss.post(review, {"do": "claim"})
    assert "If you see no picture, load the page again" in boss.get(review).content.decode()
