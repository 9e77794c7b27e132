from __future__ import annotations

from typing import Any

import pytest

from tests.api.client import Api, member, nothing_changes, refused
from tests.factories import participant as a_participant
from tests.forms import CONTENT_TYPE, form, picture, submit
from twofa import scanners, vault
from twofa.exceptions import StorageUnavailable
from twofa.flows import participants
from twofa.models import DocumentFile, Event, IdentityDocument
from twofa.pictures import MAX_BYTES

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("documents_folder")]

MEMBERS = {
    "id", "kind", "side", "status", "decision", "reason", "comment", "created_at", "decided_at",
}  # fmt: skip


@pytest.fixture
def shop(shop):
    shop.campaign.identity_required = True
    shop.campaign.required_documents = ["cnh:front", "selfie"]
    shop.campaign.save()
    return shop


def errors_of(problem) -> list[tuple[str, str]]:
    return [(line["field"], line["code"]) for line in problem["errors"]]


def files(folder) -> list[Any]:
    return [path for path in folder.rglob("*") if path.is_file()]


# --- sent -------------------------------------------------------------------------------------------------------------


def test_document_is_taken_for_review(shop, api):
    response = submit(api, member(shop), kind="cnh", side="front", file=picture())
    body = response.json()
    assert response.status_code == 201
    assert set(body) == MEMBERS
    assert (body["kind"], body["side"], body["status"]) == ("cnh", "front", "pending")
    assert (body["reason"], body["comment"], body["decided_at"]) == (None, None, None)
    assert api.get(f"/documents/{body['id']}/").json() == body
    assert api.get(f"{member(shop)}documents/").json()["results"] == [body]
    event = Event.objects.get(type="document.submitted")
    assert (event.actor, event.participant_id, event.data["document"]) == (
        shop.storefront.name, shop.participant.pk, body["id"],
    )  # fmt: skip


def test_side_is_the_whole_document_unless_it_is_said(shop, api):
    assert submit(api, member(shop), kind="selfie", file=picture()).json()["side"] == "single"


def test_bytes_at_rest_are_no_picture(shop, api, documents_folder):
    submit(api, member(shop), kind="cnh", side="front", file=picture(format="JPEG"), filename="ana-souza.jpg")
    (path,) = files(documents_folder)
    at_rest = path.read_bytes()
    assert b"JFIF" not in at_rest
    assert not at_rest.startswith((b"\xff\xd8", b"\x89PNG"))
    assert "ana" not in str(path.relative_to(documents_folder))
    assert shop.participant.external_id not in str(path)


def test_same_side_again_replaces_what_waits(shop, api):
    first = submit(api, member(shop), kind="cnh", side="front", file=picture("red")).json()
    second = submit(api, member(shop), kind="cnh", side="front", file=picture("blue")).json()
    assert [row["id"] for row in api.get(f"{member(shop)}documents/").json()["results"]] == [second["id"]]
    # Its key is gone at once, so nobody can look at it any more, whatever the storage does.
    assert api.get(f"/documents/{first['id']}/").json()["status"] == "purged"
    assert DocumentFile.objects.get(document=first["id"]).wrapped_key is None
    assert DocumentFile.objects.kept().get().document_id == IdentityDocument.objects.waiting().get().pk
    assert Event.objects.filter(type="document.replaced").count() == 1


# --- the checklist ----------------------------------------------------------------------------------------------------


def test_checklist_tells_what_is_missing_and_what_waits(shop, api):
    before = api.get(f"{member(shop)}onboarding/").json()
    assert (before["status"], before["missing"]) == ("incomplete", ["document:cnh:front", "document:selfie"])
    assert before["next_action"] == {"type": "onboarding", "path": f"{member(shop)}onboarding/"}
    document = submit(api, member(shop), kind="cnh", side="front", file=picture()).json()
    half = api.get(f"{member(shop)}onboarding/").json()
    assert (half["status"], half["missing"]) == ("incomplete", ["document:selfie"])
    assert half["documents"] == [document]
    assert [(step["requirement"], step["status"]) for step in half["checklist"]] == [
        ("device", "approved"), ("document:cnh:front", "under_review"), ("document:selfie", "missing"),
    ]  # fmt: skip
    submit(api, member(shop), kind="selfie", file=picture("blue"))
    after = api.get(f"{member(shop)}onboarding/").json()
    assert (after["status"], after["missing"]) == ("under_review", [])
    assert after["next_action"]["type"] == "wait"
    assert after["next_action"]["poll_after"] > 0
    assert api.get(member(shop)).json()["onboarding"] == "under_review"


def test_another_side_is_another_document(shop, api):
    submit(api, member(shop), kind="cnh", side="back", file=picture())
    assert "document:cnh:front" in api.get(f"{member(shop)}onboarding/").json()["missing"]


# --- refused ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("members", "field", "code"),
    [
        ({"kind": "library_card", "file": b"x"}, "kind", "invalid_choice"),
        ({"kind": "cnh", "side": "inside", "file": b"x"}, "side", "invalid_choice"),
        ({"file": b"x"}, "kind", "required"),
        ({"kind": "cnh"}, "file", "required"),
        ({"kind": "cnh", "file": "a text"}, "file", "not_a_file"),
        ({"kind": b"cnh", "file": b"x"}, "kind", "invalid_choice"),
        ({"kind": "cnh", "file": b"x", "colour": "red"}, "colour", "unknown_field"),
        ({"kind": "cnh", "file": b""}, "file", "empty_file"),
        ({"kind": "cnh", "file": b"<svg xmlns='http://www.w3.org/2000/svg'/>"}, "file", "unsupported_file"),
        ({"kind": "cnh", "file": b"<html><script>alert(1)</script>"}, "file", "unsupported_file"),
    ],
)
def test_form_that_is_not_right_is_told_by_member(shop, api, documents_folder, members, field, code):
    with nothing_changes():
        problem = refused(submit(api, member(shop), **members), 400, "invalid")
    assert (field, code) in errors_of(problem)
    assert files(documents_folder) == []


def test_member_that_is_there_twice_is_refused(shop, api):
    with nothing_changes():
        response = submit(api, member(shop), ("kind", "cnh"), ("kind", "rg"), file=picture())
        refused(response, 400, "malformed")
        refused(submit(api, member(shop), ("file", "cnh"), kind="cnh", file=picture()), 400, "malformed")


def test_body_of_another_type_is_refused(shop, api):
    with nothing_changes():
        refused(api.post(f"{member(shop)}documents/", {"kind": "cnh"}), 415, "unsupported_media_type")
        refused(api.post(f"{member(shop)}documents/"), 400, "invalid")


@pytest.mark.parametrize(
    "content_type",
    ["multipart/form-data", "multipart/form-data; boundary=", "multipart/form-data; boundary=\x80", f"{CONTENT_TYPE}x"],
)
def test_form_that_cannot_be_read_is_refused(shop, api, content_type):
    with nothing_changes():
        response = api.send("POST", f"{member(shop)}documents/", form(kind="cnh"), content_type=content_type)
        assert response.status_code == 400


def test_form_that_ends_too_early_is_refused(shop, api):
    with nothing_changes():
        cut = form(kind="cnh", file=picture())[:-40]
        assert api.send("POST", f"{member(shop)}documents/", cut, content_type=CONTENT_TYPE).status_code == 400


@pytest.mark.parametrize("extra", [1, 2**20])
def test_file_above_the_limit_is_refused(shop, api, documents_folder, extra):
    with nothing_changes():
        response = submit(api, member(shop), kind="cnh", file=b"\xff\xd8" + b"x" * (MAX_BYTES + extra))
        assert "10 MiB" in refused(response, 413, "payload_too_large")["detail"]
    assert files(documents_folder) == []


@pytest.mark.parametrize("filename", ["../../etc/passwd", "a\x00.png", "‮gnp.exe", "c:\\x.png", "x" * 300, ""])
def test_name_of_a_file_means_nothing(shop, api, filename):
    response = submit(api, member(shop), kind="cnh", side="front", file=picture(), filename=filename)
    # Without a name it is no file to any parser of forms.
    assert response.status_code == (201 if filename else 400)
    assert "passwd" not in DocumentFile.objects.values_list("name", flat=True).first() if filename else True


def test_quota_is_told_with_the_time_to_wait(shop, api, settings, documents_folder):
    settings.TWOFA_DOCUMENTS_PER_PARTICIPANT = 2
    for colour in ("red", "blue"):
        assert submit(api, member(shop), kind="cnh", file=picture(colour)).status_code == 201
    with nothing_changes():
        problem = refused(submit(api, member(shop), kind="selfie", file=picture()), 429, "document_quota")
    assert 0 < problem["retry_after"] <= 24 * 3600 + 1
    assert len(files(documents_folder)) == 2
    other = a_participant(shop.campaign)
    assert submit(api, member(shop, other.external_id), kind="cnh", file=picture()).status_code == 201


def test_bytes_have_a_quota_too(shop, api, settings):
    settings.TWOFA_DOCUMENT_BYTES_PER_PARTICIPANT = 100
    with nothing_changes():
        problem = refused(submit(api, member(shop), kind="cnh", file=picture()), 429, "document_quota")
    assert problem["retry_after"] is None


def test_refused_file_takes_no_place_of_the_quota(shop, api, settings):
    settings.TWOFA_DOCUMENTS_PER_PARTICIPANT = 1
    for _ in range(3):
        refused(submit(api, member(shop), kind="cnh", file=b"no picture"), 400, "invalid")
    assert submit(api, member(shop), kind="cnh", file=picture()).status_code == 201


def test_damaged_file_is_told_what_to_do_and_kept_nowhere(shop, api, documents_folder):
    problem = refused(submit(api, member(shop), kind="cnh", file=picture()[:200]), 400, "invalid")
    assert errors_of(problem) == [("file", "damaged_file")]
    assert "again" in problem["errors"][0]["detail"]
    assert files(documents_folder) == []
    assert not IdentityDocument.objects.exists()


def test_storage_that_is_down_is_not_our_own_failure(shop, api, monkeypatch):
    def down(name, ciphertext):
        raise StorageUnavailable(60)

    monkeypatch.setattr(vault, "put", down)
    problem = refused(submit(api, member(shop), kind="cnh", file=picture()), 503, "unavailable")
    assert problem["retry_after"] == 60
    assert not IdentityDocument.objects.exists()
    # Whether a part of it was stored nobody knows: the row stays until the storage says that it is not there.
    row = DocumentFile.objects.get()
    assert (row.wrapped_key, row.erased_at) == (None, None)
    assert row.erase_due_at is not None


@pytest.mark.parametrize("failure", [RuntimeError("no connection"), None])
def test_scanner_that_cannot_say_means_not_accepted(shop, api, monkeypatch, settings, documents_folder, failure):
    class Silent:
        def scan(self, file):
            if failure is not None:
                raise failure

    settings.TWOFA_DOCUMENT_SCANNER = Silent
    with nothing_changes():
        refused(submit(api, member(shop), kind="cnh", file=picture()), 503, "unavailable")
    assert files(documents_folder) == []


def test_infected_file_is_refused(shop, api, settings, documents_folder):
    class Finds:
        def scan(self, file):
            return scanners.Verdict.infected("Eicar-Test")

    settings.TWOFA_DOCUMENT_SCANNER = Finds
    problem = refused(submit(api, member(shop), kind="cnh", file=picture()), 400, "invalid")
    assert errors_of(problem) == [("file", "infected_file")]
    assert not IdentityDocument.objects.exists()
    assert files(documents_folder) == []


# --- who may see it ---------------------------------------------------------------------------------------------------


def test_storefronts_of_the_campaign_share_documents_and_no_other_sees_one(shop, api, partner, neighbour):
    document = submit(api, member(shop), kind="cnh", file=picture()).json()
    assert partner.get(f"/documents/{document['id']}/").json() == document
    for stranger in (neighbour, Api()):
        status, code = (404, "not_found") if stranger.key else (401, "not_authenticated")
        refused(stranger.get(f"/documents/{document['id']}/"), status, code)
        refused(stranger.get(f"{member(shop)}documents/"), status, code)
        with nothing_changes():
            refused(submit(stranger, member(shop), kind="cnh", file=picture()), status, code)


def test_unknown_participant_is_told_by_its_resource(shop, api):
    problem = refused(submit(api, member(shop, "nobody"), kind="cnh", file=picture()), 404, "not_found")
    assert problem["resource"] == "participant"
    refused(api.get("/documents/not-an-id/"), 404, "not_found")


# --- repeated ---------------------------------------------------------------------------------------------------------


def test_same_key_with_the_same_file_is_one_document(shop, api):
    first = submit(api, member(shop), kind="cnh", file=picture(), Idempotency_Key="k-1")
    again = submit(api, member(shop), kind="cnh", file=picture(), Idempotency_Key="k-1")
    assert again.json() == first.json()
    assert again["Idempotency-Replayed"] == "true"
    assert IdentityDocument.objects.count() == 1
    other = submit(api, member(shop), kind="cnh", file=picture("blue"), Idempotency_Key="k-1")
    refused(other, 422, "idempotency_key_reused")


# --- the gate ---------------------------------------------------------------------------------------------------------


def test_name_that_changes_after_the_approval_voids_it(shop, api):
    submit(api, member(shop), kind="cnh", side="front", file=picture())
    document = IdentityDocument.objects.get()
    document.move(status="approved", decision="approved", decided_at=document.created_at)
    assert "document:cnh:front" not in api.get(f"{member(shop)}onboarding/").json()["missing"]
    participants.enroll(
        campaign=shop.campaign, external_id=shop.participant.external_id, actor=shop.actor, name="Another Name"
    )
    assert api.get(f"/documents/{document.pk}/").json()["status"] == "expired"
    assert "document:cnh:front" in api.get(f"{member(shop)}onboarding/").json()["missing"]
    assert Event.objects.get(type="document.expired").data["reason"] == "details_changed"
