"""A real worker process: it sends, it is killed, it comes late."""

from __future__ import annotations

import threading
from datetime import timedelta
from typing import Any

import pytest
from werkzeug import Request, Response

from tests import factories
from tests.factories import token_of
from tests.servers.process import wait_until
from tests.stories import confirm, points, travel
from twofa.flows import sweeps
from twofa.models import Challenge, Delivery, Event, Redemption

pytestmark = pytest.mark.django_db(transaction=True)


def gateway(url: str) -> dict[str, Any]:
    """What a host writes to send by any provider."""
    options = {"url": url, "body": {"to": "{recipient}", "text": "{text}", "code": "{token}"}, "id_path": "id"}
    return {
        "BACKEND": "twofa.channels.http.HttpChannel",
        "OPTIONS": {**options, "read_timeout": 20, "total_timeout": 25},
    }


def status() -> str:
    return Delivery.objects.latest("id").status


def wait_for(wanted: str, *, seconds: float = 20) -> None:
    wait_until(lambda: status() == wanted, seconds=seconds, what=f"delivery {wanted}")


def test_worker_sends_by_a_real_provider(shop, httpserver, celery_worker_process):
    httpserver.expect_ordered_request("/messages", method="POST").respond_with_json({"id": "provider-7"})
    celery_worker_process(overrides={"TWOFA_CHANNELS": {"sms": gateway(httpserver.url_for("/messages"))}})
    redemption = shop.open()
    wait_for("sent")
    ((request, _response),) = httpserver.log
    token = token_of(redemption.challenge)
    assert request.get_json()["code"] == token
    assert request.get_json()["to"] == shop.device.address
    assert request.headers["Idempotency-Key"] == f"{redemption.challenge.pk}:1"
    assert Delivery.objects.get().provider_message_id == "provider-7"
    assert Challenge.objects.get().expires_at is not None
    assert confirm(shop, redemption, token).status == "completed"


def test_worker_sends_by_a_real_mail_server(smtp_server, celery_worker_process):
    shop = factories.Shop()
    email = factories.device(shop.participant, "email", address="ana@example.com")
    mail = {
        "TWOFA_CHANNELS": {"email": {"BACKEND": "twofa.channels.email.EmailChannel"}},
        "EMAIL_HOST": smtp_server.host,
        "EMAIL_PORT": smtp_server.port,
    }
    celery_worker_process(overrides=mail)
    redemption = shop.open(device=email.uuid)
    wait_for("sent")
    (message,) = smtp_server.messages
    token = token_of(redemption.challenge)
    assert message["To"] == "ana@example.com"
    assert token in message.get_body(("plain",)).get_content()
    assert confirm(shop, redemption, token).status == "completed"


def test_worker_completes_what_is_left_to_it(celery_worker_process):
    shop = factories.Shop(completion_mode="async")
    redemption = shop.open()
    celery_worker_process()
    assert confirm(shop, redemption, token_of(redemption.challenge)).status in ("approved", "completed")
    wait_until(lambda: points(redemption)[0] == "completed", seconds=20, what="completion")
    assert Event.objects.filter(type="redemption.completed").count() == 1


def test_worker_that_is_killed_in_the_middle_of_a_sending_is_followed_by_the_same_text(
    shop, httpserver, celery_worker_process, settings
):
    """The provider has the message and has not answered when the worker dies: nobody knows, so it is said again."""
    arrived, let_go = threading.Event(), threading.Event()

    def hang(_request: Request) -> Response:
        arrived.set()
        let_go.wait(timeout=20)
        return Response('{"id": "first"}', content_type="application/json")

    httpserver.expect_ordered_request("/messages").respond_with_handler(hang)
    httpserver.expect_ordered_request("/messages").respond_with_json({"id": "second"})
    channels = {"sms": gateway(httpserver.url_for("/messages"))}
    worker = celery_worker_process(overrides={"TWOFA_CHANNELS": channels})
    redemption = shop.open()
    assert arrived.wait(timeout=20)
    worker.kill()
    let_go.set()
    assert status() == "sending"

    settings.TWOFA_CHANNELS = channels
    sweeps.sweep()
    assert status() == "sending", "the lease still holds: it might live"
    travel(timedelta(seconds=31))
    sweeps.sweep()
    assert status() == "sent"
    texts = [request.get_json() for request, _response in httpserver.log]
    assert texts[0] == texts[1]
    assert Delivery.objects.get().provider_message_id == "second"
    assert confirm(shop, redemption, texts[1]["code"]).status == "completed"


def test_worker_that_comes_after_the_end_sends_nothing(shop, httpserver, celery_worker_process):
    redemption = shop.open()
    confirm(shop, redemption, token_of(redemption.challenge))
    overdue = shop.open()
    travel(timedelta(hours=1))
    celery_worker_process(overrides={"TWOFA_CHANNELS": {"sms": gateway(httpserver.url_for("/messages"))}})
    wait_until(lambda: not Delivery.objects.open().exists(), seconds=20, what="both settled")
    assert httpserver.log == []
    states = dict(Delivery.objects.values_list("challenge__redemption_id", "status"))
    assert states == {redemption.pk: "superseded", overdue.pk: "expired"}
    assert Redemption.objects.get(pk=overdue.pk).status == "pending_2fa_approval", "until the sweeper, or a reader"
