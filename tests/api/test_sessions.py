"""Sessions of a participant over HTTP: listed without anything that opens, ended one by one or all at once."""

from __future__ import annotations

from datetime import timedelta

import pytest

from tests import factories
from tests.api.client import Api, member, nothing_changes, refused
from tests.factories import access_token, account
from tests.stories import travel
from twofa.models import AccessToken, Event, Storefront

pytestmark = pytest.mark.django_db


@pytest.fixture
def sessions(shop) -> str:
    account(shop.participant)
    return f"{member(shop)}sessions/"


def prefix_of(holder: str | Api) -> str:
    found = AccessToken.prefix_of(str(holder.key if isinstance(holder, Api) else holder))
    assert found is not None
    return found


def test_list_names_what_is_good_and_shows_nothing_that_opens(api, shop, sessions):
    old = access_token(shop)
    travel(timedelta(hours=2))
    tokens = [access_token(shop), access_token(shop)]
    Api(tokens[0]).get(sessions)
    Api(tokens[1]).send("DELETE", f"{sessions}{prefix_of(tokens[1])}/")

    response = api.get(sessions)

    (row,) = response.json()["results"]
    assert row["id"] == prefix_of(tokens[0])
    assert row.keys() == {"id", "created_at", "last_used_at", "expires_at"}
    assert row["last_used_at"] is not None
    for token in (old, *tokens):
        assert token.split("_", 3)[3] not in response.content.decode()


def test_ended_session_opens_nothing_from_the_next_request_on(shop, sessions):
    lost, kept = Api(access_token(shop)), access_token(shop)

    assert lost.get(sessions).status_code == 200
    for _time in range(2):
        ended = Api(kept).send("DELETE", f"{sessions}{prefix_of(lost)}/")
        assert (ended.status_code, ended.content) == (204, b"")

    refused(lost.get(sessions), 401, "not_authenticated")
    assert Api(kept).get(sessions).status_code == 200
    event = Event.objects.get(type="participant.tokens_revoked")
    assert (event.actor_kind, event.data) == ("participant", {"count": 1, "reason": "logged_out"})


def test_logging_out_everywhere_ends_all_by_way_of_this_storefront(api, shop, sessions):
    apps = [Api(access_token(shop)) for _number in range(3)]
    elsewhere = Storefront.objects.create(name="Elsewhere")
    elsewhere.campaigns.add(shop.campaign)
    AccessToken.objects.filter(prefix=prefix_of(apps[2])).update(storefront=elsewhere)

    for _time in range(2):
        assert apps[0].send("DELETE", sessions).status_code in (204, 401)

    refused(apps[0].get(sessions), 401, "not_authenticated")
    refused(apps[1].get(sessions), 401, "not_authenticated")
    assert apps[2].get(sessions).status_code == 200
    assert Event.objects.get(type="participant.tokens_revoked").data == {"count": 2, "reason": "logged_out"}


def test_storefront_ends_them_as_well_and_again(api, sessions, shop):
    access_token(shop)

    assert [api.send("DELETE", sessions).status_code for _time in range(2)] == [204, 204]
    assert api.get(sessions).json()["results"] == []
    assert Event.objects.get(type="participant.tokens_revoked").actor_kind == "storefront"


@pytest.mark.parametrize("wrong", ["0123456789ab", "nope", "0" * 40, "%00"])
def test_unknown_session_is_not_there(api, shop, sessions, wrong):
    access_token(shop)
    with nothing_changes():
        refused(api.send("DELETE", f"{sessions}{wrong}/"), 404, "not_found")


def test_session_of_another_participant_is_not_there(api, shop, sessions):
    other = factories.participant(shop.campaign)
    theirs = access_token(shop, other)
    with nothing_changes():
        refused(api.send("DELETE", f"{sessions}{prefix_of(theirs)}/"), 404, "not_found")
