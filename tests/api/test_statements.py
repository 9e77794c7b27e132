"""What requests cost in SQL statements: ours, besides transaction control (issue 2, "Shows")."""

from __future__ import annotations

import pytest

from tests import factories
from tests.api.client import checkouts, member, order
from tests.factories import token_of
from tests.forms import picture, submit
from tests.papers import decide, submitted
from twofa.models import Challenge


@pytest.fixture
def ready(api, shop):
    """The key was used within the minute, as in any but the first request of a minute."""
    api.get("/campaigns/")
    return api


def test_checkout_costs_at_most_ten(ready, shop, sql):
    body = order(shop)
    with sql() as statements:
        response = ready.post(checkouts(shop), body)

    assert response.status_code == 201
    assert len(statements) <= 10, str(statements)


def test_right_confirm_costs_at_most_ten(ready, shop, sql):
    pk = ready.post(checkouts(shop), order(shop)).json()["id"]
    token = factories.token_of(Challenge.objects.get())
    with sql() as statements:
        response = ready.post(f"/redemptions/{pk}/confirm/", {"token": token})

    assert response.json()["status"] == "completed"
    assert len(statements) <= 10, str(statements)


def test_wrong_confirm_costs_at_most_seven(ready, shop, sql):
    pk = ready.post(checkouts(shop), order(shop)).json()["id"]
    token = factories.wrong_token(Challenge.objects.get())
    with sql() as statements:
        response = ready.post(f"/redemptions/{pk}/confirm/", {"token": token})

    assert response.status_code == 422
    assert len(statements) <= 7, str(statements)


def test_reading_a_redemption_costs_two(ready, shop, sql):
    pk = ready.post(checkouts(shop), order(shop)).json()["id"]
    with sql() as statements:
        ready.get(f"/redemptions/{pk}/")

    assert len(statements) == 2, str(statements)


def test_idempotency_key_costs_four_more(ready, shop, sql):
    with sql() as bare:
        ready.post(checkouts(shop), order(shop))
    with sql() as keyed:
        ready.post(checkouts(shop), order(shop), idempotency_key="k")

    assert len(keyed) - len(bare) <= 4, str(keyed)


# --- challenges that stand alone --------------------------------------------------------------------------------------


def test_opening_a_challenge_costs_at_most_ten(ready, shop, sql):
    with sql() as statements:
        response = ready.post(f"{member(shop)}challenges/", {"purpose": "login"})

    assert response.status_code == 201
    assert len(statements) <= 10, str(statements)


def test_verifying_a_challenge_costs_at_most_ten(ready, shop, sql):
    pk = ready.post(f"{member(shop)}challenges/", {"purpose": "login"}).json()["id"]
    token = factories.token_of(Challenge.objects.get())
    with sql() as statements:
        response = ready.post(f"/challenges/{pk}/verify/", {"token": token})

    assert response.json()["status"] == "approved"
    assert len(statements) <= 10, str(statements)


def test_wrong_confirm_of_a_device_that_failed_before_costs_as_much(ready, shop, sql):
    pk = ready.post(checkouts(shop), order(shop)).json()["id"]
    ready.post(f"/redemptions/{pk}/confirm/", {"token": factories.wrong_token(Challenge.objects.get())})
    token = factories.token_of(Challenge.objects.get())
    with sql() as statements:
        ready.post(f"/redemptions/{pk}/confirm/", {"token": token})

    assert len(statements) <= 10, str(statements)


# --- documents --------------------------------------------------------------------------------------------------------


@pytest.fixture
def demanding(ready, shop, documents_folder):
    """A participant with three documents, in a campaign that demands an identity."""
    shop.campaign.identity_required = True
    shop.campaign.required_documents = ["cnh:front", "cnh:back", "selfie"]
    shop.campaign.save()
    for kind, side in (("cnh", "front"), ("cnh", "back"), ("selfie", "single")):
        decide(submitted(shop.participant, kind, side, colour=f"#{len(kind + side):06x}"), approve=True)
    return ready


def test_sending_a_document_costs_at_most_twenty_five(demanding, shop, sql):
    with sql() as statements:
        response = submit(demanding, member(shop), kind="rg", file=picture())

    assert response.status_code == 201
    assert len(statements) <= 25, str(statements)


def test_checklist_costs_the_same_for_any_number_of_documents(demanding, shop, sql):
    with sql() as few:
        demanding.get(f"{member(shop)}onboarding/")
    for kind in ("rg", "cpf", "passport"):
        submitted(shop.participant, kind, colour=f"#0000{len(kind):02x}")
    with sql() as many:
        demanding.get(f"{member(shop)}onboarding/")

    assert len(many) == len(few) <= 7, str(many)


def test_list_of_documents_costs_four(demanding, shop, sql):
    with sql() as statements:
        demanding.get(f"{member(shop)}documents/")

    assert len(statements) <= 4, str(statements)


def test_identity_costs_one_statement_at_checkout_and_one_at_confirm(demanding, shop, sql):
    with sql() as statements:
        body = demanding.post(checkouts(shop), order(shop)).json()
    assert len(statements) <= 10, str(statements)
    token = token_of(Challenge.objects.get(pk=body["two_factor"]["challenge"]["id"]))
    with sql() as statements:
        demanding.post(f"/redemptions/{body['id']}/confirm/", {"token": token})
    assert len(statements) <= 10, str(statements)
