"""TOT-4: no page of the example's admin opens to a password alone, and nothing changes where one is tried."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.example.serving import ROOT, environment

WITHOUT = ("nobody", "password", "invited", "phone", "colleague's")


@pytest.fixture(scope="module")
def crawled(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What the crawler saw of the example, as its settings and URLs are."""
    done = subprocess.run(
        [sys.executable, "-m", "tests.example.crawl"],
        cwd=ROOT,
        env={**environment(tmp_path_factory.mktemp("var")), "DJANGO_SETTINGS_MODULE": "example_project.settings"},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


def test_crawl_meets_every_kind_of_page(crawled):
    pages = set(crawled["pages"])

    assert len(pages) > 60
    assert {"/admin/", "/admin/login/", "/admin/logout/", "/admin/password_change/", "/admin/jsi18n/"} <= pages
    assert {"/admin/autocomplete/", "/admin/auth/user/add/", "/admin/twofa/campaign/", "/admin/doc/"} <= pages
    assert not [page for page in pages if "totp" in page], "its page would show the secrets"
    assert crawled["devices_and_sites"] == [2, 1]


@pytest.mark.parametrize("visitor", WITHOUT)
def test_without_the_second_factor_every_page_leads_to_the_login(crawled, visitor):
    answers = [answer[1:] for answer in crawled["answers"] if answer[0] == visitor]

    let_in = [
        answer
        for answer in answers
        if answer[1] != "/admin/login/"
        and not (answer[2] == 302 and answer[3].startswith(("/admin/login/", "/admin/")))
    ]
    assert let_in == []
    # The logout leads to the index, which leads to the login.
    assert {answer[1] for answer in answers if answer[2] == 302 and answer[3] == "/admin/"} <= {"/admin/logout/"}


def test_login_answers_an_empty_form_with_itself(crawled):
    answers = [answer for answer in crawled["answers"] if answer[2] == "/admin/login/" and answer[0] != "both"]

    assert {answer[3] for answer in answers} == {200}


def test_with_both_factors_the_same_pages_open(crawled):
    answers = [answer for answer in crawled["answers"] if answer[0] == "both"]

    assert not [answer for answer in answers if answer[4].startswith("/admin/login/")]
    opened = [answer for answer in answers if answer[3] == 200]
    assert len(opened) > 30
    assert not [answer for answer in answers if answer[3] >= 500]


def test_superuser_invites_one_colleague_at_a_time_and_it_is_noted(crawled):
    told = crawled["invitations"]

    assert told["opens"] == 200
    assert told["noted"] == 1
    assert told["made_by_mistake"] == 0
    assert told["host_in_page"] is False
    assert "no-store" in told["cache"]


def test_nobody_else_invites(crawled):
    """Whoever may edit users could set a password, invite, and come in as somebody else."""
    told = crawled["invitations"]

    assert told["offered_to_deputy"] is False
    assert told["made_by_deputy"] == 0


def test_whoever_may_change_users_gives_themselves_no_rights(crawled):
    """Else what is for superusers, as inviting is, would be one form away."""
    told = crawled["rights"]

    assert told["changed"] == []
    assert set(told["forged"].values()) == {302}
    assert told["corrected"] == 3, "the rest of the form is theirs to change"
    assert told["superuser_is_kept"], "neither renamed nor locked out"


def test_nobody_but_a_superuser_sets_the_password_of_another(crawled):
    told = crawled["rights"]

    assert told["passwords"] == {"colleague": [403, 403, False], "superuser": [403, 403, False]}
    assert told["way_to_password"] == {"self": True, "colleague": False, "superuser": False}
    assert told["own_password"] == [200, 302, True]


def test_superuser_gives_rights_and_sets_passwords(crawled):
    assert crawled["rights"]["by_superuser"] == [302, True, [200, 302, True]]


def test_example_has_no_second_door():
    """One site, in one place: a second one, or a view of its own that asks for ``is_staff``, would be another door."""
    source = "\n".join(path.read_text() for path in Path(ROOT / "example_project").rglob("*.py"))

    assert source.count("site.urls") == 1
    assert "staff_member_required" not in source
    assert "admindocs" not in source
