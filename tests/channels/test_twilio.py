"""Twilio, by a fake one on real sockets with its documented answers."""

from __future__ import annotations

import base64
import json
import logging
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

import pytest
from pytest_httpserver import HTTPServer
from werkzeug import Request, Response

from tests.channels.rawserver import dripping, playing
from twofa.channels import Callback, DeliveryError, Message
from twofa.channels.twilio import TwilioChannel, signature
from twofa.testing import ChannelContract

SID = "AC0123456789abcdef0123456789abcdef"
PATH = f"/2010-04-01/Accounts/{SID}/Messages.json"
SECRET = "the-auth-token-of-this-test"
CALLBACK = "https://points.example.com/api/v1/receipts/sms/"
CREDENTIALS = {"account_sid": SID, "auth_token": SECRET, "from_": "+15005550006"}
CREATED = {
    "account_sid": SID,
    "api_version": "2010-04-01",
    "error_code": None,
    "error_message": None,
    "sid": "SM0123456789abcdef0123456789abcdef",
    "status": "queued",
}


def problem(code: int, status: int) -> dict[str, Any]:
    more_info = f"https://www.twilio.com/docs/errors/{code}"
    return {"code": code, "message": "The text says +5511987650034 7K2M9Q", "more_info": more_info, "status": status}


class TestTwilioChannel(ChannelContract):
    seconds = 3.0
    other_loggers = ("werkzeug", "pytest_httpserver")

    @pytest.fixture(autouse=True)
    def _twilio(self, httpserver: HTTPServer) -> Iterator[None]:
        self.server = httpserver
        self.answer: tuple[int, dict[str, Any]] = (201, CREATED)
        httpserver.expect_request(PATH, method="POST").respond_with_handler(self._respond)
        with playing([60.0]) as silent:
            self.silent = silent
            yield

    def _respond(self, request: Request) -> Response:
        status, body = self.answer
        return Response(json.dumps({**body, "body": request.form["Body"]}), status, mimetype="application/json")

    def make_channel(self) -> TwilioChannel:
        return TwilioChannel(**CREDENTIALS, base_url=self.server.url_for(""), status_callback=CALLBACK)

    def make_failing_channel(self, *, retryable: bool) -> TwilioChannel:
        self.answer = (429, problem(20429, 429)) if retryable else (400, problem(21211, 400))
        return self.make_channel()

    def make_hanging_channel(self) -> TwilioChannel:
        return TwilioChannel(**CREDENTIALS, base_url=f"http://127.0.0.1:{self.silent.port}", read_timeout=0.5)

    def make_callback(self, *, status: str) -> Callback:
        fields = {"MessageSid": "SM1", "MessageStatus": status}
        signed = CALLBACK + "".join(name + value for name, value in sorted(fields.items()))
        return Callback(body=urlencode(fields).encode(), headers={"X-Twilio-Signature": signature(signed, SECRET)})

    def delivered(self) -> list[str]:
        return [request.form["Body"] for request, _response in self.server.log]


@pytest.fixture
def message() -> Message:
    return ChannelContract().make_message(idempotency_key="0197a000-0000-7000-8000-000000000001:2")


def channel_of(httpserver: HTTPServer, **options: Any) -> TwilioChannel:
    return TwilioChannel(**{**CREDENTIALS, "base_url": httpserver.url_for(""), **options})


def sent(httpserver: HTTPServer, message: Message, **options: Any) -> Request:
    """Send the message, and return the request that Twilio got."""
    httpserver.expect_request(PATH, method="POST").respond_with_json(CREATED, status=201)
    channel_of(httpserver, **options).send(message)
    return httpserver.log[-1][0]


def error_of(channel: TwilioChannel, message: Message) -> DeliveryError:
    with pytest.raises(DeliveryError) as caught:
        channel.send(message)
    assert caught.value.__context__ is None
    return caught.value


# --- the request ------------------------------------------------------------------------------------------------------


def test_sms_is_a_form_with_the_accounts_credentials(httpserver: HTTPServer, message: Message):
    httpserver.expect_request(PATH, method="POST").respond_with_json(CREATED, status=201)
    receipt = channel_of(httpserver).send(message)

    request = httpserver.log[0][0]
    assert receipt.provider_message_id == CREATED["sid"]
    assert request.headers["Content-Type"] == "application/x-www-form-urlencoded"
    assert base64.b64decode(request.headers["Authorization"].removeprefix("Basic ")).decode() == f"{SID}:{SECRET}"
    assert int(request.form["ValidityPeriod"]) in range(290, 301)
    assert {**request.form, "ValidityPeriod": None} == {
        "To": "+5511987650034",
        "From": "+15005550006",
        "Body": message.text,
        "ValidityPeriod": None,
    }


def test_api_key_takes_the_place_of_the_auth_token(httpserver: HTTPServer, message: Message):
    request = sent(httpserver, message, auth_token="", api_key_sid="SK1", api_key_secret="key-secret")

    assert base64.b64decode(request.headers["Authorization"].removeprefix("Basic ")) == b"SK1:key-secret"


def test_messaging_service_takes_the_place_of_a_sender(httpserver: HTTPServer, message: Message):
    request = sent(httpserver, message, from_="", messaging_service_sid="MG1")

    assert request.form["MessagingServiceSid"] == "MG1"
    assert "From" not in request.form


@pytest.mark.parametrize("sender", ["+15005550006", "whatsapp:+15005550006"])
def test_whatsapp_numbers_say_so(httpserver: HTTPServer, message: Message, sender: str):
    form = sent(httpserver, message, whatsapp=True, from_=sender).form

    assert (form["To"], form["From"]) == ("whatsapp:+5511987650034", "whatsapp:+15005550006")
    assert form["Body"] == message.text


def test_template_takes_the_place_of_the_text(httpserver: HTTPServer):
    message = ChannelContract().make_message(text='Resgate:\n15.000    pontos por "Fone".\tToken 1: 7K2M9Q')
    variables = {"1": "{text}", "2": "{token}"}
    form = sent(httpserver, message, whatsapp=True, content_sid="HX1", content_variables=variables).form

    assert "Body" not in form
    assert form["ContentSid"] == "HX1"
    # WhatsApp refuses line breaks, tabs and rows of spaces.
    assert json.loads(form["ContentVariables"]) == {
        "1": 'Resgate: 15.000 pontos por "Fone". Token 1: 7K2M9Q',
        "2": "7K2M9Q",
    }


@pytest.mark.parametrize(
    ("event", "locale", "expected"),
    [
        ("redemption.token", "pt-br", "HX-exact"),
        ("redemption.token", "es", "HX-event"),
        ("device.token", "es", "HX-locale"),
        ("device.token", "en", "HX-any"),
    ],
)
def test_template_is_the_one_nearest_to_event_and_locale(httpserver: HTTPServer, event, locale, expected):
    sids = {
        "redemption.token/pt-br": "HX-exact",
        "redemption.token": "HX-event",
        "es": "HX-locale",
        "*": "HX-any",
    }
    message = ChannelContract().make_message(event=event, locale=locale)

    assert sent(httpserver, message, whatsapp=True, content_sid=sids).form["ContentSid"] == expected


def test_message_without_a_template_is_plain_text(httpserver: HTTPServer, message: Message):
    form = sent(httpserver, message, whatsapp=True, content_sid={"es": "HX1"}).form

    assert form["Body"] == message.text
    assert "ContentSid" not in form


@pytest.mark.parametrize(
    ("left", "expected"), [(timedelta(seconds=-5), "10"), (timedelta(days=2), "36000"), (None, None)]
)
def test_validity_stays_within_what_twilio_takes(httpserver: HTTPServer, left, expected):
    expires_at = None if left is None else datetime.now(UTC) + left
    form = sent(httpserver, ChannelContract().make_message(expires_at=expires_at)).form

    assert form.get("ValidityPeriod") == expected


def test_validity_is_no_longer_than_the_tokens_life(httpserver: HTTPServer):
    later = datetime.now(UTC) + timedelta(minutes=10)
    message = ChannelContract().make_message(expires_at=later, token_ttl=timedelta(minutes=5))

    assert sent(httpserver, message).form["ValidityPeriod"] == "300"


@pytest.mark.parametrize("callback", [CALLBACK, f"{CALLBACK}?region=br"])
def test_callback_carries_the_messages_key(httpserver: HTTPServer, message: Message, callback: str):
    url = sent(httpserver, message, status_callback=callback).form["StatusCallback"]

    assert url.startswith(callback)
    assert parse_qs(urlsplit(url).query)["reference"] == ["0197a000-0000-7000-8000-000000000001.2"]


# --- the answers ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("status", "code", "reason", "retryable"),
    [
        (400, 21211, "recipient_refused", False),
        (400, 21614, "recipient_refused", False),
        (400, 21610, "recipient_opted_out", False),
        (400, 21408, "region_not_allowed", False),
        (400, 63016, "template_required", False),
        (400, 21617, "message_refused", False),
        (400, 21606, "provider_misconfigured", False),
        (400, 21608, "provider_denied", False),
        (400, 21611, "provider_busy", True),
        (401, 20003, "provider_denied", False),
        (404, 20404, "provider_misconfigured", False),
        (429, 20429, "provider_busy", True),
        (500, 20500, "provider_unavailable", True),
        (400, 99999, "message_refused", False),
        (403, 99999, "provider_denied", False),
        (429, 99999, "provider_busy", True),
        (503, 99999, "provider_unavailable", True),
    ],
)
def test_refusal_is_told_by_its_code_and_else_by_its_status(
    httpserver: HTTPServer, message: Message, caplog, status, code, reason, retryable
):
    httpserver.expect_request(PATH).respond_with_json(problem(code, status), status=status)
    with caplog.at_level(logging.DEBUG):
        error = error_of(channel_of(httpserver), message)

    assert (error.reason, error.retryable) == (reason, retryable)
    assert len(httpserver.log) == 1
    for secret in (message.token, message.recipient, SECRET, base64.b64encode(SECRET.encode()).decode()):
        assert secret not in repr(error) + str(vars(error)) + caplog.text


@pytest.mark.parametrize("status", [200, 201, 202])
@pytest.mark.parametrize(
    ("changes", "reason", "retryable"),
    [
        ({"error_code": 30001, "status": "failed"}, "provider_busy", True),
        ({"error_code": 21610, "status": "failed"}, "recipient_opted_out", False),
        ({"error_code": "30006", "status": "undelivered"}, "recipient_refused", False),
        ({"error_code": 30007, "status": "queued"}, "message_filtered", False),
        ({"error_code": 77777}, "provider_unavailable", True),
        ({"status": "failed"}, "provider_unavailable", True),
        ({"status": "undelivered"}, "provider_unavailable", True),
    ],
)
def test_error_in_an_accepting_answer_is_found(
    httpserver: HTTPServer, message: Message, status, changes, reason, retryable
):
    httpserver.expect_request(PATH).respond_with_json({**CREATED, **changes}, status=status)
    error = error_of(channel_of(httpserver), message)

    assert (error.reason, error.retryable) == (reason, retryable)


@pytest.mark.parametrize("status", [200, 201])
@pytest.mark.parametrize("text", ["", "<html>Welcome</html>", "null", "[]", "{}", '{"sid": 1.5}', "[" * 50_000, "\xff"])
def test_answer_that_is_none_of_twilios_is_no_yes(httpserver: HTTPServer, message: Message, status: int, text: str):
    httpserver.expect_request(PATH).respond_with_data(text, status=status)
    error = error_of(channel_of(httpserver), message)

    assert (error.reason, error.retryable) == ("answer_unreadable", True)


@pytest.mark.parametrize("text", ["", "<html>Bad Gateway</html>", "[1]", '{"code": {"a": 1}}'])
def test_refusal_that_makes_no_sense_is_told_by_its_status(httpserver: HTTPServer, message: Message, text: str):
    httpserver.expect_request(PATH).respond_with_data(text, status=502)

    assert error_of(channel_of(httpserver), message).retryable


@pytest.mark.parametrize("status", [301, 302, 307, 308])
def test_redirect_is_not_followed(httpserver: HTTPServer, message: Message, status: int):
    httpserver.expect_request(PATH).respond_with_data(
        "", status=status, headers={"Location": httpserver.url_for("/elsewhere")}
    )
    error = error_of(channel_of(httpserver), message)

    assert (error.reason, error.retryable) == ("provider_misconfigured", False)
    assert [request.path for request, _response in httpserver.log] == [PATH]


def raw(port: int) -> TwilioChannel:
    timeouts = {"connect_timeout": 0.5, "read_timeout": 0.5, "total_timeout": 1.0}
    return TwilioChannel(**CREDENTIALS, base_url=f"http://127.0.0.1:{port}", **timeouts)


@pytest.mark.parametrize(
    ("script", "reason"),
    [([60.0], "timeout"), (dripping(b"HTTP/1.1 201 Created\r\n", every=0.1), "timeout"), ([b""], "connection")],
)
def test_answer_that_never_comes_is_a_temporary_failure(message: Message, script, reason: str):
    with playing(script) as server:
        started = time.monotonic()
        error = error_of(raw(server.port), message)

    assert (error.reason, error.retryable) == (reason, True)
    assert time.monotonic() - started < 2


def test_accepting_answer_that_breaks_off_has_lost_its_id_only(message: Message):
    with playing([b'HTTP/1.1 201 Created\r\nContent-Length: 99\r\n\r\n{"sid": "SM']) as server:
        assert raw(server.port).send(message).provider_message_id is None


@pytest.mark.parametrize("status", [b"200 OK", b"201 Created"])
@pytest.mark.parametrize("pieces", [2, 2000])
def test_long_answer_is_none_of_twilios_and_no_yes(message: Message, status: bytes, pieces: int):
    """The page of a captive portal; it is read no further than its limit."""
    with playing([b"HTTP/1.1 " + status + b"\r\n\r\n", *[b"<p>Welcome</p>".ljust(65536)] * pieces]) as server:
        error = error_of(raw(server.port), message)

    assert (error.reason, error.retryable) == ("answer_unreadable", True)


def test_long_refusal_is_told_by_its_status(httpserver: HTTPServer, message: Message):
    httpserver.expect_request(PATH).respond_with_data("x" * 100_000, status=403)

    assert error_of(channel_of(httpserver), message).reason == "provider_denied"


# --- the options ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"account_sid": ""}, "account_sid"),
        ({"account_sid": "AC1/../Calls"}, "account_sid"),
        ({"auth_token": ""}, "auth_token"),
        ({"api_key_sid": "SK1"}, "belong together"),
        ({"from_": ""}, "from_"),
        ({"base_url": "ftp://api.example.org"}, "http or https"),
        ({"base_url": "https://key:secret@api.example.org"}, "headers"),
        ({"status_callback": "/receipts/sms/"}, "status_callback"),
        ({"status_callback": f"{CALLBACK}#rc=5"}, "status_callback"),
        (
            {"status_callback": CALLBACK, "auth_token": "", "api_key_sid": "SK1", "api_key_secret": "s"},
            "needs auth_token",
        ),
        ({"other_auth_tokens": "one"}, "list"),
        ({"content_sid": "HX1", "content_variables": {"1": "{texto}"}}, "texto"),
        ({"read_timeout": 0}, "timeout"),
    ],
)
def test_options_that_cannot_work_are_refused_when_it_is_built(options: dict[str, Any], said: str):
    with pytest.raises(ValueError, match=said) as caught:
        TwilioChannel(**{**CREDENTIALS, **options})

    assert SECRET not in str(caught.value)


def test_repr_hides_the_credentials():
    assert SECRET not in repr(TwilioChannel(**CREDENTIALS)) + str(TwilioChannel(**CREDENTIALS))
