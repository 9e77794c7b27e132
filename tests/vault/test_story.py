"""The onboarding story over HTTP, from the refusal to the points that go, on each place where documents may lie."""

from __future__ import annotations

from typing import Any

import pytest
from django.core.files.storage import storages

from tests import factories
from tests.api.client import Api, checkouts, member, order, refused
from tests.factories import token_of
from tests.forms import picture, submit
from tests.papers import decide
from tests.stories import STAFF
from twofa import vault
from twofa.flows import reviews
from twofa.models import Challenge, DocumentFile, Event, IdentityDocument

pytestmark = pytest.mark.django_db


@pytest.fixture(params=["folder", "s3"])
def at_rest(request: pytest.FixtureRequest) -> Any:
    """What lies in the storage: a name and the bytes of each file."""
    if request.param == "s3":
        bucket = request.getfixturevalue("bucket")
        return lambda: {entry.key: entry.get()["Body"].read() for entry in bucket.objects.all()}
    folder = request.getfixturevalue("documents_folder")
    return lambda: {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.fixture
def shop(db) -> factories.Shop:
    return factories.Shop(identity_required=True, required_documents=["cnh:front", "cnh:back", "selfie"])


def send_all(api: Api, shop: factories.Shop) -> None:
    for kind, side, colour in (("cnh", "front", "red"), ("cnh", "back", "blue"), ("selfie", "single", "green")):
        response = submit(api, member(shop), kind=kind, side=side, file=picture(colour, "JPEG", comment=b"Ana Souza"))
        assert response.status_code == 201, response.content


def test_story_of_an_onboarding(shop, at_rest, client):
    api = Api(factories.key(shop.storefront))
    problem = refused(api.post(checkouts(shop), order(shop)), 409, "onboarding_incomplete")
    assert problem["missing"] == ["document:cnh:front", "document:cnh:back", "document:selfie"]
    assert problem["next_action"]["path"] == f"{member(shop)}onboarding/"
    send_all(api, shop)
    assert api.get(problem["next_action"]["path"]).json()["status"] == "under_review"
    refused(api.post(checkouts(shop), order(shop)), 409, "onboarding_incomplete")
    for document in IdentityDocument.objects.waiting():
        decide(document, approve=True)
    assert api.get(member(shop)).json()["onboarding"] == "complete"
    opened = api.post(checkouts(shop), order(shop))
    assert opened.status_code == 201, opened.content
    redemption = opened.json()
    token = token_of(Challenge.objects.get(pk=redemption["two_factor"]["challenge"]["id"]))
    done = api.post(f"/redemptions/{redemption['id']}/confirm/", {"token": token}).json()
    assert done["status"] == "completed"


def test_what_lies_there_is_no_picture_and_says_nothing(shop, at_rest):
    send_all(Api(factories.key(shop.storefront)), shop)
    lying = at_rest()
    assert set(lying) == set(DocumentFile.objects.values_list("name", flat=True))
    assert len(lying) == 3
    for name, content in lying.items():
        for trace in (b"JFIF", b"Exif", b"Ana", b"PNG"):
            assert trace not in content
        assert not {shop.participant.external_id, "cnh", "jpg"} & set(name.replace("/", ".").split("."))


def test_reviewer_sees_the_picture_and_leaves_a_name(shop, at_rest):
    send_all(Api(factories.key(shop.storefront)), shop)
    document = IdentityDocument.objects.get(kind="selfie")
    shown = reviews.look(document.pk, 1, reviewer=factories.staff(), actor=STAFF)
    assert shown.startswith(b"\xff\xd8\xff")
    assert b"Ana Souza" not in shown
    event = Event.objects.get(type="document.viewed")
    assert (event.actor, event.data) == (STAFF.label, {"document": str(document.pk), "page": 1})


def test_no_address_leads_to_a_document_without_permission(shop, at_rest, client, admin_client):
    send_all(Api(factories.key(shop.storefront)), shop)
    name = DocumentFile.objects.values_list("name", flat=True)[0]
    for prefix in ("/", "/media/", "/static/", "/documents/", "/twofa_documents/", "/api/v1/documents/"):
        for caller in (client, admin_client):
            assert caller.get(prefix + name).status_code in (302, 404)
    try:
        address = storages[vault.ALIAS].url(name)
    except ValueError:  # a private folder has none
        return
    # Of S3 an address is signed, for somebody who has the account's key; and what it leads to is noise.
    assert "Signature" in address
