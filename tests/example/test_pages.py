"""The example's own pages off the story's way: nothing there, something broken, the API's page in its frame."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from django.contrib import admin
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
from tests.example.shopping import Shopper, World


def break_down(request: HttpRequest) -> None:
    raise RuntimeError("what nobody may read")


def forbid(request: HttpRequest) -> None:
    raise PermissionDenied("what nobody may read")


urlpatterns = [
    path("admin/forbidden/", admin.site.admin_view(forbid)),
    *urls.urlpatterns,
    path("broken/", break_down),
    path("forbidden/", forbid),
]
handler403, handler404 = urls.handler403, urls.handler404


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


@pytest.mark.django_db
@pytest.mark.parametrize(("address", "status"), [("/admin/nothing/", 404), ("/admin/forbidden/", 403)])
@pytest.mark.parametrize("debug", [False, True])
def test_staff_stay_in_the_admin(address: str, status: int, debug: bool, browser: Client, settings: Any):
    develop(settings, debug)
    browser.force_login(User.objects.create_superuser("boss"))

    answer = browser.get(address)
    page = answer.content.decode()

    assert answer.status_code == status
    assert 'id="site-name"' in page
    assert "To the admin" in page
    assert "boss" in page
    assert "Sign in" not in page
    assert "what nobody may read" not in page


@pytest.mark.django_db
@pytest.mark.parametrize(("address", "frame"), [("/admin/login/", 'id="site-name"'), ("/sign-in/", 'class="brand"')])
def test_form_of_a_session_that_has_ended_is_answered_in_its_own_frame(address: str, frame: str, settings: Any):
    settings.ROOT_URLCONF = __name__
    settings.TEMPLATES = [{**settings.TEMPLATES[0], "DIRS": [ROOT / "example_project" / "templates"]}]
    settings.CSRF_FAILURE_VIEW = "example_project.pages.show_stale_form"

    answer = Client(enforce_csrf_checks=True).post(address, {})
    page = answer.content.decode()

    assert answer.status_code == 403
    assert frame in page
    assert f'href="{address}"' in page


def develop(settings: Any, debug: bool = True) -> None:
    """As the example's own settings do."""
    settings.DEBUG = debug
    if debug:
        settings.MIDDLEWARE = [*settings.MIDDLEWARE, "example_project.pages.NothingHereMiddleware"]


@pytest.mark.parametrize("debug", [False, True])
@pytest.mark.parametrize(
    ("address", "ours"), [("/nothing/", True), ("/products/nothing/", True), ("/api/v1/x/", False)]
)
def test_nothing_is_the_same_in_development(address: str, ours: bool, debug: bool, browser: Client, settings: Any):
    develop(settings, debug)

    answer = browser.get(address)

    assert answer.status_code == 404
    assert ("There is nothing at this address" in answer.content.decode()) == ours
    assert browser.get("/orders").status_code == 301, "and an address without its slash is found"


def test_visitor_who_is_signed_in_stays_so_where_nothing_is(world: World, ana: Shopper):
    ana.get("/nothing/")

    assert ana.status == 404
    assert "Sign out" in ana.page
    assert "Sign in" not in ana.page


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
