"""``manage.py seed``: a fresh database, and a shop that works on it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import urllib3
from django.contrib.auth import get_user_model

from example_project.loyalty.demo import company, queue, seed
from tests.example.serving import Served, manage
from tests.example.shopping import Forms
from twofa.flows import roles, webhook_endpoints
from twofa.models import Approver, Device, IdentityDocument, WebhookEndpoint


def test_fresh_database_gets_members_and_a_key_once(tmp_path: Path):
    assert manage("migrate", var=tmp_path).returncode == 0

    first, second = manage("seed", var=tmp_path), manage("seed", var=tmp_path)

    key = tmp_path / "shop_api_key.txt"
    assert first.returncode == second.returncode == 0, first.stderr + second.stderr
    assert "admin / " in first.stdout
    assert "otpauth://" in first.stdout
    assert "admin / " not in second.stdout
    assert "rita / " in first.stdout
    assert "rita / " not in second.stdout
    assert "manage.py changepassword admin" in second.stdout
    assert "manage.py enroll_staff admin" in second.stdout
    assert key.read_text().startswith("twofa_")
    assert key.stat().st_mode & 0o777 == 0o600
    secret = tmp_path / "shop_webhook_secret.txt"
    assert secret.read_text().startswith("whsec_")
    assert secret.stat().st_mode & 0o777 == 0o600
    assert {path.stat().st_mode & 0o077 for path in (tmp_path / "documents").rglob("*")} == {0}


@pytest.mark.django_db
def test_webhooks_go_to_where_the_shop_is_served_now(settings: Any):
    settings.TWOFA_WEBHOOK_PRIVATE_HOSTS = ["127.0.0.1"]
    logins = seed.plant("http://127.0.0.1:8000/webhooks/")
    before = WebhookEndpoint.objects.get()
    assert webhook_endpoints.secret_text(before.secret()) == logins.webhook_secret

    seed.redirect_webhooks("http://127.0.0.1:8123/webhooks/")

    endpoint = WebhookEndpoint.objects.get()
    assert endpoint.url == "http://127.0.0.1:8123/webhooks/"
    assert endpoint.secret() == before.secret(), "the shop keeps its secret"


@pytest.mark.django_db
def test_director_may_approve_up_to_her_limit_and_is_reached_apart_from_the_buyer():
    seed.plant()

    entitlement = Approver.objects.get()

    assert (entitlement.requester.external_id, entitlement.participant.external_id) == (company.BUYER, company.DIRECTOR)
    assert (entitlement.max_amount, entitlement.deputy) == (company.LIMIT, None)
    addresses = [device.address for device in Device.objects.filter(participant__campaign__slug=company.SLUG)]
    assert len(set(addresses)) == 2


@pytest.mark.django_db
def test_queue_has_a_picture_sent_by_two_people_a_file_of_two_pages_and_somebody_who_may_decide(documents_folder: Path):
    seed.plant()

    queue.fill()

    waiting = IdentityDocument.objects.waiting()
    assert waiting.values("participant").distinct().count() == 4
    twice = {row.participant.external_id for row in waiting.with_duplicates() if row.is_duplicate}
    assert twice == {"carla", "diego"}
    assert waiting.get(source="pdf").pages == 2
    rita = get_user_model().objects.get(username=seed.REVIEWER)
    assert rita.is_staff
    assert rita.has_perm("twofa.review_identitydocument")
    assert not rita.is_superuser
    assert [group.name for group in rita.groups.all()] == [roles.REVIEWER]


def test_database_without_tables_is_told_in_one_line(tmp_path: Path):
    done = manage("seed", var=tmp_path)

    assert done.returncode == 1
    assert done.stderr.splitlines() == ["CommandError: Run manage.py migrate first."]
    assert not (tmp_path / "shop_api_key.txt").exists()


def test_lost_key_is_replaced_by_another(tmp_path: Path):
    manage("migrate", var=tmp_path)
    manage("seed", var=tmp_path)
    key = tmp_path / "shop_api_key.txt"
    lost = key.read_text()
    key.unlink()

    assert manage("seed", var=tmp_path).returncode == 0

    assert key.read_text() != lost


def test_nothing_is_seeded_outside_of_development(tmp_path: Path):
    production = {
        "DEBUG": "0",
        "SECRET_KEY": "a-long-secret-of-this-test-" + "9f3kq81z" * 6,
        "ALLOWED_HOSTS": "points.example.com",
        "DATABASE_URL": "postgresql://points@127.0.0.1:9/points",
        "CELERY_BROKER_URL": "redis://127.0.0.1:9/0",
        "TWOFA_TOKEN_KEY": "b" * 64,
    }

    done = manage("seed", "--skip-checks", var=tmp_path, **production)

    assert done.returncode != 0
    assert "for development only" in done.stderr
    assert list(tmp_path.iterdir()) == []


def test_served_shop_calls_its_own_server(served: Served):
    """One server answers the page and the call that the page waits for."""
    page = urllib3.request("GET", f"{served.base}/sign-in/", timeout=20).data.decode()

    assert "Ana Souza" in page
    for name in ("Bruno Lima", "Nina Castro", "Lucas Braga", "Marta Reis"):
        assert name in page
    assert served.key not in page
    assert len(Forms(page).found) >= 4
