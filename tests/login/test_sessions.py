"""A session that was verified, and what ends that."""

from __future__ import annotations

import pytest
from django.contrib.auth import get_user_model
from django.test import Client

from tests import factories
from tests.factories import link_of, token_of
from tests.login.people import GUARDED, INSIDE, TOKEN, half
from twofa.flows import denials, devices, holds
from twofa.models import Device

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def inside(browser, person):
    """A browser with a verified session."""
    challenge = half(browser, person)
    browser.post(TOKEN, {"token": token_of(challenge)})
    assert browser.get(INSIDE).status_code == 200
    return browser


def test_session_ends_with_its_device(inside, shop):
    shop.device.delete()

    assert [inside.get(path).status_code for path in GUARDED] == [302, 302]


def test_session_is_verified_no_longer_once_its_owner_said_that_it_was_not_them(inside, shop, person):
    """Whoever has the password and reads the messages is inside; the owner sees a message that they never asked for."""
    denials.deny(*link_of(half(Client(), person)))

    assert Device.objects.get().is_held
    assert [inside.get(path).status_code for path in GUARDED] == [302, 302]
    holds.release(shop.device, by=get_user_model()(), actor=shop.actor, reason="They asked for it after all.")
    assert inside.get(INSIDE).status_code == 302, "what a hold has ended, no release begins again"


def test_session_ends_with_a_reset_by_staff(inside, shop):
    factories.device(shop.participant, "email")
    devices.reset(shop.device, actor=shop.actor, reason="The phone is lost.")

    assert inside.get(INSIDE).status_code == 302
