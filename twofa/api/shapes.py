"""The shapes of answers: the one source of the presenters' types and of the OpenAPI components."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any, NotRequired, TypedDict

from twofa.models import Challenge as ChallengeRow
from twofa.models import Channel, Method, Reason, TokenAlphabet, TwoFactorMode, Unbound
from twofa.models import Delivery as DeliveryRow
from twofa.models import Device as DeviceRow
from twofa.models import Failure as FailureCode
from twofa.models import IdentityDocument as DocumentRow
from twofa.models import Redemption as RedemptionRow
from twofa.models import RedemptionBatch as BatchRow


@dataclass(frozen=True, eq=False)
class Note:
    """Keywords of JSON Schema that a type alone does not say."""

    keywords: dict[str, Any]


def note(description: str = "", **keywords: Any) -> Note:
    """Return a note for ``Annotated``."""
    return Note({"description": description, **keywords} if description else keywords)


def known(*values: str) -> Note:
    """Return the words that this version uses. Not an ``enum``: new ones are no breaking change."""
    return note(f"One of {', '.join(values)}; clients ignore what they do not know.")


Moment = Annotated[str, note(format="date-time", examples=["2026-01-31T12:00:00.123456Z"])]
Points = Annotated[str, note(pattern=r"^[0-9]{1,12}\.[0-9]{2}$", examples=["15000.00"])]
Total = Annotated[str, note(pattern=r"^[0-9]{1,14}\.[0-9]{2}$", examples=["15000.00"])]
Id = Annotated[str, note(format="uuid")]
Destination = Annotated[str, note("Masked, for display only; the same for everybody.", examples=["+55 •• •••••-••34"])]
ChannelName = Annotated[str, known(*Channel.values)]
Way = Annotated[str, known(*Channel.values, *Unbound.values)]
DeviceKind = Annotated[str, known(*Channel.values, Unbound.TOTP.value)]


class NextAction(TypedDict):
    """What to do next. An unknown `type` means wait."""

    type: Annotated[str, known("confirm_token", "resend_token", "onboarding", "authorize_device", "wait", "none")]
    path: NotRequired[Annotated[str, note("Below the prefix at which the API is mounted.")]]
    available_at: NotRequired[Moment]
    poll_after: NotRequired[Annotated[int, note("Seconds.")]]


class TwoFactorPolicy(TypedDict):
    """What staff chose for the campaign."""

    mode: Annotated[str, known(*TwoFactorMode.values)]
    threshold: Points | None
    approver_threshold: Annotated[Points | None, note("From here on another participant approves. Null: nobody.")]
    channels: list[ChannelName]
    token_length: int
    token_alphabet: Annotated[str, known(*TokenAlphabet.values)]
    max_attempts: int


class Campaign(TypedDict):
    """A loyalty programme that your storefront serves."""

    slug: str
    name: str
    unit: str
    test: Annotated[bool, note("Its messages never reach a real provider.")]
    two_factor: TwoFactorPolicy
    completion_mode: Annotated[
        str,
        note("For you: sync, confirm answers when the points are spent, or async, it answers 202 before they are."),
    ]
    schedule_max_ahead: Annotated[
        int, note("Seconds that `scheduled_for` may lie ahead. 0: nothing is scheduled.", minimum=0)
    ]
    identity_required: bool
    required_documents: list[str]


class Delivery(TypedDict):
    """How far the message with the present token got."""

    status: Annotated[str, known(*DeliveryRow.Status.values)]
    reason: str | None


class Challenge(TypedDict):
    """One request for a second factor. Never the token."""

    id: Id
    purpose: Annotated[str, known("redemption", "batch", "device", "login", "contact", "step_up:<name>")]
    status: Annotated[str, known(*ChallengeRow.Status.values)]
    channel: Annotated[Way, note("By which message the token comes; `totp` and `otp`: no message is sent.")]
    destination: Annotated[Destination, note("Empty where no message is sent.")]
    token_length: int
    token_sequence: Annotated[int, note("Number of the present token; the message names it too.")]
    attempts_remaining: int
    resends_remaining: int
    issued_at: Moment
    expires_at: Annotated[Moment | None, note("Null until the message is handed to its provider.")]
    deadline: Moment
    resend_available_at: Moment
    delivery: Annotated[Delivery | None, note("Null where no message is sent.")]


class ChallengeWithAction(Challenge):
    """A challenge, and what to do about it."""

    next_action: NextAction


class Device(TypedDict):
    """A phone, an e-mail address or an authenticator app of a participant."""

    id: Id
    channel: DeviceKind
    destination: Annotated[Destination, note("Empty of an authenticator app.")]
    name: str
    status: Annotated[str, known(*DeviceRow.Status.values)]
    is_default: bool
    usable_from: Annotated[Moment | None, note("In the future: cooling off. Null: not active yet.")]
    held: Annotated[
        bool, note("True: somebody reported a message, and staff have to release it. Nothing is sent there.")
    ]
    challenge: Annotated[Challenge | None, note("Answered at `/devices/{id}/verify/`.")]
    authorization: Annotated[
        Challenge | None, note("On the current default device; answered at `/devices/{id}/authorize/`.")
    ]
    next_action: NextAction


class NewDevice(Device):
    """A device that was registered; of an authenticator app, what the app reads."""

    otpauth_uri: NotRequired[Annotated[str, note("Has the secret. Shown once.")]]
    qr_svg: NotRequired[Annotated[str | None, note("The same as a picture. Null where the server draws none.")]]


class VerifiedDevice(Device):
    """A device that was proved."""

    recovery_codes: NotRequired[
        Annotated[list[str], note("Of the first authenticator app: ten codes, each good once. Shown once.")]
    ]


class RecoveryCodes(TypedDict):
    """Ten codes for when every device is lost."""

    codes: Annotated[list[str], note("Each good once. Shown once.", examples=[["7K2M-9QXR-0B4T-HV6N"]])]


class RecoveryCodesLeft(TypedDict):
    """How many were not used yet."""

    left: int


class Session(TypedDict):
    """One access token that is good at present; its text was shown at the login, and never again."""

    id: Annotated[str, note("Stands in the access token's text.", examples=["0a1b2c3d4e5f"])]
    created_at: Moment
    last_used_at: Moment | None
    expires_at: Moment


class Participant(TypedDict):
    """A member of a campaign."""

    campaign: str
    external_id: str
    name: str
    locale: str | None
    two_factor_method: Annotated[str, known(*Method.values)]
    onboarding: Annotated[str, known("incomplete", "under_review", "complete", "rejected")]
    created_at: Moment


class ParticipantWithAuthorization(Participant):
    """A participant, and the challenge that lets the change happen."""

    authorization: Challenge
    next_action: NextAction


class Login(TypedDict):
    """Who logged in, and what their app calls the participant's part of this API with."""

    access_token: Annotated[str, note("Shown once; not stored anywhere.")]
    token_type: Annotated[str, known("Bearer")]
    expires_in: Annotated[int, note("Seconds.")]
    participant: Annotated[str, note("Their `external_id`.")]


class Document(TypedDict):
    """A picture that proves an identity, and what staff decided. Never the file."""

    id: Id
    kind: Annotated[str, known(*DocumentRow.Kind.values)]
    side: Annotated[str, known(*DocumentRow.Side.values)]
    status: Annotated[str, known(*DocumentRow.Status.values), note("`purged`: the file is gone, `decision` stands.")]
    decision: Annotated[str | None, known("approved", "rejected", "expired")]
    reason: Annotated[str | None, known(*DocumentRow.Reason.values)]
    comment: Annotated[str | None, note("For the participant, written by staff.")]
    created_at: Moment
    decided_at: Moment | None


class Step(TypedDict):
    """One line of the checklist."""

    requirement: Annotated[str, note(examples=["device", "document:cnh:front"])]
    status: Annotated[str, known("missing", "under_review", "rejected", "approved")]
    reason: Annotated[str | None, known(*DocumentRow.Reason.values)]
    comment: str | None
    may_retry: Annotated[bool, note("Whether something is taken for it, also in the place of what is under review.")]
    document: Annotated[Id | None, note("The document that decides it.")]


class Onboarding(TypedDict):
    """What a participant still needs before redeeming."""

    status: Annotated[str, known("incomplete", "under_review", "complete", "rejected")]
    required: list[str]
    missing: Annotated[list[str], note("What is not there yet; not what staff have under review.")]
    checklist: list[Step]
    devices: list[Device]
    documents: list[Document]
    next_action: NextAction


class Item(TypedDict):
    """A line of a redemption; `amount` is the line's total."""

    sku: str
    name: str
    quantity: int
    amount: Points


class TwoFactor(TypedDict):
    """Whether a second factor is needed, why, and the challenge where it is."""

    required: bool
    reason: Annotated[str, known(*Reason.values)]
    challenge: Challenge | None


class Failure(TypedDict):
    """Why a redemption, or a batch, was rejected, cancelled or failed."""

    code: Annotated[str, note(f"{', '.join(FailureCode.values)}, or the loyalty programme's own word for a refusal.")]
    detail: str


class Approver(TypedDict):
    """Who approves for the participant: the token goes to them."""

    participant: Annotated[str, note("Their `external_id`.")]


class Redemption(TypedDict):
    """One purchase with points."""

    id: Id
    campaign: str
    participant: str
    order_id: str
    status: Annotated[str, known(*RedemptionRow.Status.values)]
    test: bool
    amount: Points
    unit: str
    description: str
    items: list[Item]
    batch: Annotated[Id | None, note("The batch whose line it is: it is confirmed and cancelled with that.")]
    approver: Approver | None
    scheduled_for: Annotated[Moment | None, note("When it is executed, once approved. Null: at once.")]
    two_factor: TwoFactor
    next_action: NextAction
    failure: Failure | None
    correlation_id: str
    created_at: Moment
    completed_at: Moment | None


class RedemptionBatch(TypedDict):
    """Several redemptions, approved by one token."""

    id: Id
    campaign: str
    request_id: str
    participant: str
    approver: Approver | None
    status: Annotated[str, known(*BatchRow.Status.values)]
    test: bool
    count: int
    total: Total
    unit: str
    digest: Annotated[str | None, note("Beside the total in the message as well, for people to compare.")]
    two_factor: TwoFactor
    redemptions: Annotated[list[Redemption], note("In the order of the request, each with its own outcome.")]
    next_action: NextAction
    failure: Annotated[Failure | None, note("Of the batch as a whole; each line has its own.")]
    correlation_id: str
    created_at: Moment
    completed_at: Annotated[Moment | None, note("When the last line ended, where at least one was completed.")]


class Reference(TypedDict):
    """A challenge, a redemption or a batch named in an error."""

    id: Id
    status: str


class FieldError(TypedDict):
    """What is wrong with one member."""

    field: Annotated[str, note(examples=["items[0].amount"])]
    code: str
    detail: str


class Problem(TypedDict):
    """An error (RFC 9457). Decide by `code`; `title` and `detail` are for people, in the language asked for."""

    type: Annotated[str, note(format="uri", examples=["urn:twofa:problem:token_invalid"])]
    title: str
    status: int
    detail: str
    code: Annotated[str, note(examples=["token_invalid"])]
    correlation_id: str
    errors: NotRequired[list[FieldError]]
    attempts_remaining: NotRequired[int]
    challenge: NotRequired[Reference]
    redemption: NotRequired[Reference]
    batch: NotRequired[Reference]
    line: NotRequired[Annotated[int, note("Which line of a batch it is about, from 0 on.")]]
    missing: NotRequired[list[str]]
    next_action: NotRequired[NextAction]
    reason: NotRequired[str]
    resource: NotRequired[str]
    scope: NotRequired[Annotated[str, note("What the key or token was not given.")]]
    retry_after: NotRequired[Annotated[int | None, note("Seconds; null where waiting does not help.")]]


class Page(TypedDict):
    """What every list has."""

    next: str | None
    previous: str | None


class CampaignPage(Page):
    """Campaigns, newest first. `next` and `previous` are absolute paths on this host."""

    results: list[Campaign]


class SessionPage(Page):
    """Access tokens, newest first. `next` and `previous` are absolute paths on this host."""

    results: list[Session]


class DevicePage(Page):
    """Devices, newest first. `next` and `previous` are absolute paths on this host."""

    results: list[Device]


class DocumentPage(Page):
    """Identity documents, newest first. `next` and `previous` are absolute paths on this host."""

    results: list[Document]


class RedemptionPage(Page):
    """Redemptions, newest first. `next` and `previous` are absolute paths on this host."""

    results: list[Redemption]
