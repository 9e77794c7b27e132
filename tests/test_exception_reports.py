"""What a host's error report would show of our frames: Django's own, with which the settings mail every 500."""

from __future__ import annotations

import base64
import html
from collections.abc import Callable
from typing import Any

import pytest
from django.conf import settings as django_settings
from django.db import OperationalError, connection
from django.test import override_settings
from django.views.debug import ExceptionReporter

from tests import factories
from tests.api.client import Api, checkouts, member, order
from tests.canary import disguises
from tests.flows.channels import ScriptedChannel
from twofa import delivery, tokens
from twofa.api import parsing
from twofa.api.base import Endpoint
from twofa.channels import Message, Receipt
from twofa.flows import deliveries, devices, verdicts
from twofa.models import Challenge, Delivery

pytestmark = pytest.mark.django_db


class Killed(BaseException):
    """What a worker is told to stop by: no handler of ours catches it."""


class Failure(Exception):
    """What no part of ours expects."""


def raising(error: type[BaseException]) -> Callable[..., Any]:
    def fail(*args: Any, **kwargs: Any) -> Any:
        raise error("on purpose")

    return fail


@pytest.fixture
def shop():
    return factories.Shop()


@pytest.fixture
def key(shop):
    return factories.key(shop.storefront)


@pytest.fixture
def secrets(monkeypatch) -> list[str]:
    """Every token, seed and key that was in play, in each usual spelling."""
    found: list[str] = [spelling for kept in tokens_keys() for spelling in spellings(kept)]
    derive = tokens.derive

    def remembering(*args: Any, **kwargs: Any) -> str:
        token = derive(*args, **kwargs)
        found.extend(disguises(token))
        found.extend(spellings(kwargs["seed"]))
        return token

    monkeypatch.setattr(tokens, "derive", remembering)
    return found


def tokens_keys() -> list[bytes]:
    return [bytes(value) for value in django_settings.TWOFA_TOKEN_KEYS.values()]


def spellings(secret: bytes) -> list[str]:
    return [
        repr(secret)[2:-1],
        secret.hex(),
        secret.hex().upper(),
        base64.b64encode(secret).decode().rstrip("="),
        base64.urlsafe_b64encode(secret).decode().rstrip("="),
        str(list(secret))[1:-1],
    ]


class Reports:
    """What Django's reports show of an error on its way out, and what its frames hold once it is out."""

    def __init__(self) -> None:
        self.guarded = self.unguarded = ""
        self.error: BaseException | None = None
        self.request: Any = None

    def take(self, error: BaseException, request: Any = None) -> None:
        """Report an error that is still within us."""
        self.error, self.request = error, request
        self.guarded = report_of(error, request)
        with override_settings(DEBUG=True):
            self.unguarded = report_of(error, request)

    def assert_kept(self, secrets: list[str]) -> None:
        """Nothing was shown on the way, and nothing is left."""
        self.assert_marked(secrets)
        self.assert_forgotten(secrets)

    def assert_marked(self, secrets: list[str]) -> None:
        """Django's report showed nothing; and there was something to be seen, so that this can fail."""
        self._assert_without(secrets, self.guarded)

    def assert_forgotten(self, secrets: list[str]) -> None:
        """The frames hold nothing: what a reporter shows that knows nothing of Django's mark."""
        assert self.error is not None
        with override_settings(DEBUG=True):
            self._assert_without(secrets, report_of(self.error, self.request))

    def _assert_without(self, secrets: list[str], report: str) -> None:
        assert "on purpose" in report
        assert "twofa/" in report
        assert [secret for secret in secrets if secret in report] == []
        assert [secret for secret in secrets if secret in self.unguarded] != []


def report_of(error: BaseException, request: Any = None) -> str:
    """Django's report in both forms as one text, with every variable at its full length."""
    reporter = ExceptionReporter(request, type(error), error, error.__traceback__, is_email=True)
    # It cuts long values: what is behind the cut is shown by others.
    frames = [repr(list(frame["vars"])) for frame in reporter.get_traceback_data()["frames"]]
    return html.unescape("\n".join([reporter.get_traceback_text(), reporter.get_traceback_html(), *frames]))


@pytest.fixture
def reports(monkeypatch) -> Reports:
    """Of the error that comes to a view's end, or to the worker's."""
    taken = Reports()
    answer, forget = Endpoint.handle_exception, deliveries.forget_variables

    def answering(self: Endpoint, exc: Exception) -> Any:
        taken.take(exc, self.request._request)
        return answer(self, exc)

    def forgetting(error: BaseException) -> None:
        taken.take(error)
        forget(error)

    monkeypatch.setattr(Endpoint, "handle_exception", answering)
    monkeypatch.setattr(deliveries, "forget_variables", forgetting)
    return taken


@pytest.mark.parametrize("right", [True, False], ids=["right", "wrong"])
@pytest.mark.parametrize(
    ("owner", "name"),
    [(Challenge, "change"), (tokens, "matches"), (tokens, "subkey"), (tokens, "encode"), (Challenge, "judge")],
    ids=lambda value: value if isinstance(value, str) else value.__name__,
)
def test_confirm(shop, key, secrets, monkeypatch, reports, owner, name, right):
    redemption = shop.open()
    token = factories.token_of(redemption.challenge) if right else factories.wrong_token(redemption.challenge)
    secrets += [*disguises(token), key]
    monkeypatch.setattr(owner, name, raising(Failure))

    response = Api(key).post(f"/redemptions/{redemption.pk}/confirm/", {"token": token, "amount": "150.00"})

    assert response.status_code == 500
    assert not [secret for secret in secrets if secret in response.content.decode()]
    reports.assert_kept(secrets)


def test_confirm_with_an_idempotency_key(shop, key, secrets, monkeypatch, reports):
    """The body, and with it the token, goes through the record of the key."""
    redemption = shop.open()
    body = {"token": factories.token_of(redemption.challenge)}
    monkeypatch.setattr(tokens, "fingerprint", raising(Failure))

    Api(key).post(f"/redemptions/{redemption.pk}/confirm/", body, Idempotency_Key="k-1")

    reports.assert_kept(secrets)


def test_database_that_is_gone(shop, key, secrets, monkeypatch, reports):
    """Told as unavailable, and logged by its class; a host may report it all the same."""
    redemption = shop.open()
    token = factories.token_of(redemption.challenge)
    monkeypatch.setattr(Challenge, "change", raising(OperationalError))

    response = Api(key).post(f"/redemptions/{redemption.pk}/confirm/", {"token": token})

    assert response.status_code == 503
    reports.assert_kept(secrets)


def test_error_raised_over_another(shop, key, secrets, monkeypatch, reports):
    redemption = shop.open()
    token = factories.token_of(redemption.challenge)

    def fail(challenge: Challenge, token: str) -> None:
        text = token.lower()
        try:
            raise KeyError(len(text))
        except KeyError as error:
            raise Failure("on purpose") from error

    monkeypatch.setattr(Challenge, "judge", fail)

    Api(key).post(f"/redemptions/{redemption.pk}/confirm/", {"token": token})

    reports.assert_kept(secrets)


def test_parser(shop, key, secrets, monkeypatch, reports):
    redemption = shop.open()
    token = factories.token_of(redemption.challenge)
    monkeypatch.setattr(parsing, "_ensure_shallow", raising(Failure))

    Api(key).post(f"/redemptions/{redemption.pk}/confirm/", {"token": token})

    reports.assert_kept(secrets)


def test_token_sent_as_a_form(shop, key, secrets, reports):
    """Refused, but there in the request that a report shows."""
    redemption = shop.open()
    token = factories.token_of(redemption.challenge)

    path = f"/redemptions/{redemption.pk}/confirm/"
    form = "application/x-www-form-urlencoded"
    response = Api(key).send("POST", path, f"token={token}".encode(), content_type=form)

    assert response.status_code == 415
    assert reports.request.POST["token"] == token
    shown = report_of(reports.error, reports.request)
    assert [secret for secret in secrets if secret in shown] == []


@pytest.mark.parametrize("verb", ["verify", "authorize"])
def test_device(shop, key, secrets, monkeypatch, reports, verb):
    if verb == "verify":
        shop.device.delete()
    api = Api(key)
    device = api.post(f"{member(shop)}devices/", {"channel": "email", "address": "ana@example.com"}).json()
    challenge = device["challenge"] or device["authorization"]
    token = factories.token_of(Challenge.objects.get(pk=challenge["id"]))
    monkeypatch.setattr(Challenge, "change", raising(Failure))

    api.post(f"/devices/{device['id']}/{verb}/", {"token": token})

    reports.assert_kept(secrets)


@pytest.mark.parametrize("opened", ["redemption", "device"])
def test_seed_of_a_new_challenge(shop, key, monkeypatch, reports, opened):
    """The frames below us hold the parameters of the statement that stores it."""
    seed = bytes(range(100, 132))
    monkeypatch.setattr("secrets.token_bytes", lambda size: seed)

    def fail(execute: Callable[..., Any], sql: str, params: Any, *more: Any) -> Any:
        if "INSERT" in sql and Challenge._meta.db_table in sql:
            raise Failure("on purpose")
        return execute(sql, params, *more)

    with connection.execute_wrapper(fail):
        if opened == "redemption":
            Api(key).post(checkouts(shop), order(shop))
        else:
            Api(key).delete(f"/devices/{shop.device.uuid}/")

    reports.assert_forgotten(spellings(seed))


def test_verification_that_a_host_calls_itself(shop, secrets, monkeypatch, reports):
    """Without a request of ours around it."""
    shop.device.delete()
    registration = devices.register(
        shop.participant, storefront=shop.storefront, channel="sms", address="+5511999990034", actor=shop.actor
    )
    token = factories.token_of(registration.challenge)
    monkeypatch.setattr(verdicts, "attempt", raising(Failure))

    with pytest.raises(Failure) as info:
        devices.verify(registration.device, storefront=shop.storefront, token=token, actor=shop.actor)

    reports.take(below(info.value, "_answer"))
    reports.assert_marked(secrets)


def test_login_through_django_otp(shop, secrets, monkeypatch, reports):
    token = factories.token_of(factories.login_challenge(shop))
    monkeypatch.setattr(verdicts, "attempt", raising(Failure))

    with pytest.raises(Failure) as info:
        shop.device.verify_token(token)

    reports.take(below(info.value, "answer_login"))
    reports.assert_marked(secrets)


class Dying(ScriptedChannel):
    """Is told to stop while it holds what it sends."""

    def send(self, message: Message) -> Receipt:
        body = message.text
        raise Killed("on purpose", len(body))


@pytest.mark.parametrize("where", ["rendering", "channel", "renewal"])
def test_worker(shop, secrets, monkeypatch, settings, reports, where):
    settings.TWOFA_CHANNELS = {"sms": {"BACKEND": f"{__name__}.Dying"}}
    redemption = shop.open()
    if where == "rendering":
        monkeypatch.setattr(delivery, "_render_first", raising(Killed))
    elif where == "renewal":
        factories.token_of(redemption.challenge)
        monkeypatch.setattr(deliveries, "_is_fit", lambda *args: False)
        monkeypatch.setattr(tokens, "encode", raising(Killed))

    with pytest.raises(Killed) as info:
        deliveries.deliver(Delivery.objects.get().pk)

    below(info.value, "deliver")
    reports.assert_kept(secrets)


def below(error: BaseException, function: str) -> BaseException:
    """The error without the frames above ``function``: the caller's, which are the host's to keep."""
    trace = error.__traceback__
    while trace is not None and trace.tb_frame.f_code.co_name != function:
        trace = trace.tb_next
    assert trace is not None
    return error.with_traceback(trace)
