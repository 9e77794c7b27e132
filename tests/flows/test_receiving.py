"""The receiver of docs/howto/receive-webhooks.md, as it stands there; and the page of types against the code."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Any

import pytest

from tests import factories
from tests.endpoints import make_endpoint, queue
from tests.example.blocks import ROOT, blocks_of
from tests.factories import token_of
from tests.stories import STAFF, confirm
from twofa import jobs, webhooks
from twofa.flows import devices, webhook_endpoints
from twofa.flows.webhooks import DELAYS
from twofa.models import WEBHOOKS, Webhook
from twofa.models.clock import now

pytestmark = pytest.mark.django_db

PAGE = "docs/howto/receive-webhooks.md"
REFERENCE = (ROOT / "docs/reference/webhooks.md").read_text()
TYPES = {
    type_: set(re.findall(r"`(\w+)`", data))
    for type_, data in re.findall(r"^\| `(\w+\.\w+)` \|.*\| ([^|]*) \|$", REFERENCE, re.MULTILINE)
}


@pytest.fixture
def receiver() -> dict[str, Any]:
    """What the page defines."""
    names: dict[str, Any] = {}
    for block in blocks_of(PAGE):
        exec(block.code, names)  # noqa: S102 - the page's own code is what is tested
    return names


def request(at: Any = None) -> tuple[bytes, dict[str, str], str]:
    endpoint = make_endpoint()
    body = queue(endpoint)[0].body()
    headers = webhooks.signed("msg_1", body, endpoint.secrets(now()), at or now())
    return body.encode(), headers, webhook_endpoints.secret_text(endpoint.secret())


def test_receiver_takes_what_we_sign_and_nothing_else(receiver):
    body, headers, secret = request()
    other = request()[2]
    assert receiver["receive"](body, headers, secret)[1]["type"] == "redemption.completed"
    assert receiver["is_ours"](body, headers, secret)
    for changed, with_secret in ((body + b" ", secret), (body, other)):
        assert receiver["receive"](changed, headers, with_secret) == (401, None)
        assert not receiver["is_ours"](changed, headers, with_secret)


def test_receiver_refuses_what_was_recorded(receiver):
    body, headers, secret = request(now() - timedelta(minutes=6))
    assert receiver["receive"](body, headers, secret) == (401, None)
    assert not receiver["is_ours"](body, headers, secret)


def test_both_verify_during_a_rotation(receiver):
    endpoint = make_endpoint()
    former = webhook_endpoints.secret_text(endpoint.secret())
    rotated, text = webhook_endpoints.rotate_secret(endpoint, actor=STAFF)
    headers = webhooks.signed("msg_1", "{}", rotated.secrets(now()), now())
    for secret in (former, text):
        assert receiver["is_ours"](b"{}", headers, secret)
        assert receiver["receive"](b"{}", headers, secret)[0] == 204


def test_receiver_drops_old_versions(receiver):
    known: dict[str, int] = {}
    told = [{"data": {"id": "a", "version": version}} for version in (1, 3, 2, 3, 4)]
    assert [receiver["is_news"](webhook, known) for webhook in told] == [True, True, False, False, True]


# --- the reference page


def test_page_has_every_type():
    assert set(TYPES) == set(WEBHOOKS)


def test_page_has_the_data_of_each_type(monkeypatch, documents_folder):
    monkeypatch.setattr(jobs, "publish", lambda *_args, **_options: True)
    shop = factories.Shop()
    make_endpoint(of=shop.storefront)
    redemption = shop.open()
    confirm(shop, redemption, token_of(redemption.challenge))
    devices.reset(shop.device, actor=STAFF, reason="lost")
    rows = list(Webhook.objects.all())
    assert len({row.type for row in rows}) == 5
    for row in rows:
        assert set(row.data) == TYPES[row.type], row.type


def test_page_has_the_pauses():
    told = REFERENCE.partition("then after ")[2].partition("; then")[0]
    seconds = {"s": 1, "min": 60, "h": 3600}
    pauses = [int(number) * seconds[unit] for number, unit in re.findall(r"(\d+) (s|min|h)", told)]
    assert [timedelta(seconds=pause) for pause in pauses] == list(DELAYS)
