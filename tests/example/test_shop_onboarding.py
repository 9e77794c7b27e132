"""The shop's onboarding page: what it asks for, takes and refuses, whose it is, and where it leads."""

from __future__ import annotations

import re
import tempfile
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile

from example_project.loyalty import ledger
from example_project.shop import uploads
from tests import factories, papers
from tests.example.shopping import PHONE, Shopper, World, latest_token, orders
from tests.forms import picture
from twofa.channels.memory import outbox
from twofa.flows import onboarding
from twofa.models import IdentityDocument, Participant

pytestmark = pytest.mark.django_db(transaction=True)

Status = IdentityDocument.Status


@pytest.fixture
def ana(identity_world: World) -> Shopper:
    """Ana's browser, signed in to the campaign that asks who she is, on the page that asks."""
    ana = Shopper().sign_in("premium:ana")
    ana.get("/onboarding/")
    return ana


def documents() -> list[tuple[str, str, str]]:
    rows = IdentityDocument.objects.current().order_by("pk")
    return [(row.kind, row.side, row.status) for row in rows]


def files(folder: Path) -> int:
    return sum(path.is_file() for path in folder.rglob("*"))


def step(page: str, anchor: str) -> str:
    """Return the part of the page that is about one document."""
    found = re.search(rf'<li id="step-{anchor}".*?</li>', page, re.DOTALL)
    assert found, anchor
    return found[0]


def state(page: str, anchor: str) -> str:
    found = re.search(r"step step-(\w+)", step(page, anchor))
    assert found
    return found[1]


def approve_all(member: Participant) -> None:
    for row in IdentityDocument.objects.waiting().filter(participant=member):
        papers.decide(row, approve=True)


# --- the way there and back ------------------------------------------------------------------------------------------


def test_order_of_somebody_unknown_leads_to_the_page_that_says_what_is_missing(identity_world: World, ana: Shopper):
    assert ana.order("kettle") == "/onboarding/"

    assert "Before you can redeem in this campaign we need to know who you are" in ana.page
    assert {state(ana.page, name) for name in ("cnh-front", "cnh-back", "selfie")} == {"missing"}
    assert state(ana.page, "device") == "approved"
    assert "3 things are left." in ana.page
    assert 'href="/products/kettle/"' in ana.page
    assert orders() == []
    assert len(outbox) == 0
    assert ledger.balances(identity_world.member).available == Decimal("50000.00")


def test_page_leads_from_the_first_document_to_the_order_that_was_wanted(identity_world: World, ana: Shopper):
    ana.order("kettle")
    for wanted, colour in (("cnh:front", "red"), ("cnh:back", "green"), ("selfie", "blue")):
        ana.upload(wanted, picture(colour))
        assert ana.path == "/onboarding/"
        assert state(ana.page, wanted.replace(":", "-")) == "under_review"
    assert documents() == [(*pair, "pending") for pair in (("cnh", "front"), ("cnh", "back"), ("selfie", "single"))]
    assert "We are looking at it" in ana.page

    approve_all(identity_world.member)
    ana.get("/onboarding/")
    assert "You are all set" in ana.page
    assert "Back to: Gooseneck kettle" in ana.page
    assert ana.order("kettle").startswith("/orders/")
    ana.type(latest_token())

    assert "It is yours" in ana.page
    assert orders() == [("completed", "completed")]


def test_phone_that_is_missing_too_is_a_step_that_leads_back_here(identity_world: World, ana: Shopper):
    identity_world.member.devices.all().delete()
    assert ana.order("kettle") == "/onboarding/"
    assert 'href="/contacts/"' in step(ana.page, "device")

    ana.get("/contacts/")
    ana.send("/contacts/", address=PHONE)
    ana.type(latest_token(), "verify")

    assert ana.path == "/onboarding/"
    assert state(ana.page, "device") == "approved"
    assert "Gooseneck kettle" in ana.page


def test_document_that_is_voided_before_the_token_leads_here_and_nothing_is_spent(identity_world: World, ana: Shopper):
    for wanted, colour in (("cnh:front", "red"), ("cnh:back", "green"), ("selfie", "blue")):
        ana.upload(wanted, picture(colour))
    approve_all(identity_world.member)
    path = ana.order("kettle")
    IdentityDocument.objects.filter(kind="selfie").update(status=Status.EXPIRED, decision=Status.EXPIRED)

    ana.type(latest_token())

    assert ana.path == "/onboarding/"
    assert state(ana.page, "selfie") == "missing"
    assert "does not count any more" in step(ana.page, "selfie")
    assert orders() == [("pending_2fa_approval", "reserved")]
    assert "5 attempts left." in ana.get(path)


def test_campaign_that_asks_nothing_says_so(world: World, shopper: Shopper):
    shopper.sign_in("everyday:ana").get("/onboarding/")

    assert "Nothing is asked of you" in shopper.page
    assert "My documents" not in re.search(r"<nav.*?</nav>", shopper.page, re.DOTALL)[0]


# --- what staff say --------------------------------------------------------------------------------------------------


def test_refused_document_says_why_and_what_to_do_and_takes_another(identity_world: World, ana: Shopper):
    ana.upload("cnh:front", picture())
    papers.decide(IdentityDocument.objects.get(), approve=False, comment="Too <b>dark</b>, sorry")

    ana.get("/onboarding/")
    said = step(ana.page, "cnh-front")
    assert "We cannot read it." in said
    assert "Take it again in daylight" in said
    assert "Too &lt;b&gt;dark&lt;/b&gt;, sorry" in said
    assert "<details" in said
    assert " open>" in said
    ana.upload("cnh:front", picture("green"))

    assert state(ana.page, "cnh-front") == "under_review"
    assert documents() == [("cnh", "front", "rejected"), ("cnh", "front", "pending")]


def test_every_reason_of_the_api_has_words_of_its_own(identity_world: World, ana: Shopper):
    ana.upload("cnh:front", picture())
    papers.decide(IdentityDocument.objects.get(), approve=False)

    said = set()
    for reason in IdentityDocument.Reason.values:
        IdentityDocument.objects.update(reason=reason)
        found = re.search(r'class="verdict"><strong>([^<]+)</strong> ([^<]+)', ana.get("/onboarding/"))
        said.add(found.groups())

    assert len(said) == len(IdentityDocument.Reason.values)


def test_document_refused_for_good_offers_no_form_and_a_way_out(identity_world: World, ana: Shopper):
    ana.upload("cnh:front", picture())
    papers.decide(IdentityDocument.objects.get(), approve=False, reason="suspected_fraud", is_final=True)

    ana.get("/onboarding/")

    assert "We could not confirm who you are" in ana.page
    # Of the other side of the same paper as well.
    for side in ("cnh-front", "cnh-back"):
        said = step(ana.page, side)
        assert ("<form" in said) != ("No other picture can be sent for it. Write to us, please." in said)
    assert "<form" not in step(ana.page, "cnh-front")
    assert " open>" in step(ana.page, "cnh-front"), "unfolded is why, and no invitation to send what would not help"
    assert "<form" not in step(ana.page, "cnh-back")
    assert "Nothing is to be sent here now." in step(ana.page, "selfie")
    assert "handed in" not in ana.page
    assert 'href="/"' in ana.page


def test_status_is_the_checklist_alone_and_says_when_to_look_again(identity_world: World, ana: Shopper):
    assert 'data-after=""' in ana.page, "nothing changes by itself while it is the member's turn"
    ana.upload("cnh:front", picture())

    answer = ana.client.get("/onboarding/status/").content.decode()

    assert f'data-after="{onboarding.REVIEW_POLL_SECONDS}"' in answer
    assert state(answer, "cnh-front") == "under_review"
    assert "<html" not in answer


# --- what is taken ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"<svg xmlns='http://www.w3.org/2000/svg'/>", "Send a picture (JPEG, PNG or WebP) or a PDF."),
        (picture()[:80], "That file is damaged or not whole."),
        (picture(size=(20, 20)), "That picture is too small to be read."),
        (b"", "There is nothing in that file."),
    ],
)
def test_file_that_is_no_picture_is_told_beside_its_field(data: bytes, said: str, ana: Shopper, documents_folder: Path):
    ana.upload("cnh:back", data)

    assert ana.path == "/onboarding/cnh:back/"
    assert said in step(ana.page, "cnh-back")
    assert " open>" in step(ana.page, "cnh-back")
    assert 'role="alert"' in ana.page
    assert documents() == []
    assert files(documents_folder) == 0


def test_form_without_a_file_says_so(ana: Shopper):
    ana.send("/onboarding/cnh:front/")

    assert "Take a picture or choose a file first." in step(ana.page, "cnh-front")
    assert documents() == []


@pytest.mark.parametrize("more", [1, uploads._OVERHEAD + 1])
def test_file_above_ten_mebibytes_is_refused_here(
    more: int, ana: Shopper, documents_folder: Path, monkeypatch: pytest.MonkeyPatch
):
    """Slightly above it is read and dropped, far above it is not even read as a form."""
    monkeypatch.setattr("example_project.shop.client.Client.send_file", lambda *given, **more: pytest.fail("was sent"))

    ana.upload("cnh:front", b"\xff\xd8\xff" + bytes(uploads.MAX_BYTES + more - 3))

    assert ana.path == "/onboarding/cnh:front/"
    assert "It is larger than 10 MB." in step(ana.page, "cnh-front")
    assert documents() == []
    assert files(documents_folder) == 0


def test_picture_is_never_written_to_this_machine_in_clear(ana: Shopper, monkeypatch: pytest.MonkeyPatch):
    made: list[Any] = []
    monkeypatch.setattr(
        "django.core.files.uploadedfile.TemporaryUploadedFile.__init__", lambda *given, **more: made.append(given)
    )
    monkeypatch.setattr(tempfile, "tempdir", "/nowhere")
    noise = picture(format="BMP", size=(1200, 900))
    assert len(noise) > 2_621_440, "Django's own handlers write what is longer than this to a file"

    ana.upload("cnh:front", noise)

    assert made == []
    assert "Send a picture" in step(ana.page, "cnh-front")


def test_form_sent_twice_is_one_document(ana: Shopper):
    action, sent = "/onboarding/cnh:front/", ana.fields("/onboarding/cnh:front/")
    for _twice in range(2):
        ana.upload("cnh:front", picture(), **sent)
        ana.get("/onboarding/")

    assert action in ana.page
    assert IdentityDocument.objects.count() == 1


def test_other_picture_in_a_form_of_before_replaces_the_one_that_waits(ana: Shopper):
    sent = ana.fields("/onboarding/cnh:front/")
    ana.upload("cnh:front", picture("red"), **sent)
    ana.upload("cnh:front", picture("green"), **sent)

    assert documents() == [("cnh", "front", "pending")]
    assert IdentityDocument.objects.count() == 2


def test_any_document_is_chosen_by_its_kind_where_the_campaign_takes_any(world: World, documents_folder: Path):
    world.demand_identity(())
    ana = Shopper().sign_in("premium:ana")
    ana.get("/onboarding/")

    ana.upload("document", picture(), kind="passport")

    assert documents() == [("passport", "single", "pending")]
    assert "We are looking at it" in ana.page


@pytest.mark.parametrize("wanted", ["passport", "cnh", "cnh:front:x", "document", "cnh:single", "device"])
def test_document_that_nobody_asked_for_is_not_taken(wanted: str, ana: Shopper, documents_folder: Path):
    sent = {**ana.fields("/onboarding/cnh:front/"), "kind": "passport"}

    answer = ana.client.post(f"/onboarding/{wanted}/", {**sent, "file": SimpleUploadedFile("a.png", picture())})

    assert answer.status_code == 404
    assert documents() == []
    assert files(documents_folder) == 0


# --- whose it is -----------------------------------------------------------------------------------------------------


def test_form_of_another_site_stores_nothing(ana: Shopper, documents_folder: Path):
    ana.upload("cnh:front", picture(), csrfmiddlewaretoken="x" * 64)

    assert ana.status == 403
    assert documents() == []
    assert files(documents_folder) == 0


def test_tab_of_another_member_stores_nothing(ana: Shopper, documents_folder: Path):
    ana.upload("cnh:front", picture(), member="summer:bruno")

    assert "Somebody else is signed in now" in ana.page
    assert documents() == []
    assert files(documents_folder) == 0


def test_visitor_who_is_signed_out_sends_nothing(identity_world: World, ana: Shopper):
    sent = ana.fields("/onboarding/cnh:front/")
    ana.client.post("/sign-out/", {"csrfmiddlewaretoken": sent["csrfmiddlewaretoken"]})

    ana.upload("cnh:front", picture(), **sent)

    assert ana.path.startswith("/sign-in/")
    assert documents() == []


def test_page_shows_the_session_s_member_and_nobody_else(identity_world: World, ana: Shopper, settings: Any):
    other = factories.participant(identity_world.member.campaign, external_id="carla")
    papers.submitted(other, "cnh", "front")
    papers.decide(IdentityDocument.objects.get(), approve=False, comment="Only for Carla")

    ana.get("/onboarding/")

    assert state(ana.page, "cnh-front") == "missing"
    assert "Only for Carla" not in ana.page


# --- trouble ---------------------------------------------------------------------------------------------------------


def test_storage_that_is_down_is_told_calmly_and_nothing_is_kept(ana: Shopper, documents_folder: Path):
    documents_folder.write_text("a file in the place of the folder")

    ana.upload("cnh:front", picture())

    assert ana.path == "/onboarding/cnh:front/"
    assert "The points programme cannot answer now" in ana.page
    assert documents() == []


def test_quota_that_is_used_up_is_told(ana: Shopper, settings: Any):
    settings.TWOFA_DOCUMENTS_PER_PARTICIPANT = 1
    ana.upload("cnh:front", picture())

    ana.upload("cnh:back", picture("green"))

    assert "Too many files were sent today" in ana.page
    assert documents() == [("cnh", "front", "pending")]


def test_document_that_is_approved_already_is_not_replaced(identity_world: World, ana: Shopper):
    sent = ana.fields("/onboarding/cnh:front/")
    ana.upload("cnh:front", picture())
    approve_all(identity_world.member)

    ana.upload("cnh:front", picture("green"), **(sent | {"nonce": "0" * 24}))

    assert "That is not possible any more" in ana.page
    assert documents() == [("cnh", "front", "approved")]


def test_picture_of_this_page_alone_may_be_shown_before_it_is_sent(ana: Shopper):
    policies = {path: ana.client.get(path)["Content-Security-Policy"] for path in ("/onboarding/", "/orders/", "/")}

    assert "img-src 'self' blob:" in policies["/onboarding/"]
    assert "blob:" not in policies["/orders/"] + policies["/"]


def test_page_about_privacy_is_there_for_everybody(world: World, shopper: Shopper):
    shopper.get("/privacy/")

    assert shopper.status == 200
    assert "erased 30 days after the decision" in shopper.page
