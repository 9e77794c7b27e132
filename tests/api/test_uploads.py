"""Uploads as a real client sends them, to a real server."""

from __future__ import annotations

import http.client
import json
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from tests import factories
from tests.api.client import PREFIX, member
from tests.forms import CONTENT_TYPE, form, picture
from twofa.models import IdentityDocument

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("documents_folder")]


@pytest.fixture
def call(live_server, shop):
    """Send a body to the shop's participant's documents, and return status and problem."""
    key, address = factories.key(shop.storefront), live_server.url.removeprefix("http://")

    def call(body: bytes, **headers: str) -> tuple[int, dict[str, Any]]:
        connection = http.client.HTTPConnection(address, timeout=60)
        try:
            given = {"Authorization": f"Bearer {key}", "Content-Type": CONTENT_TYPE, **headers}
            connection.request("POST", f"{PREFIX}{member(shop)}documents/", body, given)
            answer = connection.getresponse()
            return answer.status, json.loads(answer.read())
        finally:
            connection.close()

    return call


@pytest.mark.parametrize("size", [10 * 2**20 + 1, 11 * 2**20, 30 * 2**20])
def test_client_that_sends_too_much_hears_the_answer(call, size):
    status, problem = call(form(kind="cnh", file=b"\xff\xd8\xff" + b"x" * size))
    assert (status, problem["code"]) == (413, "payload_too_large")
    assert not IdentityDocument.objects.exists()


def test_length_that_is_not_true_is_refused(call):
    status, problem = call(form(kind="cnh", file=picture()), **{"Content-Length": "50"})
    assert (status, problem["code"]) in ((400, "malformed"), (400, "invalid"))


def test_many_clients_at_once_get_documents_or_a_clear_refusal(call, settings):
    settings.TWOFA_DOCUMENTS_PER_PARTICIPANT = 6
    with ThreadPoolExecutor(16) as pool:
        answers = list(pool.map(call, [form(kind="cnh", file=picture())] * 24))
    statuses = [status for status, _body in answers]
    assert set(statuses) <= {201, 429, 503}
    assert statuses.count(201) == IdentityDocument.objects.count() <= 6
    assert {body["code"] for status, body in answers if status == 429} == {"document_quota"}
