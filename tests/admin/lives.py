"""Lives of redemptions, messages, devices and policies: together they write every event that flows can write."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.contrib.auth.models import User

from tests import factories, papers
from tests.admin import batch_lives
from tests.companies import DEPUTY, Company
from tests.factories import link_of, token_of, wrong_token
from tests.flows.channels import SETTING, ScriptedChannel
from tests.flows.pumping import pump
from tests.fulfillment import RecordingBackend
from tests.stories import STAFF, cancel, confirm, deliver_due, reject, resend, tamper, travel
from twofa.channels import DeliveryError
from twofa.exceptions import (
    PolicyRefused,
    RedemptionRefused,
    StorageUnavailable,
    TemporaryFailure,
    TransactionChanged,
)
from twofa.flows import (
    approvers,
    campaigns,
    cases,
    completions,
    denials,
    devices,
    disclosures,
    document_files,
    erasures,
    exports,
    holds,
    logins,
    messages,
    parked_completions,
    participants,
    policy_changes,
    portability,
    prefixes,
    purges,
    redemptions,
    reviews,
    roles,
    seals,
    storefronts,
    sweeps,
    webhook_endpoints,
    webhooks,
)
from twofa.flows.history import Trail
from twofa.flows.reviews import Ruling
from twofa.models import Campaign, Challenge, Device, IdentityDocument, Participant, PolicyChange, PrefixPause
from twofa.models.clock import now
from twofa.webhooks import Outcome, Sender

PAUSE = timedelta(seconds=31)
POLICY: dict[str, Any] = {
    "threshold": Decimal("100.00"),
    "default_method": "email",
    "allowed_channels": ["email", "sms"],
    "allowed_countries": ["BR"],
    "token_alphabet": "numeric",
    "token_ttl": timedelta(minutes=2, seconds=30),
    "identity_required": True,
    "required_documents": ["cnh:front"],
    "device_cooling_off": timedelta(minutes=5),
    "completion_mode": "async",
    "unit": "miles",
}


def live_all(settings: Any) -> None:
    """Live them all."""
    settings.TWOFA_CHANNELS = SETTING
    settings.TWOFA_COMPLETION_MAX_TRIES = 2
    ScriptedChannel.follow()
    _departures(settings)
    _staff()
    _proposals(settings)
    _ends()
    _messages()
    _texts()
    _points(settings)
    _orders()
    batch_lives.live(settings)
    _devices()
    _denials()
    _papers()
    _prefixes()
    _logins()


def _logins() -> None:
    shop = factories.Shop(two_factor_mode="off")
    given = logins.Credentials(factories.account(shop.participant), factories.PASSWORD)
    logins.log_in(shop.campaign, storefront=shop.storefront, credentials=given, actor=shop.actor)
    devices.reset(shop.device, actor=STAFF, reason="The phone was lost.")


def _departures(settings: Any) -> None:
    """The first, because a trail is sealed in its order."""
    trail = Trail(STAFF, now() - timedelta(days=10))
    trail.add("delivery.expired", factories.campaign())
    trail.write()
    seals.seal(now() - timedelta(days=2))
    settings.TWOFA_RETENTION = {"events": {"delivery": timedelta(days=7)}}
    purges.purge()
    device = factories.device(factories.participant(factories.campaign()))
    disclosures.show_contact(device, actor=STAFF, reason="A call.")
    portability.export(device.participant, actor=STAFF)
    erasures.erase(device.participant, actor=STAFF, reason="request 17")


def _staff() -> None:
    campaign = campaigns.open_campaign(actor=STAFF, slug="summer", name="Summer", two_factor_mode="required", **POLICY)
    defaults = {name: getattr(Campaign(), name) for name in POLICY}
    campaigns.update(campaign, actor=STAFF, changes={**defaults, "two_factor_mode": "optional", "is_active": False})
    campaigns.update(campaign, actor=STAFF, changes={"name": "Sommer"})
    shop = storefronts.open_storefront(name="Shop", actor=STAFF)
    storefronts.serve(shop, [campaign], actor=STAFF)
    storefronts.update(shop, actor=STAFF, changes={"name": "The shop", "is_active": False, "campaigns": []})
    key, _text = storefronts.issue_key(shop, actor=STAFF)
    storefronts.revoke_key(key, actor=STAFF)
    _webhooks()
    roles.restore(actor=STAFF)
    exports.record(actor=STAFF, filters=["status__exact=rejected", "q=u-1"], rows=3)


def _webhooks() -> None:
    shop = factories.Shop()
    url = "https://shop.example/hooks"
    endpoint, _text = webhook_endpoints.open_endpoint(shop.storefront, actor=STAFF, url=url, events=["redemption"])
    webhook_endpoints.update(endpoint, actor=STAFF, changes={"events": ["device"], "description": "The shop's"})
    webhook_endpoints.rotate_secret(endpoint, actor=STAFF)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Sender, "post", lambda *_args, **_given: Outcome("gone", 410))
        webhook_endpoints.test(endpoint, actor=STAFF)
        devices.reset(shop.device, actor=STAFF, reason="The phone was lost.")
        webhooks.push(endpoint.pk)
    webhook_endpoints.enable(endpoint, actor=STAFF)
    webhook_endpoints.replay_failed(endpoint, actor=STAFF)


def _proposals(settings: Any) -> None:
    settings.TWOFA_FOUR_EYES = True
    maria, joao = (User.objects.create_superuser(name, password="1") for name in ("maria", "joao"))
    campaign = factories.campaign()

    def propose() -> PolicyChange:
        changes, reason = {"two_factor_mode": "optional"}, "Support asked for it."
        outcome = policy_changes.submit(campaign, by=maria, actor=STAFF, changes=changes, reason=reason)
        assert isinstance(outcome, PolicyChange)
        return outcome

    policy_changes.withdraw(propose(), by=maria, actor=STAFF)
    policy_changes.reject(propose(), by=joao, actor=STAFF, reason="Not before the audit.")
    propose()
    travel(timedelta(days=7))
    sweeps.sweep()
    outdated = propose()
    campaigns.update(campaign, actor=STAFF, changes={"max_attempts": 4})
    change = propose()
    for who, password in ((maria, "1"), (joao, "2")):
        with pytest.raises(PolicyRefused):
            policy_changes.approve(change, by=who, actor=STAFF, password=password)
    policy_changes.approve(change, by=joao, actor=STAFF, password="1")
    assert PolicyChange.objects.get(pk=outdated.pk).status == "expired"
    settings.TWOFA_FOUR_EYES = False


def _ends() -> None:
    shop = factories.Shop(threshold=Decimal("100.00"))
    completed = shop.open()
    with pytest.raises(Exception, match="token_invalid"):
        confirm(shop, completed, wrong_token(completed.challenge))
    superseded = token_of(completed.challenge)
    travel(PAUSE)
    resend(shop, completed)
    with pytest.raises(Exception, match="token_superseded"):
        confirm(shop, completed, superseded)
    confirm(shop, completed, token_of(completed.challenge))
    reject(shop, shop.open(), 5)
    cancel(shop, shop.open())
    redemptions.cancel(shop.open().pk, storefront=None, actor=STAFF, reason="The participant called.")
    again = shop.open()
    travel(PAUSE)
    redemptions.resend(again.pk, storefront=None, actor=STAFF, reason="The message was deleted.")
    cancel(shop, again)
    changed = shop.open()
    tamper(changed, amount="1.00")
    with pytest.raises(TransactionChanged):
        confirm(shop, changed, token_of(changed.challenge))
    factories.Shop(threshold=Decimal("1000.00")).open()
    expired = shop.open()
    travel(timedelta(minutes=31))
    redemptions.expire(expired.pk)
    for optional, method in ((shop, "none"), (factories.Shop(two_factor_mode="optional"), "sms")):
        Participant.objects.filter(pk=optional.participant.pk).update(two_factor_method=method)
        optional.open()


def _messages() -> None:
    shop = factories.Shop()
    factories.device(shop.participant, "email")
    shop.open()
    busy, refused = DeliveryError("provider_busy", retryable=True), DeliveryError("message_refused", retryable=False)
    ScriptedChannel.follow(busy, refused)
    for _try in range(3):
        deliver_due()
        travel(timedelta(seconds=10))
    late = shop.open()
    travel(timedelta(minutes=9, seconds=30))
    deliver_due()
    travel(timedelta(minutes=9, seconds=30))
    deliver_due()
    cancel(shop, late)


def _texts() -> None:
    shop, key = factories.Shop(sends_per_participant_per_day=1), {"event": "login.token", "channel": "sms"}
    for text in ({"text": "{{ token }}"}, {}):
        messages.write(shop.campaign, actor=STAFF, parts=text, locale="pt-br", **key)
    messages.switch(shop.campaign, actor=STAFF, is_on=False, **key)
    ScriptedChannel.follow()
    redemption = shop.open()
    deliver_due()
    reject(shop, redemption, shop.campaign.max_attempts)


def _points(settings: Any) -> None:
    shop = factories.Shop(two_factor_mode="off")

    def fail(method: str, *errors: Exception) -> None:
        RecordingBackend.failures[method] = iter(errors)

    for end in (parked_completions.retry, parked_completions.fail):
        fail("complete", TemporaryFailure(), TemporaryFailure())
        redemption = shop.open()
        travel(timedelta(minutes=5))
        sweeps.sweep()
        travel(timedelta(minutes=5))
        sweeps.sweep()
        end(redemption.pk, actor=STAFF, reason="The ledger was down.")
    fail("complete", RedemptionRefused("no_such_account"))
    fail("release", TemporaryFailure())
    shop.open()
    travel(timedelta(minutes=5))
    sweeps.sweep()
    settings.TWOFA_FULFILLMENT_BACKEND = "tests.fulfillment.RemoteBackend"
    fail("reserve", TemporaryFailure())
    asked = factories.Shop().open()
    completions.drive(asked.pk)
    fail("reserve", RedemptionRefused("insufficient_points"))
    with pytest.raises(RedemptionRefused):
        factories.Shop().open()
    settings.TWOFA_FULFILLMENT_BACKEND = "tests.fulfillment.RecordingBackend"


def _orders() -> None:
    company = Company(two_factor_mode="off", approver_threshold=Decimal("100.00"))
    deputy = company.person(DEPUTY)
    limits = {"deputy": deputy, "max_amount": Decimal("500.00"), "valid_until": now() + timedelta(days=30)}
    by = factories.staff()
    approvers.change(company.entitlement, by=by, actor=STAFF, reason="Holidays.", changes=limits)
    when = now() + timedelta(days=1)
    for how in (company.ask, company.open):
        redemption = how(scheduled_for=when)
        confirm(company, redemption, token_of(redemption.challenge))
    cancel(company, redemption)
    approvers.revoke(company.entitlement, actor=STAFF, reason="Left the company.")


def _devices() -> None:
    shop = factories.Shop()
    second = _add(shop, "+5511999990034")
    _agree(shop, second, devices.make_default)
    participants.update(shop.participant, storefront=shop.storefront, actor=shop.actor, two_factor_method="sms")
    participants.update(shop.participant, storefront=shop.storefront, actor=shop.actor, name="Ana", locale="es")
    _member, challenge = participants.update(
        shop.participant, storefront=shop.storefront, actor=shop.actor, two_factor_method="none"
    )
    assert challenge is not None
    assert challenge.subject is not None
    devices.authorize(challenge.subject, storefront=shop.storefront, token=token_of(challenge), actor=shop.actor)
    shop.open()
    disclosures.show_contact(second, actor=STAFF, reason="The participant called.")
    disclosures.show_document_number(shop.participant, actor=STAFF, reason="The participant called.")
    devices.reset(Device.objects.get(pk=second.pk), actor=STAFF, reason="The phone was lost.")
    deliver_due()


def _denials() -> None:
    shop = factories.Shop()
    case = denials.deny(*link_of(shop.open().challenge))
    holds.release(shop.device, by=factories.staff(), actor=STAFF, reason="Spoken with.")
    cases.close(case, by=factories.staff(), actor=STAFF, outcome="mistake", note="Her son.")


def _papers() -> None:
    shop = factories.Shop(identity_required=True, required_documents=["rg"], two_factor_mode="off")
    maria, member = User.objects.get(username="maria"), shop.participant
    mine = factories.participant(shop.campaign, user=maria)
    with pytest.raises(PolicyRefused):
        reviews.claim(mine, reviewer=maria, actor=STAFF)
    papers.submitted(member, "rg")
    shown = papers.submitted(member, "rg")
    papers.submitted(mine, "rg")
    reviews.claim(member, reviewer=maria, actor=STAFF)
    reviews.look(shown.pk, 1, reviewer=maria, actor=STAFF)
    _decide(papers.submitted(member, "selfie"), maria, approve=False, reason="unreadable", comment="Too dark.")
    _decide(shown, maria, approve=True)
    reviews.revoke(shown, reviewer=maria, actor=STAFF, reason="It was a copy.")
    _decide(papers.submitted(member, "rg"), maria, approve=True)
    refused = papers.submitted(member, "cnh")
    _decide(refused, maria, approve=False, reason="other", comment="Come to the desk.", is_final=True)
    reviews.reopen(refused, reviewer=maria, actor=STAFF, reason="The wrong file was open.")
    _change_name(shop)
    travel(timedelta(days=31))
    with _storage_down():
        document_files.purge(now())
        document_files.erase_due(now())
    travel(timedelta(hours=12))
    document_files.erase_due(now())


def _prefixes() -> None:
    shop = factories.Shop()
    pump(shop)
    prefixes.watch(now())
    prefixes.lift(PrefixPause.objects.latest("pk"), actor=STAFF, reason="Our own campaign.")
    factories.prefix_pause(paused_until=now())
    prefixes.watch(now())
    number = prefixes.add_safe_number("+5511999990034", actor=STAFF, reason="The phone of the tests.")
    prefixes.remove_safe_number(number, actor=STAFF, reason="It was sold.")


def _decide(document: IdentityDocument, by: Any, **said: Any) -> None:
    seen = reviews.declared(document.participant)
    papers.opened(document, by)
    reviews.decide(document.pk, Ruling(**said), seen=seen, reviewer=by, actor=STAFF)


def _change_name(shop: factories.Shop) -> None:
    member = Participant.objects.get(pk=shop.participant.pk)
    participants.update(member, storefront=shop.storefront, actor=shop.actor, name="Ana Lima")


@contextmanager
def _storage_down() -> Iterator[None]:
    def down(name: str) -> None:
        raise StorageUnavailable(60)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("twofa.vault.erase", down)
        yield


def _add(shop: factories.Shop, address: str) -> Device:
    registration = devices.register(
        shop.participant, storefront=shop.storefront, channel="sms", address=address, actor=shop.actor
    )
    assert registration.authorization is not None
    token = token_of(registration.authorization)
    agreed = devices.authorize(registration.device, storefront=shop.storefront, token=token, actor=shop.actor)
    verification = Challenge.objects.get(subject=registration.device, action="verify", status="pending")
    return devices.verify(agreed.device, storefront=shop.storefront, token=token_of(verification), actor=shop.actor)


def _agree(shop: factories.Shop, device: Device, ask: Any) -> None:
    asked = ask(device, storefront=shop.storefront, actor=shop.actor)
    devices.authorize(device, storefront=shop.storefront, token=token_of(asked.authorization), actor=shop.actor)
