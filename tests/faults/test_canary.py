"""I8: the token's text exists in the worker's memory and in the provider's call, and nowhere else."""

from __future__ import annotations

import logging
from datetime import timedelta
from typing import Any

import pytest
import redis
from django.apps import apps
from django.db import connection

from tests import factories
from tests.canary import disguises, texts_of, watching
from tests.factories import token_of, wrong_token
from tests.stories import cancel, confirm, deliver_due, reject, resend, stored, tamper, travel
from twofa.channels.memory import outbox
from twofa.exceptions import TwoFactorError
from twofa.flows import devices, idempotency, sweeps
from twofa.flows.idempotency import Answer
from twofa.models import Challenge, Delivery

pytestmark = pytest.mark.django_db(transaction=True)


def raw_dump() -> list[str]:
    """Every row of every table of the database, as the database spells it; binary columns as hex."""
    lines = []
    with connection.cursor() as cursor:
        for table in connection.introspection.table_names(cursor):
            cursor.execute(f'SELECT * FROM "{table}"')
            lines += [" ".join(map(spelled, row)) for row in cursor.fetchall()]
    return lines


def spelled(value: Any) -> str:
    return bytes(value).hex() if isinstance(value, memoryview | bytes) else str(value)


def queue_dump(url: str) -> list[str]:
    """Every key of the broker with all it holds."""
    with redis.Redis.from_url(url, decode_responses=True) as client:
        readers = {
            "string": client.get,
            "list": lambda key: client.lrange(key, 0, -1),
            "set": client.smembers,
            "hash": client.hgetall,
            "zset": lambda key: client.zrange(key, 0, -1, withscores=True),
        }
        return [f"{key} {readers[client.type(key)](key)}" for key in client.keys("*")]


def tell(call) -> list[str]:
    """Run it, and return all that a caller, a log or an error report could print of its outcome."""
    try:
        outcome = call()
    except TwoFactorError as error:
        return [str(error), repr(error), repr(error.params), str(error.detail), repr(vars(error))]
    return [repr(outcome), str(outcome)]


def whole_story(shop: factories.Shop) -> list[str]:
    """Everything that happens to tokens: sent, mistyped, renewed, right, rejected, cancelled, expired, of devices."""
    told = []
    redemption = shop.open()
    deliver_due()
    told += tell(lambda: confirm(shop, redemption, wrong_token(redemption.challenge)))
    travel(timedelta(seconds=31))
    old = token_of(redemption.challenge)
    told += tell(lambda: resend(shop, redemption))
    deliver_due()
    told += tell(lambda: confirm(shop, redemption, old))
    right = token_of(redemption.challenge)
    told += tell(lambda: idempotently(shop, redemption, right))
    told += tell(lambda: confirm(shop, redemption, right))
    reject(shop, shop.open(), 5)
    cancelled, tampered, _overdue = shop.open(), shop.open(), shop.open()
    deliver_due()
    told += tell(lambda: cancel(shop, cancelled))
    tamper(tampered, amount="1.00")
    told += tell(lambda: confirm(shop, tampered, token_of(tampered.challenge)))
    registration = devices.register(
        shop.participant, storefront=shop.storefront, channel="email", address="bea@example.com", actor=shop.actor
    )
    deliver_due()
    authorization = token_of(registration.authorization)
    told += tell(
        lambda: devices.authorize(
            registration.device, storefront=shop.storefront, token=authorization, actor=shop.actor
        )
    )
    deliver_due()
    own = outbox.to("bea@example.com")[-1].token
    told += tell(lambda: devices.verify(registration.device, storefront=shop.storefront, token=own, actor=shop.actor))
    travel(timedelta(hours=1))
    told += tell(sweeps.sweep)
    shop.open()  # and one that is alive when the dump is taken
    deliver_due()
    return told


def idempotently(shop, redemption, token: str):
    """As the API does it: the body, token and all, is fingerprinted."""
    return idempotency.run(
        lambda: Answer(200, str(confirm(shop, redemption, token).pk), "application/json", stored=True),
        storefront=shop.storefront,
        path=f"/redemptions/{redemption.pk}/confirm/",
        key="k-1",
        body={"token": token},
    )


def test_no_token_is_anywhere_after_a_whole_story(broker_url, caplog, monkeypatch):
    caplog.set_level(logging.DEBUG)
    shop = factories.Shop(max_open_challenges=99)
    with watching(monkeypatch) as canary:
        told = whole_story(shop)
    assert len(canary.tokens) >= 9
    assert {message.token for message in outbox if message.token} <= canary.tokens
    assert canary.found_in(raw_dump()) == [], "database"
    assert canary.found_in([str(stored())]) == [], "rows as Python sees them"
    assert canary.found_in(queue_dump(broker_url)) == [], "broker"
    assert canary.found_in(texts_of(caplog.records)) == [], "log"
    assert canary.found_in(told) == [], "answers and errors"
    assert canary.found_in(reprs()) == [], "repr"


def reprs() -> list[str]:
    rows = [row for model in apps.get_app_config("twofa").get_models() for row in model._base_manager.all()]
    return [f"{row!r} {row}" for row in rows] + [repr(message) for message in outbox] + [repr(outbox)]


def test_broker_held_ids_alone(broker_url, shop):
    shop.open()
    (line,) = [line for line in queue_dump(broker_url) if line.startswith("celery ")]
    assert shop.device.address not in line
    assert shop.participant.external_id not in line
    assert str(Delivery.objects.get().pk) in line


def test_seeds_of_what_has_ended_are_gone(shop):
    """An old backup with a stolen key still opens nothing that has ended before it was taken."""
    redemption = shop.open()
    seed = bytes(Challenge.objects.get().seed).hex()
    assert any(seed in line for line in raw_dump())
    confirm(shop, redemption, token_of(redemption.challenge))
    assert not any(seed in line for line in raw_dump())


@pytest.mark.parametrize("where", ["log", "database"])
def test_watch_itself_finds_what_is_leaked(where, shop, caplog, monkeypatch):
    """Of each disguise: a scan that finds nothing anywhere proves nothing."""
    with watching(monkeypatch) as canary:
        token = token_of(shop.open().challenge)
    for disguise in disguises(token):
        if where == "log":
            caplog.clear()
            logging.getLogger("leaky").warning("it is %s", disguise)
            assert canary.found_in(texts_of(caplog.records))
        else:
            type(shop.campaign).objects.filter(pk=shop.campaign.pk).update(name=disguise)
            assert canary.found_in(raw_dump())
