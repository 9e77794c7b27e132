"""Webhooks by a real worker, over real HTTP: sent after the commit, and again after a kill."""

from __future__ import annotations

import threading
from datetime import timedelta
from typing import Any

import pytest
from standardwebhooks.webhooks import Webhook as Verifier
from werkzeug import Request, Response

from tests.servers.process import wait_until
from tests.stories import STAFF, cancel, travel
from twofa.flows import sweeps, webhook_endpoints
from twofa.models import Webhook, WebhookEndpoint

pytestmark = pytest.mark.django_db(transaction=True)

HERE = {"TWOFA_WEBHOOK_PRIVATE_HOSTS": ["localhost"]}


def endpoint(shop: Any, httpserver: Any, settings: Any) -> tuple[WebhookEndpoint, str]:
    settings.TWOFA_WEBHOOK_PRIVATE_HOSTS = HERE["TWOFA_WEBHOOK_PRIVATE_HOSTS"]
    return webhook_endpoints.open_endpoint(shop.storefront, actor=STAFF, url=httpserver.url_for("/hooks"))


def wait_for_all(wanted: str) -> None:
    def reached() -> bool:
        return set(Webhook.objects.values_list("status", flat=True)) == {wanted}

    wait_until(reached, seconds=20, what=f"all webhooks {wanted}")


def test_worker_tells_the_storefront_after_the_commit(shop, httpserver, settings, celery_worker_process):
    httpserver.expect_request("/hooks", method="POST").respond_with_data("")
    _row, secret = endpoint(shop, httpserver, settings)
    celery_worker_process(overrides=HERE)

    cancel(shop, shop.open())

    wait_until(lambda: len(httpserver.log) == 3, seconds=20, what="three webhooks")
    wait_for_all("sent")
    bodies = [Verifier(secret).verify(request.get_data(), dict(request.headers)) for request, _answer in httpserver.log]
    assert {body["type"] for body in bodies} == {"redemption.pending", "challenge.cancelled", "redemption.cancelled"}
    assert len({(body["data"]["id"], body["data"]["version"]) for body in bodies}) == 3


def test_killed_worker_s_webhook_is_sent_again_under_its_id(shop, httpserver, settings, celery_worker_process):
    arrived, hold = threading.Event(), threading.Event()

    def hang(_request: Request) -> Response:
        arrived.set()
        hold.wait(20)
        return Response("")

    httpserver.expect_ordered_request("/hooks", method="POST").respond_with_handler(hang)
    endpoint(shop, httpserver, settings)
    worker = celery_worker_process(overrides=HERE)
    shop.open()
    assert arrived.wait(20)
    worker.kill()
    hold.set()
    assert Webhook.objects.get().status == "sending"
    httpserver.expect_ordered_request("/hooks", method="POST").respond_with_data("")

    travel(timedelta(seconds=31))
    celery_worker_process(overrides=HERE)
    sweeps.sweep()

    wait_for_all("sent")
    assert Webhook.objects.get().tries == 2
    assert len({request.headers["webhook-id"] for request, _answer in httpserver.log}) == 1
    assert len(httpserver.log) == 2
