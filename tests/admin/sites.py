"""The whole admin, found by itself: its pages by the URL resolver and by links, its readers, and what none may see."""

from __future__ import annotations

import base64
import html
import re
from collections.abc import Iterator
from datetime import timedelta
from decimal import Decimal
from typing import Any
from urllib.parse import parse_qsl, urlencode, urljoin, urlsplit

import phonenumbers
from django.apps import apps
from django.conf import settings
from django.contrib.auth.models import Group, User
from django.contrib.contenttypes.models import ContentType
from django.db import models
from django.http import HttpResponse
from django.test import Client
from django.urls import get_resolver
from django_otp.plugins.otp_static.models import StaticDevice
from django_otp.plugins.otp_totp.models import TOTPDevice

from example_project.loyalty import ledger
from tests import batches, factories, papers
from tests.admin.conftest import World
from tests.admin.trees import Tree
from tests.factories import token_of
from tests.fulfillment import RecordingBackend
from tests.stories import STAFF, confirm, deliver_due, resend, travel
from twofa.exceptions import TemporaryFailure
from twofa.flows import roles
from twofa.models import Challenge, Redemption
from twofa.models.clock import now

ANONYMOUS, NOBODY, SUPERUSER = "anonymous", "no permission", "superuser"
READERS = (ANONYMOUS, NOBODY, *roles.ROLES, SUPERUSER)
DOCUMENT = "39053344705"
HIDDEN = {
    "seed",
    "superseded",
    "accepted",
    "transaction_digest",
    "approved_digest",
    "hashed_key",
    "address",
    "document_number",
    "document_hash",
}
"""Columns that no page shows, whoever reads it."""
MOST_ROWS = 4
# What ends a session, or is the same for everybody.
NOT_FOLLOWED = ("/admin/logout/", "/admin/jsi18n/")


# A campaign has a page for each message on each channel, all of one template.
_MESSAGE = re.compile(r"/messages/(?!redemption\.token/|document\.rejected/)[a-z_]+\.[a-z_]+/")


def is_one_of_many(address: str) -> bool:
    """Tell whether a page is like others that are looked at: of the messages of a campaign two are."""
    return _MESSAGE.search(address) is not None


def populate(world: World) -> None:
    """Add what the pages of an evening's work have: a renewed token, one that was right, a parked completion."""
    shop = world.shop
    shop.participant.document_number = DOCUMENT
    shop.participant.save()
    factories.device(shop.participant, "email")
    completed = shop.open()
    deliver_due()
    confirm(shop, completed, token_of(completed.challenge))
    renewed = shop.open()
    deliver_due()
    travel(timedelta(seconds=40))
    resend(shop, renewed)
    deliver_due()
    parked(shop)
    batches.approve(shop, shop.open_batch())
    refused = papers.kept(shop.participant, "selfie", "single", created_at=now() - timedelta(days=1))
    comments = {"reason": "unreadable", "comment": "Too dark.", "internal_comment": "Seen before."}
    papers.decided(refused, "rejected", by=User.objects.get(username="paula"), **comments)
    papers.kept(factories.participant(shop.campaign), fingerprint=world.document.fingerprint)
    roles.restore(actor=STAFF)
    owner = User.objects.create_user("owner", is_staff=True)
    TOTPDevice.objects.create(user=owner, name="phone")
    StaticDevice.objects.create(user=owner, name="codes").token_set.create(token="once-only")
    ledger.grant(shop.participant, Decimal("100.00"), key="welcome")


def parked(shop: factories.Shop) -> Redemption:
    """A redemption whose completion waits for staff."""
    RecordingBackend.failures["complete"] = iter([TemporaryFailure()])
    redemption = shop.open()
    deliver_due()
    confirm(shop, redemption, token_of(redemption.challenge))
    Redemption.objects.filter(pk=redemption.pk).update(parked_at=now(), due_at=None)
    redemption.refresh_from_db()
    return redemption


def readers(boss_name: str = "chief") -> dict[str, Client]:
    """A browser for each kind of reader, signed in."""
    found = {ANONYMOUS: Client()}
    for name in READERS[1:]:
        user = User.objects.create_user(f"{boss_name}-{name}", is_staff=True, is_superuser=name == SUPERUSER)
        if name in roles.ROLES:
            user.groups.add(Group.objects.get(name=name))
        found[name] = Client()
        found[name].force_login(user)
    return found


# --- pages -----------------------------------------------------------------------------------------------------------


def pages(world: World) -> dict[str, str]:
    """Every page that the admin's resolver knows, by its name, with an address at which it can be opened."""
    prefix, resolver = get_resolver().namespace_dict["admin"]
    found = {}
    for name in sorted(key for key in resolver.reverse_dict if isinstance(key, str)):
        ((template, parameters),) = resolver.reverse_dict.getlist(name)[0][0]
        filled = {parameter: _argument(name, template, parameter, world) for parameter in parameters}
        found[name] = f"/{prefix}{template % filled}"
    # Without these it answers nobody.
    found["autocomplete"] += "?app_label=twofa&model_name=device&field_name=participant&term=u"
    return found


def _argument(name: str, template: str, parameter: str, world: World) -> object:
    if parameter == "app_label":
        return "twofa"
    if parameter == "content_type_id":
        return ContentType.objects.get_for_model(type(world.shop.campaign)).pk
    if name == "twofa_campaign_message" and parameter in ("event", "channel"):
        return {"event": "redemption.token", "channel": "email"}[parameter]
    if name == "twofa_identitydocument_review":
        return world.shop.participant.pk
    if parameter == "number":
        return 1
    if parameter in ("object_id", "pk", "id"):
        return world.shop.campaign.pk if name == "view_on_site" else _row(template, world).pk
    raise AssertionError(f"tests/admin/sites.py does not know what to put for {parameter!r} of the page {name!r}")


def _row(template: str, world: World) -> Any:
    app, model = template.split("/")[:2]
    row = world.rows.get(model) if app == "twofa" else None
    row = row or apps.get_model(app, model)._base_manager.order_by("pk").first()
    assert row is not None, f"tests/admin/sites.py makes no row of {app}.{model}, so its pages cannot be opened"
    return row


def outcome(response: HttpResponse) -> str:
    """What a reader got, in a word of the table."""
    if response.status_code == 302 and urlsplit(response["Location"]).path == "/admin/login/":
        return "sign in"
    return {200: "open", 302: "moved", 400: "bad", 403: "denied", 404: "absent", 405: "by another method"}[
        response.status_code
    ]


def crawl(client: Client, *starts: str) -> Iterator[tuple[str, str, Any]]:
    """Every address that is reached by links, with the one that it was found on, and its answer.

    Of the links that filter or sort a list, each is followed by itself: their combinations have no end.
    """
    seen: set[str] = set()
    rows: dict[str, set[str]] = {}
    waiting = [(start, "") for start in starts]
    while waiting:
        address, found_on = waiting.pop()
        if address in seen or is_one_of_many(address) or not _is_among_first(address, rows):
            continue
        seen.add(address)
        response = client.get(address)
        yield address, found_on, response
        if response.status_code == 302:
            waiting.append((urljoin(address, response["Location"]), address))
        elif response.status_code == 200 and "text/html" in response["Content-Type"]:
            links = Tree(response.content.decode()).links
            waiting += [(link, address) for link in _followed(address, links)]


def _is_among_first(address: str, rows: dict[str, set[str]]) -> bool:
    """Tell whether a row's page is one of the first few of its model: the rest are no other pages."""
    app, model, key = (*urlsplit(address).path.split("/")[2:], "", "", "")[:3]
    known = rows.setdefault(f"{app}.{model}", set())
    if key and len(known) < MOST_ROWS:
        known.add(key)
    return not key or key in known


def _followed(address: str, links: list[str]) -> Iterator[str]:
    here = urlsplit(address)
    if here.path != "/admin/" and not here.path.startswith("/admin/twofa/"):
        # Another app's page: that it opens is seen, and what it shows; its own links are its own.
        return
    for link in links:
        joined = urlsplit(urljoin(address, link))
        if joined.netloc or not joined.path.startswith("/admin/") or joined.path in NOT_FOLLOWED:
            continue
        # Which list a row was found in is carried along, and would make a page of each row for each list.
        query = [(name, value) for name, value in parse_qsl(joined.query) if name != "_changelist_filters"]
        if len(query) <= 2 and not (here.query and joined.path == here.path):
            yield joined._replace(query=urlencode(query), fragment="").geturl()


# --- secrets ---------------------------------------------------------------------------------------------------------


def secrets() -> dict[str, set[str]]:
    """All that no page may show, by what it is: read from the database, in every spelling in which it could leave."""
    found: dict[str, set[str]] = {"key of tokens": set(_spellings(*settings.TWOFA_TOKEN_KEYS.values()))}
    for model in apps.get_app_config("twofa").get_models():
        for column in [column.name for column in model._meta.concrete_fields if column.name in HIDDEN]:
            values = [value for value in model._base_manager.values_list(column, flat=True) if value]
            found.setdefault(column, set()).update(_spellings(*values))
    tokens = [challenge.derive_token() for challenge in Challenge.objects.filter(status="pending")]
    found["token"] = set(_spellings(*tokens))
    found["password"] = {
        user.password for user in User.objects.exclude(password="") if not user.password.startswith("!")
    }
    return found


def _spellings(*values: Any) -> Iterator[str]:
    for value in values:
        raw = value.encode() if isinstance(value, str) else bytes(value)
        if isinstance(value, str):
            yield value
            yield from _phone(value)
        yield from (raw.hex(), repr(raw), base64.b64encode(raw).decode().rstrip("="))
        yield base64.urlsafe_b64encode(raw).decode().rstrip("=")


def _phone(address: str) -> Iterator[str]:
    if address.startswith("+"):
        number = phonenumbers.parse(address)
        formats = phonenumbers.PhoneNumberFormat
        for shape in (formats.INTERNATIONAL, formats.NATIONAL, formats.RFC3966):
            yield phonenumbers.format_number(number, shape)
        yield str(number.national_number)


def leaks(response: Any, hidden: dict[str, set[str]]) -> list[str]:
    """Which of them an answer shows: in its body, its headers or its cookies."""
    body = b"".join(response) if response.streaming else response.content
    text = body.decode(errors="replace")
    text = f"{text}\n{html.unescape(text)}\n{response.headers}\n{response.cookies.output()}"
    return sorted(name for name, spelled in hidden.items() if any(one in text for one in spelled))


def text_columns(model: type[models.Model]) -> list[models.Field[Any, Any]]:
    """The columns of a model in which somebody's text may stand."""
    return [
        column
        for column in model._meta.concrete_fields
        if isinstance(column, models.CharField | models.TextField) and not column.is_relation
    ]
