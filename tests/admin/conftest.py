from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth.models import Permission, User
from django.test import Client
from django.urls import reverse

from tests import factories, papers
from tests.admin.proposals import propose
from tests.fulfillment import RecordingBackend
from twofa import correlation
from twofa.flows import deliveries, storefronts
from twofa.flows.history import WORKER
from twofa.models import (
    Challenge,
    Delivery,
    Event,
    IdentityDocument,
    PolicyChange,
    PrefixPause,
    Redemption,
    SafeNumber,
    StorefrontKey,
)

PASSWORD = "a password of the tests"


@dataclass
class World:
    """One row of each kind, with an open challenge whose message was sent, and all that must not be shown of them."""

    shop: factories.Shop
    redemption: Redemption
    challenge: Challenge
    delivery: Delivery
    key: StorefrontKey
    secrets: dict[str, bytes]
    proposal: PolicyChange
    document: IdentityDocument
    pause: PrefixPause
    safe_number: SafeNumber

    @property
    def rows(self) -> dict[str, Any]:
        """One row of each model with a page."""
        return {
            "campaign": self.shop.campaign,
            "storefront": self.shop.storefront,
            "storefrontkey": self.key,
            "participant": self.shop.participant,
            "device": self.shop.device,
            "redemption": self.redemption,
            "challenge": self.challenge,
            "delivery": self.delivery,
            "event": Event.objects.filter(redemption=self.redemption).first(),
            "policychange": self.proposal,
            "identitydocument": self.document,
            "prefixpause": self.pause,
            "safenumber": self.safe_number,
        }


def make_world(**policy: Any) -> World:
    with correlation.bound(correlation.accept(None)):
        return _world(**policy)


def _world(**policy: Any) -> World:
    RecordingBackend.reset()
    shop = factories.Shop(**policy)
    redemption = shop.open(items=[{"sku": "H-1", "name": "Headphones", "quantity": 1, "amount": "150.00"}])
    delivery = Delivery.objects.get(challenge__redemption=redemption)
    deliveries.deliver(delivery.pk)
    challenge = Challenge.objects.get(redemption=redemption)
    key, text = storefronts.issue_key(shop.storefront, actor=WORKER)
    secrets = {
        "token": challenge.derive_token().encode(),
        "seed": bytes(challenge.seed or b""),
        "digest": bytes(challenge.transaction_digest),
        "address": shop.device.address.encode(),
        "key": text.encode(),
        "key's secret": text.partition("_")[2].partition("_")[2].encode(),
        "key's hash": bytes(key.hashed_key),
    }
    return World(
        shop,
        redemption,
        challenge,
        Delivery.objects.get(pk=delivery.pk),
        key,
        secrets,
        propose(shop.campaign),
        papers.kept(shop.participant),
        factories.prefix_pause(),
        factories.safe_number(),
    )


@pytest.fixture(autouse=True)
def document_storage(documents_folder: Path) -> Path:
    """A place for documents: the world has one."""
    return documents_folder


@pytest.fixture
def world(db: None) -> World:
    return make_world()


@pytest.fixture
def staff(db: None) -> Callable[..., Client]:
    """`staff("view_campaign", ...)`: a browser in which a member of staff with these permissions is signed in."""

    def sign_in(*codenames: str, name: str = "maria", superuser: bool = False) -> Client:
        user = User.objects.create_user(name, password=PASSWORD, is_staff=True, is_superuser=superuser)
        permissions = Permission.objects.filter(content_type__app_label="twofa", codename__in=codenames)
        assert permissions.count() == len(codenames)
        user.user_permissions.set(permissions)
        client = Client()
        client.force_login(user)
        return client

    return sign_in


@pytest.fixture
def boss(staff: Callable[..., Client]) -> Client:
    """A superuser's browser."""
    return staff(name="boss", superuser=True)


def page(model: str, name: str, *args: object) -> str:
    """The address of a page of the admin."""
    return reverse(f"admin:twofa_{model}_{name}", args=args)
