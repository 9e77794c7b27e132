"""A page costs as many statements with thirty rows as with one: nothing on it asks once for each."""

from __future__ import annotations

from datetime import timedelta

from django.contrib import admin
from django.test import Client

from tests import factories
from tests.admin.conftest import World, make_world, page
from tests.statements import record_statements
from tests.stories import travel
from twofa.flows import storefronts
from twofa.flows.history import WORKER
from twofa.models import Campaign, Delivery, Event, StorefrontKey

ROWS = 30
MOST = 14  # of a participant, with apps, recovery codes and each kind of device that the host has
"""Of any page; two of them are the session and its user."""


def costs(client: Client, addresses: dict[str, str]) -> dict[str, int]:
    """The statements of each page, once what is kept between requests is there."""
    found = {}
    for name, address in addresses.items():
        client.get(address)
        with record_statements() as statements:
            assert client.get(address).status_code == 200, address
        found[name] = len(statements)
    return found


def lists() -> dict[str, str]:
    names = [str(model._meta.model_name) for model in admin.site._registry if model._meta.app_label == "twofa"]
    return {name: page(name, "changelist") for name in names}


def pages(world: World) -> dict[str, str]:
    rows = world.rows.items()
    return {f"{model} {name}": page(model, name, row.pk) for model, row in rows for name in ("change", "history")}


def crowd(world: World) -> None:
    """Let thirty of everything hang on each row of the world."""
    shop, challenge = world.shop, world.challenge
    for _number in range(ROWS):
        shop.open()
        factories.device(shop.participant, channel="email")
        key, _text = storefronts.issue_key(shop.storefront, actor=WORKER)
        StorefrontKey.objects.filter(pk=key.pk).update(revoked_at=key.created_at)
    about = {
        "redemption": world.redemption,
        "challenge": challenge,
        "participant": shop.participant,
        "device": shop.device,
        "campaign": shop.campaign,
        "delivery": world.delivery,
        "created_at": challenge.created_at,
        "actor_kind": "worker",
    }
    types = ("challenge.attempt_failed", "delivery.sent", "campaign.policy_changed", "device.revoked")
    Event.objects.bulk_create([Event(type=type_, **about) for type_ in types for _number in range(ROWS)])
    copy = {name: getattr(world.delivery, name) for name in ("event", "channel", "address", "destination", "due_at")}
    copy |= {"campaign_id": shop.campaign.pk, "participant_id": shop.participant.pk, "status": "superseded"}
    Delivery.objects.bulk_create(
        [
            Delivery(challenge=challenge, generation=number, created_at=challenge.created_at, **copy)
            for number in range(2, ROWS + 2)
        ]
    )


def test_list_costs_the_same_with_one_row_and_with_thirty(boss: Client):
    make_world()
    travel(timedelta(minutes=1))
    short = costs(boss, lists())
    for _number in range(ROWS - 1):
        make_world()

    long = costs(boss, lists())

    assert Campaign.objects.count() == ROWS
    assert long == short
    assert max(short.values()) <= MOST


def test_page_of_a_row_costs_the_same_however_much_hangs_on_it(boss: Client):
    world = make_world(max_open_challenges=2 * ROWS)
    short = costs(boss, pages(world))
    crowd(world)

    long = costs(boss, pages(world))

    assert Event.objects.filter(redemption=world.redemption).count() > 4 * ROWS
    assert long == short
    assert max(short.values()) <= MOST
