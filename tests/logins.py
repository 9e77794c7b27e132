"""The two calls of a login, for tests of what comes of them."""

from __future__ import annotations

from typing import Any

import pytest

from tests import factories
from twofa.exceptions import TokenRequired
from twofa.flows import logins
from twofa.flows.logins import Credentials, LoggedIn
from twofa.models import Campaign, Challenge


def log_in(
    shop: factories.Shop, name: str, token: object = None, password: str = factories.PASSWORD, **given: Any
) -> LoggedIn:
    """Log in at the shop's campaign, as it is now."""
    asked: dict[str, Any] = {"storefront": shop.storefront, "actor": shop.actor, **given}
    campaign = Campaign.objects.get(pk=shop.campaign.pk)
    return logins.log_in(campaign, credentials=Credentials(name, password, token), **asked)


def asked_for(shop: factories.Shop, name: str) -> Challenge:
    """The challenge that a right password leads to."""
    with pytest.raises(TokenRequired) as error:
        log_in(shop, name)
    found: Challenge = error.value.params["challenge"]
    return found
