"""CFG-1: what a request says of its host and of who sent it on is in no message, no link and no answer."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import pytest
from django.test import Client

from tests import factories
from tests.api.client import Api, checkouts, member, order
from tests.factories import token_of
from tests.stories import deliver_due
from twofa.channels.memory import outbox
from twofa.models import Delivery, Event, Redemption

pytestmark = pytest.mark.django_db

EVIL = "evil.example"
SPOOFED = {
    "host": EVIL,
    "x_forwarded_host": EVIL,
    "x_forwarded_server": EVIL,
    "x_forwarded_proto": "https",
    "x_forwarded_port": "666",
    "x_forwarded_for": "6.6.6.6",
    "x_forwarded_prefix": f"/{EVIL}",
    "x_script_name": f"/{EVIL}",
    "x_original_url": f"https://{EVIL}/",
    "x_real_ip": "6.6.6.6",
    "forwarded": f"for=6.6.6.6;host={EVIL};proto=https",
    "true_client_ip": "6.6.6.6",
    "origin": f"https://{EVIL}",
    "referer": f"https://{EVIL}/",
}


@pytest.fixture(autouse=True)
def open_host(settings: Any) -> Iterator[None]:
    """A host that lets every name in, and believes its proxies."""
    settings.ALLOWED_HOSTS = ["*"]
    settings.USE_X_FORWARDED_HOST = settings.USE_X_FORWARDED_PORT = True
    outbox.clear()
    yield
    outbox.clear()


def story(api: Api, shop: factories.Shop, **headers: str) -> list[str]:
    """Register, check out, mistype, resend, confirm, list, and fail: every answer and header of it, as text."""
    told = []

    def tell(response: Any) -> Any:
        told.append(f"{response.status_code} {sorted(response.headers.items())} {response.content.decode()}")
        return response.json()

    opened = tell(api.post(checkouts(shop), order(shop, order_id="A-1"), **headers))
    deliver_due()
    confirm = f"/redemptions/{opened['id']}/confirm/"
    tell(api.post(confirm, {"token": "000000"}, **headers))
    tell(api.post(f"/redemptions/{opened['id']}/resend/", {}, **headers))
    redemption = Redemption.objects.select_related("challenge").get(pk=opened["id"])
    tell(api.post(confirm, {"token": token_of(redemption.challenge)}, **headers))
    tell(api.post(checkouts(shop), order(shop, order_id="A-2"), **headers))
    tell(api.get(f"{checkouts(shop)}?page_size=1", **headers))
    tell(api.get(f"{member(shop)}onboarding/", **headers))
    tell(api.get("/campaigns/", **headers))
    tell(api.get("/redemptions/nothing/", **headers))
    tell(Api("wrong").get("/campaigns/", **headers))
    deliver_due()
    return told


# What differs from one story to the next whoever asks: ids, moments, and what is computed from them.
_OWN = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}|[0-9a-f]{32}|20\d\d-[^\"']*Z|cursor=[\w=%.-]+")
_LEFT = re.compile(r"\"(retry_after|in|seconds\w*)\": ?\d+|\('Retry-After', '\d+'\)|\('Content-Length', '\d+'\)")


def neutral(text: str) -> str:
    return _LEFT.sub("N", _OWN.sub("X", text))


def test_answers_and_messages_are_the_same_as_of_an_honest_request():
    honest, spoofed = factories.Shop(), factories.Shop()
    told, sent = [], []
    for shop, headers in ((honest, {}), (spoofed, SPOOFED)):
        outbox.clear()
        answers = story(Api(factories.key(shop.storefront)), shop, **headers)
        names = (shop.campaign.slug, shop.campaign.name, shop.participant.external_id, shop.device.destination)
        told.append([plain(neutral(answer), names) for answer in answers])
        sent.append([plain(message.text.replace(message.token, "T"), names) for message in outbox])

    assert told[0] == told[1]
    assert sent[0] == sent[1]
    assert len(sent[0]) >= 2


def plain(text: str, names: tuple[str, ...]) -> str:
    for name in names:
        text = text.replace(name, "N")
    return text


def test_nothing_of_it_is_answered_sent_or_stored():
    shop = factories.Shop()

    told = story(Api(factories.key(shop.storefront)), shop, **SPOOFED)

    rows = [str(list(model.objects.values())) for model in (Event, Delivery, Redemption)]
    sent = [f"{message.text} {message.html} {message.subject}" for message in outbox]
    for text in (*told, *rows, *sent):
        assert "evil" not in text
        assert "6.6.6.6" not in text
    for text in sent:
        assert "http" not in text, "no message has a link: people learn to follow those of others"


def test_links_are_paths():
    shop = factories.Shop()

    told = "\n".join(story(Api(factories.key(shop.storefront)), shop, **SPOOFED))

    links = re.findall(r'"(?:next|previous|path|location)": ?"([^"]+)"', told)
    assert links
    assert not [link for link in links if not re.match(r"/[^/]", link)]
    assert "'Location'" not in told


@pytest.mark.parametrize("path", ["/api/v1/schema/", "/api/v1/docs/"])
def test_description_of_the_api_names_no_host(path: str):
    headers = {name.replace("_", "-"): value for name, value in SPOOFED.items()}

    page = Client().get(path, headers=headers).content.decode()

    assert "evil" not in page
