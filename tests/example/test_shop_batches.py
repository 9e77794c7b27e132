"""Several products at once: one token, a line for each, and everything that can come between."""

from __future__ import annotations

from decimal import Decimal

import pytest

from example_project.loyalty import ledger
from tests.example.shopping import Shopper, World, latest_token, orders, wrong
from tests.stories import unchanged
from twofa.channels.memory import outbox
from twofa.models import Redemption, RedemptionBatch

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def basket(world: World, ana: Shopper) -> Shopper:
    """Ana, with a phone, at the page of several."""
    world.phone()
    ana.get("/several/")
    return ana


def choose(shopper: Shopper, **quantities: str) -> str:
    return shopper.send("/several/", **{f"quantity-{slug}": text for slug, text in quantities.items()})


def test_one_token_confirms_all_and_each_line_says_how_it_stands(basket: Shopper, world: World):
    choose(basket, mug="2", kettle="1")
    assert "2 × Stoneware mug" in basket.page
    assert "2 lines, 7,499\xa0points" in basket.page
    assert basket.page.count("Waits for your token") == 2
    digest = RedemptionBatch.objects.get().challenge.short_digest
    token = latest_token()
    assert digest in basket.page
    assert digest in outbox[-1].text

    basket.type(token)

    assert "All of it is yours" in basket.page
    assert basket.page.count("state-completed") == 2
    assert "Begin again" not in basket.page
    assert orders() == [("completed", "completed")] * 2
    assert ledger.balances(world.ana).available == Decimal("42501.00")
    assert [row.items[0]["quantity"] for row in Redemption.objects.order_by("amount")] == [2, 1]


def test_form_sent_twice_is_one_batch(basket: Shopper):
    sent = basket.fields("/several/") | {"quantity-mug": "1", "quantity-plant": "1"}

    basket.post("/several/", sent)
    first = basket.path
    basket.post("/several/", sent)

    assert basket.path == first
    assert RedemptionBatch.objects.count() == 1


@pytest.mark.parametrize("typed", [{}, {"mug": "0"}, {"mug": "-1"}, {"mug": "many"}, {"mug": "²"}, {"nothing": "3"}])
def test_nothing_chosen_orders_nothing(basket: Shopper, typed: dict[str, str]):
    with unchanged():
        choose(basket, **typed)

    assert "Nothing was chosen" in basket.page


def test_too_many_points_are_refused_as_a_whole_and_the_choice_stays(basket: Shopper, world: World):
    choose(basket, bicycle="1", kettle="1")

    assert "You do not have that many points" in basket.page
    assert basket.path == "/several/"
    assert basket.fields("/several/")["quantity-bicycle"] == "1"
    assert (orders(), len(outbox)) == ([], 0)
    assert ledger.balances(world.ana) == ledger.Balances(Decimal("50000.00"), Decimal("0.00"))


def test_member_without_a_phone_is_led_to_one(world: World, ana: Shopper):
    ana.get("/several/")

    choose(ana, mug="1")

    assert ana.path == "/contacts/"
    assert "First we need a way to reach you" in ana.page


def test_wrong_token_costs_an_attempt_and_cancelling_gives_all_back(basket: Shopper, world: World):
    choose(basket, mug="1", plant="1")
    basket.type(wrong(latest_token()))
    assert "You have 4 more attempts." in basket.page
    assert 'aria-invalid="true"' in basket.page

    basket.send(f"{basket.path}cancel/")

    assert "The order is cancelled" in basket.page
    assert "Begin again" in basket.page
    assert orders() == [("cancelled", "released")] * 2
    assert ledger.balances(world.ana).available == Decimal("50000.00")


def test_line_leads_to_what_was_ordered_with_it(basket: Shopper):
    choose(basket, mug="1", plant="1")
    path, line = basket.path, Redemption.objects.first()
    assert line is not None
    assert basket.get("/orders/").count(f'href="{path}"') == 2

    basket.get(f"/orders/{line.pk}/")
    assert basket.path == path, "a line is confirmed with its batch"

    basket.type(latest_token())
    basket.get(f"/orders/{line.pk}/")
    assert "It is yours" in basket.page
    assert f'href="{path}"' in basket.page


def test_batch_of_another_member_is_not_there(basket: Shopper):
    choose(basket, mug="1", plant="1")
    path = basket.path
    fields = basket.fields(f"{path}confirm/") | {"token": latest_token()}
    bruno = Shopper().sign_in("summer:bruno")
    bruno.get("/contacts/")
    own = fields | {
        "member": "summer:bruno",
        "csrfmiddlewaretoken": bruno.fields("/contacts/")["csrfmiddlewaretoken"],
    }

    with unchanged():
        for step in ("confirm", "resend", "cancel"):
            bruno.post(f"{path}{step}/", own)
            assert bruno.status == 404
        assert "Stoneware" not in bruno.get(path)
    assert orders() == [("pending_2fa_approval", "reserved")] * 2


def test_director_approves_several_of_the_buyer_together(world: World):
    world.found_company()
    lucas, marta = Shopper().sign_in("company:lucas"), Shopper().sign_in("company:marta")
    lucas.get("/several/")
    choose(lucas, headphones="1", lamp="2")
    assert "Marta Reis is asked to approve" in lucas.page

    assert marta.get("/approvals/").count(f'href="{lucas.path}"') == 1, "one batch, not its lines"
    marta.get(lucas.path)
    marta.type(latest_token())

    assert "You approved all of it" in marta.page
    assert orders() == [("completed", "completed")] * 2
