"""Three chapters of the story: a campaign that asks who somebody is, her documents, and the person who decides."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING

from django.conf import settings
from django.contrib.auth import get_user_model
from django.utils.translation import gettext as _

from example_project.loyalty.demo import evidence, seed, specimens
from example_project.loyalty.demo.failure import expect
from example_project.loyalty.demo.terminal import quiet
from twofa import correlation
from twofa.flows import documents, reviews
from twofa.flows.history import Actor
from twofa.models import Channel

if TYPE_CHECKING:
    from example_project.loyalty.demo.story import Story

_PRICE = Decimal("6200.00")
_PARTICIPANT = f"/campaigns/{seed.VERIFIED}/participants/{seed.PARTICIPANT}/"
_ANSWER = ("id", "kind", "side", "status")


def refuse(story: Story) -> None:
    """Ana orders where nobody knows who she is: nothing happens, and she is told all that is missing."""
    story.terminal.say(_("Staff demand papers in this campaign. All that is missing is told at once."))
    path = f"/campaigns/{seed.VERIFIED}/redemptions/"
    show = ("code", "detail", "missing", "next_action")
    refused = story.client.call(
        "POST", path, story.order_of(_PRICE), expect=409, code="onboarding_incomplete", show=show
    )
    wanted = ["device", *(f"document:{name}" for name in seed.REQUIRED_DOCUMENTS)]
    expect(refused.body["missing"], wanted, _("what is missing"))
    expect(story.inbox.unread(), 0, _("messages"))
    story.show_points(slug=seed.VERIFIED, available="50000.00", reserved="0.00")
    story.terminal.say(_("Her phone first: it is another campaign, where it has proved nothing yet."))
    story.prove_phone(seed.VERIFIED)


def send(story: Story) -> None:
    """Her documents are taken, and the storefront that sent them cannot get them back."""
    name, number = seed.participant(seed.VERIFIED).name, seed.DOCUMENT_NUMBER
    files = (
        ("cnh", "front", specimens.licence_front(name, number)),
        ("cnh", "back", specimens.licence_back(number)),
        ("selfie", "single", specimens.selfie()),
    )
    for kind, side, file in files:
        members = {"kind": kind, "side": side}
        sent = story.client.send_file(f"{_PARTICIPANT}documents/", members, file, expect=201, show=_ANSWER)
        expect(sent.body["status"], "pending", _("the document"))
    standing = story.client.call("GET", f"{_PARTICIPANT}onboarding/", expect=200, show=("status", "missing"))
    expect(standing.body["status"], "under_review", _("the onboarding"))
    story.terminal.say(_("The storefront is told how a document stands, and has no address to get the picture from."))
    story.client.call("GET", f"/documents/{sent.body['id']}/", expect=200, show=_ANSWER)
    story.client.call("GET", f"/documents/{sent.body['id']}/file/", expect=404, code="not_found", show=("code",))
    files_at_rest, pictures = evidence.pictures_at_rest(settings.VAR_DIR / "documents")
    expect(files_at_rest, len(files), _("files in the storage"))
    story.terminal.line()
    story.terminal.fact(_("Files in the storage"), files_at_rest)
    story.terminal.fact(_("Of them pictures that anything can open without the key"), pictures)


def review(story: Story) -> None:
    """Somebody whose work it is looks at each, and approves it; then the same order goes through."""
    story.terminal.say(
        _("%(name)s has the role Reviewer. In the admin she sees each picture beside what Ana declared, and decides.")
        % {"name": seed.REVIEWER.capitalize()}
    )
    with correlation.bound("demo-review"), quiet():
        _approve_all()
    names = evidence.looks(seed.REVIEWER)
    expect(len(names), len(seed.REQUIRED_DOCUMENTS), _("looks at documents"))
    story.terminal.line()
    story.terminal.fact(_("Looks at her pictures, each an event with a name"), ", ".join(names))
    story.terminal.say(_("Ana is told of each."))
    for _document in seed.REQUIRED_DOCUMENTS:
        story.receive_message("Ana", channel=Channel.SMS)
    standing = story.client.call("GET", f"{_PARTICIPANT}onboarding/", expect=200, show=("status", "missing"))
    expect(standing.body["status"], "complete", _("the onboarding"))
    _redeem(story)


def _approve_all() -> None:
    """Do by the flows what the admin's pages do."""
    reviewer = get_user_model().objects.get(username=seed.REVIEWER)
    actor, participant = Actor.staff(reviewer), seed.participant(seed.VERIFIED)
    reviews.claim(participant, reviewer=reviewer, actor=actor)
    for document in documents.visible(participant).order_by("pk"):
        reviews.look(document.pk, 1, reviewer=reviewer, actor=actor)
        seen = reviews.declared(participant)
        reviews.decide(document.pk, reviews.Ruling(approve=True), seen=seen, reviewer=reviewer, actor=actor)


def _redeem(story: Story) -> None:
    story.terminal.say(_("The order that was refused, once more: now it waits for a token like any other."))
    order = story.order_of(_PRICE, repeat=True)
    opened = story.checkout(seed.VERIFIED, order, show=("id", "status", "two_factor.reason"))
    story.redemption = opened.body["id"]
    done = story.confirm_with(story.receive(), 200, show=("id", "status", "amount"))
    expect(done.body["status"], "completed", _("the redemption"))
    story.show_points(slug=seed.VERIFIED, available="43800.00", reserved="0.00")
