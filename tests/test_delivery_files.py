"""The files of messages: a host's own in the place of ours."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from django.test import override_settings

from tests.letters import row
from tests.test_delivery import failure
from twofa import delivery
from twofa.testing import outbox

pytestmark = pytest.mark.django_db  # a campaign's own texts are looked for


@pytest.fixture(autouse=True)
def _outbox() -> Iterator[None]:
    outbox.clear()
    yield
    outbox.clear()


def host_templates(tmp_path: Path, files: dict[str, str]) -> override_settings:
    for name, text in files.items():
        path = tmp_path / "twofa" / "messages" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    backend = "django.template.backends.django.DjangoTemplates"
    return override_settings(TEMPLATES=[{"BACKEND": backend, "DIRS": [tmp_path], "APP_DIRS": True}])


def test_host_overrides_a_template_by_file(tmp_path: Path):
    with host_templates(tmp_path, {"login_token/sms.txt": "{{ campaign }}\n{{ token }}"}):
        own, other = delivery.compose(row("login.token")), delivery.compose(row("login.token", "email"))

    assert own.text == f"Verao Premiado {own.token}"
    assert "Token 2" in other.text


def test_template_of_the_campaign_goes_first(tmp_path: Path):
    files = {"login_token/sms.txt": "all {{ token }}", "verao/login_token/sms.txt": "ours {{ token }}"}
    with host_templates(tmp_path, files):
        message = delivery.compose(row("login.token"))

    assert message.text == f"ours {message.token}"


def test_template_of_another_engine_is_used_as_it_is(tmp_path: Path):
    (tmp_path / "twofa" / "messages" / "login_token").mkdir(parents=True)
    (tmp_path / "twofa" / "messages" / "login_token" / "sms.txt").write_text("$campaign: $token")
    engine = {"BACKEND": "django.template.backends.dummy.TemplateStrings", "DIRS": [tmp_path], "APP_DIRS": False}
    with override_settings(TEMPLATES=[{**engine, "OPTIONS": {}}]):
        message = delivery.compose(row("login.token"))

    assert message.text == f"Verao Premiado: {message.token}"


@pytest.mark.parametrize(
    "text", ["{% broken", "{% include 'nowhere.txt' %}{{ token }}", "no token", "{{ token.upper|add:1|slice:'x' }}"]
)
def test_template_that_loses_the_token_sends_nothing(tmp_path: Path, text: str, caplog: pytest.LogCaptureFixture):
    with host_templates(tmp_path, {"login_token/sms.txt": text}):
        error = failure(row("login.token"))

    assert (error.reason, error.retryable) == ("message_not_rendered", False)
    assert "login" in caplog.text
    assert len(outbox) == 0


def test_event_without_a_template_sends_nothing():
    error = failure(row("device.unheard_of"))

    assert (error.reason, error.retryable) == ("message_not_rendered", False)
