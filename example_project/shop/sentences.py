"""Every refusal as a calm sentence and a next step. The API's own texts are for developers; these are for members."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from django.utils.translation import gettext_lazy as _
from django.utils.translation import ngettext

from example_project.shop import words

if TYPE_CHECKING:
    from django_stubs_ext import StrPromise

Tone = Literal["error", "info", "done"]


@dataclass(frozen=True)
class Sentence:
    """What happened and what to do now. ``field`` says that the visitor can correct what they typed."""

    title: str | StrPromise
    advice: str | StrPromise
    tone: Tone = "error"
    field: bool = False


# The outcome may be unknown: so no promise that nothing was spent, only that repeating is safe.
_AGAIN = _("Try again in a moment: whatever happened, nothing happens twice.")
_OUR_SIDE = Sentence(_("Something does not work on our side"), _("Look at “My orders” before you try again."))

REFUSALS: dict[str, Sentence] = {
    "token_malformed": Sentence(
        _("That does not look like the token"),
        _("Check its length and its characters. It cost you no attempt."),
        field=True,
    ),
    "token_invalid": Sentence(
        _("That is not the right token"), _("Look at the newest message and type it again."), field=True
    ),
    "token_superseded": Sentence(
        _("That token was replaced by a newer one"), _("Type the one of the newest message."), field=True
    ),
    "token_expired": Sentence(
        _("That token has expired"), _("Ask for a new one below. It cost you no attempt."), field=True
    ),
    "attempts_exhausted": Sentence(
        _("Too many wrong tokens"), _("To keep your points safe this was closed. Nothing was spent.")
    ),
    "challenge_closed": Sentence(_("This has ended already"), _("Below is how it stands now."), "info"),
    "wrong_state": Sentence(
        _("That is not possible any more"), _("Something changed meanwhile. Below is how it stands now."), "info"
    ),
    "purpose_mismatch": Sentence(_("That token belongs to something else"), _("Type the one of the newest message.")),
    "transaction_changed": Sentence(
        _("The order is not the one that the token was sent for"), _("To keep your points safe it was cancelled.")
    ),
    "resend_cooldown": Sentence(
        _("The last message was sent a moment ago"),
        _("It may still be on its way. Wait a little before another."),
        "info",
    ),
    "resends_exhausted": Sentence(
        _("No more messages can be sent for this"), _("Use the last token, or cancel and begin again.")
    ),
    "too_many_open_challenges": Sentence(
        _("Several of your orders wait for a token"),
        _("Confirm or cancel one of them under “My orders”, then try again."),
    ),
    "failed_attempts_budget": Sentence(
        _("Too many wrong tokens today"),
        _("To keep your points safe nothing more is confirmed for now. Try again later."),
    ),
    "send_budget": Sentence(
        _("Too many messages were sent to you today"), _("Nothing was spent. Try again later, or on another channel.")
    ),
    "document_quota": Sentence(
        _("Too many files were sent today"), _("Wait until the ones we have are looked at, or try again tomorrow.")
    ),
    "throttled": Sentence(_("Too much is asked for at the moment"), _AGAIN),
    "onboarding_incomplete": Sentence(
        _("First we need a way to reach you"),
        _("Add your phone or e-mail below. A token goes there, and only you can then spend your points."),
        "info",
    ),
    "channel_unavailable": Sentence(
        _("That channel cannot be used now"), _("Choose another of your phones or addresses.")
    ),
    "destination_not_allowed": Sentence(
        _("The programme sends no tokens there"),
        _("Use a number of another country, or an e-mail address."),
        field=True,
    ),
    "redemption_refused": Sentence(
        _("The programme did not accept this order"), _("Nothing was spent. Write to us if you think it should.")
    ),
    "order_conflict": Sentence(
        _("This order was begun differently before"), _("It was reset. Press the button again.")
    ),
    "idempotency_key_reused": Sentence(
        _("This page was sent before with something else in it"), _("It was reset. Try once more.")
    ),
    "idempotency_in_progress": Sentence(
        _("Your last click is still being worked on"), _("Look again in a moment; nothing happens twice."), "info"
    ),
    "permission_denied": Sentence(
        _("This membership cannot be used at the moment"), _("Nothing was spent. Write to us to learn why.")
    ),
    "not_found": Sentence(_("It is not there any more"), _("Below is how things stand now."), "info"),
    "invalid": Sentence(_("Something is not filled in right"), _("Correct it and try again."), field=True),
    "approver_not_entitled": Sentence(
        _("Nobody can approve this order"),
        _("It is above what the person who approves for you may decide, or no token reaches them. Nothing was spent."),
    ),
    "payload_too_large": Sentence(_("That is too long"), _("Shorten it and try again."), field=True),
    "unavailable": Sentence(_("The points programme cannot answer now"), _AGAIN),
    "internal_error": _OUR_SIDE,
    "not_authenticated": _OUR_SIDE,
    "invalid_credentials": Sentence(
        _("That name and password do not go together"),
        _("Type both again. Small and capital letters count."),
        field=True,
    ),
    "token_required": Sentence(_("The password is right"), _("Now type the token that was sent to you."), "info"),
    "malformed": _OUR_SIDE,
    "method_not_allowed": _OUR_SIDE,
    "not_acceptable": _OUR_SIDE,
    "unsupported_media_type": _OUR_SIDE,
}

FIELDS: dict[str, StrPromise] = {
    "required": _("Fill it in, please."),
    "invalid_phone": _("Give the number with its country code, like +55 11 99999-0034."),
    "premium_number": _("Messages are not sent to premium-rate numbers."),
    "not_mobile": _("Give the number of a mobile phone."),
    "invalid_email": _("Give an e-mail address, like ana@example.com."),
    "unreadable_time": _("Choose a day and a time, or leave the field empty."),
    "skipped_time": _("On that day clocks go forward, and there is no such time. Choose an hour later."),
    "in_the_past": _("That time has passed. Choose a later one, or leave the field empty."),
    "not_scheduled_here": _("Nothing can be booked for later here. Leave the field empty."),
    "not_unique": _("Somebody has that name already. Choose another."),
    "authorization_required": _("That took too long. Begin again, please."),
    "contact_in_use": _("This one cannot be used here. Give another phone or address, please."),
    "too_many_devices": _("Remove one of your phones or addresses before you add another."),
    # Of files: the API's own sentences are for developers, and about pictures people need the next step.
    "no_file": _("Take a picture or choose a file first."),
    "empty_file": _("There is nothing in that file. Take the picture again."),
    "file_too_large": _("It is larger than 10 MB. Take the picture at a lower resolution, or choose a smaller file."),
    "unsupported_file": _("Send a picture (JPEG, PNG or WebP) or a PDF."),
    "damaged_file": _("That file is damaged or not whole. Take the picture again."),
    "too_many_pixels": _("That picture has too many pixels. Take it at a lower resolution."),
    "too_many_pages": _("That PDF has more than 5 pages. Send only those that show the document."),
    "protected_pdf": _("That PDF asks for a password. Send a copy without one, or take a picture of it."),
    "picture_too_small": _("That picture is too small to be read. Take a larger one."),
    "file_took_too_long": _("That file takes too long to be read. Take a picture of the document instead."),
    "infected_file": _("The virus scanner refused that file. Take a picture of the document instead."),
}

OWN: dict[str, Sentence] = {
    "unreachable": Sentence(_("The points programme did not answer"), _AGAIN),
    "stale_form": Sentence(
        _("This page was out of date"),
        _("The price or the visitor has changed. Look again, then decide."),
        "info",
    ),
    "other_member": Sentence(
        _("Somebody else is signed in now"), _("Nothing was done. Sign in again as the member you meant."), "info"
    ),
    "signed_out": Sentence(_("You were signed out meanwhile"), _("Sign in and you will be where you were."), "info"),
    "identity_needed": Sentence(
        _("Before you can redeem in this campaign we need to know who you are"),
        _("Below is how far you are. Your order was not placed, and nothing was spent."),
        "info",
    ),
    "approver_unreached": Sentence(
        _("The person who approves for you cannot be reached"),
        _("They have no phone or address that a token can go to. Ask them to add one under “My contacts”."),
        "info",
    ),
    "device_held": Sentence(
        _("A contact of yours is stopped"),
        _("A message to it was reported as not asked for. Until our staff have spoken with you nothing is sent there."),
        "info",
    ),
    "empty_basket": Sentence(_("Nothing was chosen"), _("Say how many you want of what.")),
    "document_sent": Sentence(_("We have it"), _("Somebody looks at it soon."), "done"),
    "file_refused": Sentence(_("That file could not be taken"), _("Choose another one."), field=True),
    "device_active": Sentence(_("Your token was right"), _("Tokens can reach you there from now on."), "done"),
    "device_ready": Sentence(_("Your token was right"), _("Now you can finish what you came for."), "done"),
    "device_known": Sentence(_("You have added that one before"), _("There is nothing more to do."), "info"),
    "device_removed": Sentence(_("It was removed"), _("No token goes there any more."), "done"),
    "device_default": Sentence(_("That is your main one now"), _("Tokens go there first."), "done"),
    "device_authorized": Sentence(
        _("The change is allowed"), _("A second token is on its way, to the new one this time."), "done"
    ),
    "welcome": Sentence(_("Welcome"), _("You are signed in, and there are points to begin with."), "done"),
    "no_sign_up": Sentence(
        _("Begin with your phone or e-mail"), _("The token of a moment ago is not valid here."), "info"
    ),
    "method_chosen": Sentence(_("It was changed"), _("From now on your tokens come that way."), "done"),
    "method_app": Sentence(
        _("It was changed"),
        _("You sign in with a code of your app from now on. The token of an order may still come by message."),
        "done",
    ),
    "method_off": Sentence(
        _("Two-factor is off"), _("Your password alone lets you in, where the programme allows it."), "done"
    ),
    "app_code_wrong": Sentence(
        _("That is not the code of your app"),
        _("Type the one that it shows now. If none is right, see whether the clock of your phone is."),
        field=True,
    ),
    "password_wrong": Sentence(_("That is not the right password"), _("Type it and the token again."), field=True),
    "app_active": Sentence(_("Your app is ready"), _("Its codes are good for signing in from now on."), "done"),
    "app_removed": Sentence(_("Your app was removed"), _("None of its codes is taken any more."), "done"),
    "codes_unseen": Sentence(
        _("Those codes are shown once"), _("If you did not keep them, make new ones below."), "info"
    ),
    "begin_again": Sentence(_("That took too long"), _("Begin again, please. Nothing was changed."), "info"),
    "session_ended": Sentence(_("It was signed out"), _("Nothing can be done from there any more."), "done"),
    "all_ended": Sentence(_("You were signed out everywhere"), _("Sign in again where you need to."), "done"),
    "token_sent": Sentence(_("A new token is on its way"), _("Only the newest one counts."), "done"),
}


def refusal(code: str, params: Mapping[str, Any]) -> Sentence:
    """Return what to say about a code of the API, or of our own."""
    known = REFUSALS.get(code) or OWN.get(code) or _OUR_SIDE
    advice = _advice(code, params)
    return known if advice is None else Sentence(known.title, advice, known.tone, known.field)


def _advice(code: str, params: Mapping[str, Any]) -> str | StrPromise | None:
    if params.get("field_code"):
        return FIELDS.get(params["field_code"], params.get("detail") or REFUSALS["invalid"].advice)
    if code in {"token_invalid", "token_superseded"} and isinstance(params.get("attempts_remaining"), int):
        return _attempts(params["attempts_remaining"])
    if code == "redemption_refused" and params.get("reason") == "insufficient_points":
        return _("You do not have that many points. Nothing was spent.")
    if isinstance(params.get("retry_after"), int):
        return _("Wait %(time)s, then try again.") % {"time": words.duration(params["retry_after"])}
    return None


def _attempts(left: int) -> str:
    return ngettext(
        "Look at the newest message and type it again. You have %(count)d more attempt.",
        "Look at the newest message and type it again. You have %(count)d more attempts.",
        left,
    ) % {"count": left}
