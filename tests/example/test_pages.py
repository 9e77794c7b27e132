"""The example's own pages off the story's way: nothing there, something broken, the API's page in its frame."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest
from django.test import Client
from django.urls import path, reverse

from example_project import urls
from example_project.loyalty import ledger
from example_project.loyalty.models import Account, Transfer
from tests import factories
from tests.example.blocks import ROOT


def break_down(request: HttpRequest) -> None:
    raise RuntimeError("what nobody may read")


def forbid(request: HttpRequest) -> None:
    raise PermissionDenied("what nobody may read")


urlpatterns = [*urls.urlpatterns, path("broken/", break_down), path("forbidden/", forbid)]


@pytest.fixture
def browser(settings: Any) -> Client:
    """A browser at the example, outside of development."""
    settings.ROOT_URLCONF = __name__
    settings.TEMPLATES = [{**settings.TEMPLATES[0], "DIRS": [ROOT / "example_project" / "templates"]}]
    return Client(raise_request_exception=False)


@pytest.mark.parametrize(("address", "status"), [("/nothing/", 404), ("/broken/", 500), ("/forbidden/", 403)])
def test_page_that_is_not_there_or_not_open_or_breaks_is_no_dead_end(address: str, status: int, browser: Client):
    answer = browser.get(address)
    page = answer.content.decode()

    assert answer.status_code == status
    assert '<a class="brand" href="/">' in page
    assert page.count("<h1>") == 1
    assert "what nobody may read" not in page


def test_page_of_the_api_leads_home_and_is_marked(browser: Client):
    page = browser.get(reverse("twofa:docs")).content.decode()

    assert 'href="/"' in page
    assert 'href="/api/v1/docs/" aria-current="page"' in page
    assert 'href="/static/example/frame.css"' in page
    assert 'src="assets/start.js"' in page


@pytest.mark.django_db
def test_ledger_shows_what_its_amounts_count(client: Client):
    participant = factories.participant(factories.campaign(unit="miles"))
    ledger.grant(participant, Decimal("1250.50"), key="welcome")
    client.force_login(User.objects.create_superuser("boss"))

    account = Account.objects.get(participant=participant, kind="available")
    issued = Account.objects.get(campaign=participant.campaign, kind="issued")
    transfer = Transfer.objects.get()
    for row in (account, transfer):
        name = f"admin:loyalty_{row._meta.model_name}"
        for address in (reverse(f"{name}_changelist"), reverse(f"{name}_change", args=[row.pk])):
            assert "1,250.50 miles" in client.get(address).content.decode(), address
    assert "miles" not in client.get(reverse("admin:loyalty_account_change", args=[issued.pk])).content.decode()
