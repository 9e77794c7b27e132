"""A crawl: what a password alone reaches, which is nothing."""

from __future__ import annotations

import pytest
from django.urls import get_resolver

from tests.factories import token_of
from tests.login.people import GUARDED, LOGIN, TOKEN, half

pytestmark = pytest.mark.django_db(transaction=True)


def addresses() -> list[str]:
    """Every address that needs no argument: of the admin, with documents and queues, and the guarded pages."""
    found = get_resolver().namespace_dict["admin"][1].reverse_dict
    routes = [found.getlist(name)[0][0][0] for name in found if isinstance(name, str)]
    return sorted({*(f"/admin/{route}" for route, arguments in routes if not arguments), *GUARDED, "/user/"})


OPEN = {"/admin/jsi18n/", "/admin/logout/", "/admin/login/"}
"""What the admin shows to anybody: words, and the ways in and out."""


@pytest.mark.parametrize("kind", ["half", "password alone"])
def test_no_page_opens_to_a_password(browser, person, kind):
    person.is_staff = person.is_superuser = True
    person.save()
    if kind == "half":
        half(browser, person)
    else:
        browser.force_login(person)
    # A page that asks for a user, and no more, is what a session of a password alone is for.
    crawled = set(addresses()) - OPEN - ({"/user/"} if kind == "password alone" else set())
    answers = {path: browser.get(path) for path in crawled}

    assert len(crawled) > 40
    assert {path for path, answer in answers.items() if "login" not in answer.get("Location", "")} == set()
    assert browser.get("/admin/login/?next=/admin/")["Location"] == f"{LOGIN}?next=/admin/"


def test_the_same_pages_open_to_a_verified_session(browser, person):
    person.is_staff = person.is_superuser = True
    person.save()
    challenge = half(browser, person)
    browser.post(TOKEN, {"token": token_of(challenge)})
    statuses = [browser.get(path).status_code for path in ("/admin/", "/admin/twofa/", "/user/", *GUARDED)]

    assert statuses == [200] * 5
