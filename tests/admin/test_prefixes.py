from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.contrib.admin.models import LogEntry
from django.test import Client

from tests import factories
from tests.admin.conftest import page
from tests.stories import travel
from twofa.models import Event, PrefixPause, SafeNumber
from twofa.models.clock import now

pytestmark = pytest.mark.django_db
PREFIX = "+551198765"


@pytest.fixture
def pause() -> PrefixPause:
    return factories.prefix_pause(prefix=PREFIX, sends=40, confirmations=1)


def test_list_tells_what_is_paused_and_why(pause: PrefixPause, boss: Client):
    text = boss.get(page("prefixpause", "changelist")).content.decode()

    for shown in (PREFIX, "BR", "paused", ">40<", ">1<"):
        assert shown in text, shown


@pytest.mark.parametrize(("how", "said"), [("lifted", "lifted"), ("over", "over")])
def test_pause_that_does_not_run_says_so_and_is_not_lifted(how: str, said: str, pause: PrefixPause, boss: Client):
    if how == "lifted":
        PrefixPause.objects.update(ended_at=now(), lifted_by="maria")
    else:
        travel(timedelta(hours=12))

    text = boss.get(page("prefixpause", "change", pause.pk)).content.decode()

    assert f">{said}<" in text
    assert page("prefixpause", "lift", pause.pk) not in text


def test_pause_is_lifted_with_a_reason(pause: PrefixPause, boss: Client):
    address = page("prefixpause", "lift", pause.pk)
    assert address in boss.get(page("prefixpause", "change", pause.pk)).content.decode()
    assert "40" in boss.get(address).content.decode()

    assert boss.post(address, {"reason": ""}).status_code == 200
    assert PrefixPause.objects.get().ended_at is None
    assert boss.post(address, {"reason": "Our own campaign."}).status_code == 302

    assert PrefixPause.objects.get().lifted_by == "boss"
    assert Event.objects.get(type="prefix.lifted").actor == "boss"


def test_pause_is_not_lifted_by_those_who_may_only_look(pause: PrefixPause, staff: Callable[..., Client]):
    client = staff("view_prefixpause")

    assert client.post(page("prefixpause", "lift", pause.pk), {"reason": "r"}).status_code == 403
    assert PrefixPause.objects.get().ended_at is None
    assert not Event.objects.filter(type="prefix.lifted").exists()


def test_safe_number_is_added_with_a_name_and_a_reason(boss: Client):
    response = boss.post(page("safenumber", "add"), {"prefix": PREFIX, "reason": "The office."})

    assert response.status_code == 302
    row = SafeNumber.objects.get()
    assert (row.prefix, row.reason, row.created_by) == (PREFIX, "The office.", "boss")
    assert Event.objects.get(type="safe_number.added").actor == "boss"
    assert LogEntry.objects.get().object_id == str(row.pk)


@pytest.mark.parametrize(
    "typed",
    [
        {"prefix": "11999"},
        {"prefix": "+55"},
        {"prefix": "+55 11"},
        {"prefix": "+0551199"},
        {"prefix": "+55119%"},
        {"prefix": "+" + "5" * 16},
        {"prefix": "+5511９"},
        {"prefix": ""},
        {"reason": ""},
    ],
    ids=str,
)
def test_what_is_no_beginning_of_a_number_or_has_no_reason_is_refused(typed: dict[str, Any], boss: Client):
    response = boss.post(page("safenumber", "add"), {"prefix": PREFIX, "reason": "r", **typed})

    assert response.status_code == 200
    assert not SafeNumber.objects.exists()
    assert not Event.objects.exists()


def test_safe_number_is_listed_once(boss: Client):
    for _time in range(2):
        response = boss.post(page("safenumber", "add"), {"prefix": PREFIX, "reason": "r"})

    assert "It is on the list already." in boss.get(response.url).content.decode()
    assert SafeNumber.objects.count() == Event.objects.count() == 1


def test_safe_number_is_never_changed(boss: Client):
    boss.post(page("safenumber", "add"), {"prefix": PREFIX, "reason": "r"})
    row = SafeNumber.objects.get()

    assert boss.post(page("safenumber", "change", row.pk), {"prefix": "+55", "reason": "x"}).status_code == 403
    assert SafeNumber.objects.get().prefix == PREFIX


def test_safe_number_is_removed_with_a_reason(boss: Client):
    boss.post(page("safenumber", "add"), {"prefix": PREFIX, "reason": "r"})
    row = SafeNumber.objects.get()

    text = boss.post(page("safenumber", "remove", row.pk), {"reason": "Moved out."}, follow=True).content.decode()

    assert ">removed<" in text
    assert page("safenumber", "remove", row.pk) not in text
    assert not SafeNumber.objects.living().exists()
    assert Event.objects.get(type="safe_number.removed").data["reason"] == "Moved out."


@pytest.mark.parametrize("permissions", [("view_safenumber",), ("view_safenumber", "add_safenumber")], ids=str)
def test_safe_number_is_removed_by_nobody_else(permissions: tuple[str, ...], staff: Callable[..., Client]):
    row = factories.safe_number(prefix=PREFIX)
    client = staff(*permissions)

    assert client.post(page("safenumber", "remove", row.pk), {"reason": "r"}).status_code == 403
    assert SafeNumber.objects.living().exists()
