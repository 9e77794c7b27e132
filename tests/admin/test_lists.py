from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import pytest
from django.contrib import admin
from django.db import connection
from django.test import Client, RequestFactory

from tests import factories
from tests.admin.conftest import World, make_world, page
from tests.admin.lives import live_all
from tests.admin.test_pages import MODELS
from tests.admin.trees import Tree
from tests.statements import record_statements
from tests.stories import STAFF
from twofa.admin import lists
from twofa.admin.events import UNREDEEMED
from twofa.flows import storefronts
from twofa.models import Campaign, Event, Redemption
from twofa.models.clock import now

POSTGRES = pytest.mark.postgres


@pytest.fixture
def bound(monkeypatch: pytest.MonkeyPatch) -> int:
    """Lists are counted up to four rows, and show two on a page."""
    monkeypatch.setattr(lists, "COUNTED", 4)
    for model_admin in admin.site._registry.values():
        if isinstance(model_admin.paginator, type) and issubclass(model_admin.paginator, lists.BoundedPaginator):
            monkeypatch.setattr(model_admin, "list_per_page", 2)
    return 4


def listed(client: Client, model: str, **asked: str) -> str:
    response = client.get(page(model, "changelist"), asked)
    assert response.status_code == 200
    return re.sub(r"\s+", " ", response.content.decode())


def campaigns(count: int) -> list[Campaign]:
    return [factories.campaign() for _number in range(count)]


@pytest.mark.parametrize("model", MODELS)
def test_each_cell_names_its_column(model: str, world: World, boss: Client):
    """On a phone a row is a card, whose lines would else be values without names."""
    response = boss.get(page(model, "changelist"))
    elements = Tree(response.content.decode()).elements

    # Of what was asked for: a list may leave out what all of its rows share.
    headings = len(response.context["cl"].list_display)
    cells = [
        one for one in elements if one.attributes.get("class", "").startswith("field-") and one.name in ("td", "th")
    ]
    assert cells
    assert len(cells) % headings == 0
    names = [one.attributes["data-label"] for one in cells]
    assert all(names)
    assert len(set(names)) == headings, "the same name in each row, another for each column"


def test_name_of_a_column_is_text(world: World, boss: Client, monkeypatch: pytest.MonkeyPatch):
    column = admin.site._registry[Campaign].list_display[-1]
    monkeypatch.setattr(getattr(type(admin.site._registry[Campaign]), column), "short_description", 'a "b" <i>c</i>')

    elements = Tree(listed(boss, "campaign")).elements

    assert 'A "b" <i>c</i>' in [one.attributes.get("data-label") for one in elements]
    assert not [one for one in elements if one.name == "i"]


def test_list_that_leaves_nothing_out_offers_no_way_to_all(boss: Client):
    campaigns(2)

    assert "Show all" not in listed(boss, "campaign")
    assert "Show all" in listed(boss, "campaign", q="campaign")


def test_list_that_another_page_linked_to_offers_the_way_to_all(world: World, boss: Client):
    lonely = factories.participant(world.shop.campaign)

    text = listed(boss, "redemption", participant__id__exact=str(lonely.pk))

    assert "Nothing matches." in text
    assert "Show all" in text


def test_search_without_a_find_says_what_is_searched_and_how_to_go_on(world: World, boss: Client):
    text = listed(boss, "redemption", q="A-nowhere")

    assert "Nothing matches. An order id, a participant&#x27;s external id" in text
    assert '<a href="?">Clear search and filters</a>' in text


def test_keys_say_what_they_are_good_for(boss: Client, staff: Callable[..., Client]):
    shop = factories.Shop()
    live, _text = storefronts.issue_key(shop.storefront, actor=STAFF)
    dead, _text = storefronts.issue_key(shop.storefront, actor=STAFF)
    storefronts.revoke_key(dead, actor=STAFF)
    late, _text = storefronts.issue_key(shop.storefront, actor=STAFF, expires_at=now())

    rows = boss.get(page("storefrontkey", "changelist")).context["cl"].table().split("<tr>")[2:]

    words = ("live", "revoked", "expired")
    assert [next(word for word in words if f">{word}<" in row) for row in rows] == ["expired", "revoked", "live"]
    assert [str(key) in row for key, row in zip((late, dead, live), rows, strict=True)] == [True] * 3


def test_list_within_the_bound_is_counted_exactly(boss: Client, bound: int):
    campaigns(bound)

    text = listed(boss, "campaign")

    assert f"{bound} campaigns" in text
    assert "About" not in text


@POSTGRES
def test_longer_list_says_about_how_many_there_are(boss: Client, bound: int):
    campaigns(12)
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE twofa_campaign")

    text = listed(boss, "campaign")

    assert "About 12 campaigns" in text
    assert f"only the first {bound} have pages" in text
    assert "12 results" not in text


def test_pages_end_at_the_bound(boss: Client, bound: int):
    campaigns(12)

    assert "?p=3" not in listed(boss, "campaign")
    assert "Campaign" in listed(boss, "campaign", p="2")
    with record_statements() as statements:
        beyond = boss.get(page("campaign", "changelist"), {"p": "3"})
    assert beyond.status_code == 302
    assert not any("OFFSET 4" in sql for sql in statements.counted)


@pytest.mark.parametrize(
    ("count", "shown"), [(7, 7), (87, 87), (12_345, 12_000), (99_700, 100_000), (1_049_000, 10**6)]
)
def test_estimate_has_two_figures(count: int, shown: int):
    assert lists._round(count) == shown


@pytest.mark.parametrize(
    ("model", "query"),
    [
        ("redemption", ""),
        ("redemption", "?points__exact=reserved"),
        ("challenge", "?purpose=redemption"),
        ("delivery", "?message=redemption.token"),
        ("event", ""),
        ("event", "?about=participant"),
        ("participant", ""),
        ("device", "?status__exact=active"),
    ],
)
def test_list_reads_no_more_than_it_shows(model: str, query: str, world: World, boss: Client, bound: int):
    """One statement without a limit costs as many statements, and all of the memory."""
    for _number in range(bound):
        make_world()

    with record_statements() as statements:
        boss.get(page(model, "changelist") + query)

    read = [sql for sql in statements.counted if f'FROM "twofa_{model}"' in sql and not sql.startswith("EXPLAIN")]
    assert len(read) >= 2
    assert [sql for sql in read if " LIMIT " not in sql and "COUNT(*)" not in sql] == []


@pytest.mark.parametrize("model", ["redemption", "challenge", "delivery", "event", "participant", "device"])
def test_column_without_an_index_is_not_sorted_by(model: str, world: World, boss: Client):
    """The heading is no link, and the address does nothing either: Django itself heeds it."""
    model_admin = next(a for m, a in admin.site._registry.items() if m._meta.label_lower == f"twofa.{model}")
    for number, column in enumerate(model_admin.list_display, 1):
        with record_statements() as statements:
            boss.get(page(model, "changelist"), {"o": f"-{number}"})
        (sorted_by,) = {
            sql.rpartition("ORDER BY")[2].partition("LIMIT")[0].strip()
            for sql in statements.counted
            if f'FROM "twofa_{model}"' in sql and "ORDER BY" in sql
        }
        offered = model_admin.sortable_by is None or column in model_admin.sortable_by
        assert offered or sorted_by == f'"twofa_{model}"."id" DESC', column


def test_filter_offers_a_few_campaigns_and_the_way_to_the_others(boss: Client, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(lists, "OFFERED", 3)
    world = make_world()
    rows = sorted(campaigns(6), key=lambda row: row.name)
    Redemption.objects.update(campaign=rows[-1])

    text = listed(boss, "redemption")

    assert text.count("?campaign__id__exact=") == 3
    assert f'href="{page("campaign", "changelist")}">Search for another one' in text
    chosen = listed(boss, "redemption", campaign__id__exact=str(rows[-1].pk))
    assert f'class="selected"> <a href="?campaign__id__exact={rows[-1].pk}">{rows[-1].name}' in chosen
    assert world.redemption.order_id in chosen


def test_filter_by_what_is_no_id_is_refused_gently(boss: Client, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(lists, "OFFERED", 1)
    campaigns(3)

    assert boss.get(page("redemption", "changelist"), {"campaign__id__exact": "x' OR 1"}).status_code == 302


def test_way_to_all_campaigns_is_shown_only_to_who_may_go_it(
    staff: Callable[..., Client], monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(lists, "OFFERED", 1)
    campaigns(3)

    assert "Search for another one" in listed(staff("view_redemption", "view_campaign"), "redemption")
    text = listed(staff("view_redemption", name="joana"), "redemption")
    assert "?campaign__id__exact=" in text
    assert "Search for another one" not in text


def test_search_finds_by_the_correlation_id_of_any_request(world: World, boss: Client):
    Event.objects.create(
        type="challenge.approved",
        created_at=world.challenge.created_at,
        actor_kind="storefront",
        correlation_id="of-the-confirm",
        redemption=world.redemption,
        challenge=world.challenge,
        participant=world.shop.participant,
    )
    other = make_world()

    for model, row, absent in (
        ("redemption", world.redemption.order_id, other.redemption.order_id),
        ("challenge", world.shop.participant.external_id, other.shop.participant.external_id),
        ("delivery", page("delivery", "change", world.delivery.pk), page("delivery", "change", other.delivery.pk)),
    ):
        text = listed(boss, model, q="of-the-confirm")
        assert row in text, model
        assert absent not in text, model


def test_search_finds_each_thing_by_each_of_its_names(world: World, boss: Client):
    other = make_world()
    shop, redemption, challenge = world.shop, world.redemption, world.challenge
    terms = {
        "redemption": (redemption.order_id, shop.participant.external_id, str(redemption.pk)),
        "challenge": (redemption.order_id, shop.participant.external_id, str(challenge.pk), str(redemption.pk)),
        "delivery": (str(challenge.pk), str(redemption.pk), world.delivery.provider_message_id),
        "event": (str(redemption.pk), str(challenge.pk)),
        "device": (shop.participant.external_id, str(shop.device.uuid)),
        "participant": (shop.participant.external_id,),
        "storefrontkey": (world.key.prefix,),
        "accesstoken": (world.access_token.prefix, shop.participant.external_id),
    }

    for model, names in terms.items():
        for term in filter(None, names):
            text = listed(boss, model, q=f" {term} ")
            assert page(model, "change", world.rows[model].pk) in text, (model, term)
            assert page(model, "change", other.rows[model].pk) not in text, (model, term)


@POSTGRES
@pytest.mark.parametrize(
    ("model", "asked"),
    [
        ("redemption", {"q": "a-term"}),
        ("redemption", {"q": "0198f3c0-0000-7000-8000-000000000000"}),
        ("redemption", {"status__exact": "failed"}),
        ("redemption", {"points__exact": "reserved"}),
        ("redemption", {"parked": "yes"}),
        ("redemption", {"test__exact": "1"}),
        ("challenge", {"q": "a-term"}),
        ("challenge", {"status__exact": "rejected"}),
        ("challenge", {"status__exact": "pending"}),
        ("delivery", {"q": "a-term"}),
        ("delivery", {"status__exact": "failed"}),
        ("delivery", {"status__exact": "queued"}),
        ("event", {"q": "0198f3c0-0000-7000-8000-000000000000"}),
        ("event", {"about": "campaign"}),
        ("event", {"about": "device"}),
        ("event", {"actor_kind__exact": "staff"}),
        ("participant", {"q": "a-term"}),
    ],
    ids=str,
)
def test_what_staff_look_for_has_an_index(model: str, asked: dict[str, str], world: World, boss: Client):
    """Told that its tables hold a million rows each, the planner neither reads one nor walks along a primary key."""
    model_admin = next(a for m, a in admin.site._registry.items() if m._meta.label_lower == f"twofa.{model}")
    request = RequestFactory().get("/", asked)
    request.user = boss.get(page(model, "changelist")).wsgi_request.user
    rows = model_admin.get_changelist_instance(request).queryset.order_by().values("pk")

    with connection.cursor() as cursor:
        cursor.execute("SET LOCAL enable_seqscan = off")
        # Of a page: what the file has is multiplied by it. Taken back with the test's transaction.
        cursor.execute(
            "UPDATE pg_class SET reltuples = 1000000, relpages = 1 "
            "WHERE relkind = 'r' AND starts_with(relname, 'twofa_')"
        )
    plan = rows.explain()

    assert f"Seq Scan on twofa_{model}" not in plan
    walked = re.findall(rf"Index (?:Only )?Scan using twofa_{model}_pkey.*\n(?!.*Index Cond)", plan)
    assert walked == [], plan


def test_events_of_rare_subjects_are_of_no_redemption(settings: Any, db: None):
    """The filter says so, because the index does."""
    live_all(settings)

    rare = [event for event in Event.objects.all() if event.type.partition(".")[0] in UNREDEEMED]
    assert len(rare) > 10
    assert [event.type for event in rare if event.redemption_id is not None] == []


@pytest.mark.parametrize(
    ("model", "asked"),
    [
        ("redemption", {"status__exact": "\0"}),
        ("delivery", {"message": "failed\0"}),
        ("event", {"about": "\0"}),
        ("policychange", {"status__exact": "\0"}),
    ],
    ids=lambda value: value if isinstance(value, str) else next(iter(value)),
)
def test_filter_that_no_column_can_be_asked_for_is_left_out(model: str, asked: dict[str, str], boss: Client):
    response = boss.get(page(model, "changelist"), asked)

    assert (response.status_code, response["Location"]) == (302, f"{page(model, 'changelist')}?e=1")
