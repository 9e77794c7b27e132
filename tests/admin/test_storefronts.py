from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

import pytest
from django.contrib.admin.models import LogEntry
from django.contrib.sessions.models import Session
from django.test import Client

from tests import factories
from tests.admin.conftest import page
from tests.canary import secret_of
from twofa.exceptions import NotAuthenticated
from twofa.flows import storefronts
from twofa.flows.history import WORKER
from twofa.models import Event, Scope, Storefront, StorefrontKey
from twofa.models.clock import now

KEEPER = ("view_storefront", "view_storefrontkey", "add_storefrontkey", "change_storefrontkey")


@pytest.fixture
def storefront(db: None) -> Storefront:
    return factories.storefront()


def issue(client: Client, storefront: Storefront) -> str:
    """The text of a key, issued by the page."""
    response = client.post(page("storefront", "issue-key", storefront.pk))
    assert response.status_code == 200
    text: str = response.context["text"]
    return text


def test_key_is_shown_once_and_never_again(storefront: Storefront, staff: Callable[..., Client]):
    client = staff(*KEEPER)

    response = client.post(page("storefront", "issue-key", storefront.pk))

    text = response.context["text"]
    assert text in response.content.decode()
    assert "no-store" in response["Cache-Control"]
    assert storefronts.authenticate(text).storefront == storefront
    key = StorefrontKey.objects.get(storefront=storefront)
    for address in (page("storefront", "change", storefront.pk), page("storefrontkey", "change", key.pk), "/admin/"):
        shown = client.get(address, follow=True).content.decode()
        assert text not in shown
        assert secret_of(text) not in shown
    stored = [*LogEntry.objects.values_list("change_message", flat=True)]
    stored += [str(data) for data in Event.objects.values_list("data", flat=True)]
    stored += [str(session.get_decoded()) for session in Session.objects.all()]
    assert not any(secret_of(text) in kept for kept in stored)


def test_issuing_is_an_event_with_a_name(storefront: Storefront, staff: Callable[..., Client]):
    issue(staff(*KEEPER), storefront)

    event = Event.objects.get(storefront=storefront, type="storefront.key_issued")
    assert (event.actor_kind, event.actor) == ("staff", "maria")


def test_page_before_issuing_issues_nothing(storefront: Storefront, boss: Client):
    assert boss.get(page("storefront", "issue-key", storefront.pk)).status_code == 200

    assert not StorefrontKey.objects.exists()


def test_third_live_key_is_refused(storefront: Storefront, boss: Client):
    issue(boss, storefront)
    issue(boss, storefront)

    shown = boss.get(page("storefront", "change", storefront.pk)).content.decode()
    response = boss.post(page("storefront", "issue-key", storefront.pk), follow=True)

    assert page("storefront", "issue-key", storefront.pk) not in shown
    assert "Two keys are live already" in response.content.decode()
    assert StorefrontKey.objects.count() == 2


def test_rotation_issues_then_revokes(storefront: Storefront, staff: Callable[..., Client]):
    client = staff(*KEEPER)
    old = issue(client, storefront)
    new = issue(client, storefront)
    key = StorefrontKey.objects.get(prefix=StorefrontKey.prefix_of(old))

    asked = client.get(page("storefrontkey", "revoke", key.pk))
    assert asked.status_code == 200
    assert storefronts.authenticate(old).storefront == storefront
    done = client.post(page("storefrontkey", "revoke", key.pk))

    assert done.status_code == 302
    assert storefronts.authenticate(new).storefront == storefront
    with pytest.raises(NotAuthenticated):
        storefronts.authenticate(old)
    event = Event.objects.get(storefront=storefront, type="storefront.key_revoked")
    assert (event.actor, event.data) == ("maria", {"prefix": key.prefix})


def test_keys_page_tells_state_and_last_use(storefront: Storefront, boss: Client):
    text = issue(boss, storefront)
    storefronts.authenticate(text)
    expired, _text = storefronts.issue_key(storefront, actor=WORKER, expires_at=now() - timedelta(days=1))
    revoked, _text = storefronts.issue_key(storefront, actor=WORKER)
    storefronts.revoke_key(revoked, actor=WORKER)

    section, _endpoints = boss.get(page("storefront", "change", storefront.pk)).context["sections"]

    states = {str(line[0].text): str(line[1].text) for line in section.rows}
    assert states[str(expired)] == "expired"
    assert states[str(revoked)] == "revoked"
    live = next(line for line in section.rows if str(line[1].text) == "live")
    assert live[4].text != "—"


@pytest.mark.parametrize("lacking", ["add_storefrontkey", "view_storefront"])
def test_without_the_permission_no_key_is_issued(lacking: str, storefront: Storefront, staff: Callable[..., Client]):
    client = staff(*(set(KEEPER) - {lacking}))

    assert client.get(page("storefront", "issue-key", storefront.pk)).status_code == 403
    assert client.post(page("storefront", "issue-key", storefront.pk)).status_code == 403
    assert not StorefrontKey.objects.exists()


def test_without_the_permission_no_key_is_revoked(storefront: Storefront, staff: Callable[..., Client]):
    key, text = storefronts.issue_key(storefront, actor=WORKER)

    assert staff("view_storefrontkey").post(page("storefrontkey", "revoke", key.pk)).status_code == 403
    assert storefronts.authenticate(text).storefront == storefront


def test_form_sent_from_another_site_issues_nothing(storefront: Storefront, boss: Client):
    strict = Client(enforce_csrf_checks=True)
    strict.cookies = boss.cookies

    assert strict.post(page("storefront", "issue-key", storefront.pk)).status_code == 403
    assert not StorefrontKey.objects.exists()


def test_storefront_is_opened_with_its_campaigns(boss: Client):
    campaign = factories.campaign()

    response = boss.post(page("storefront", "add"), {"name": "Shop", "campaigns": [campaign.pk]})

    assert response.status_code == 302
    storefront = Storefront.objects.get(name="Shop")
    assert list(storefront.campaigns.all()) == [campaign]
    assert Event.objects.get(storefront=storefront, type="storefront.opened").actor == "boss"


def test_saved_storefront_is_an_event_with_before_and_after(boss: Client):
    first, second = factories.campaign(), factories.campaign()
    storefront = factories.storefront(first)

    response = boss.post(page("storefront", "change", storefront.pk), {"name": "Renamed", "campaigns": [second.pk]})

    assert response.status_code == 302
    storefront.refresh_from_db()
    assert (storefront.name, storefront.is_active, list(storefront.campaigns.all())) == ("Renamed", False, [second])
    event = Event.objects.get(storefront=storefront, type="storefront.changed")
    assert event.actor == "boss"
    assert event.data["after"] == {"name": "Renamed", "is_active": False, "campaigns": [second.slug]}
    assert event.data["before"]["campaigns"] == [first.slug]


def test_saved_without_a_change_is_no_event(boss: Client):
    storefront = factories.storefront()

    boss.post(page("storefront", "change", storefront.pk), {"name": storefront.name, "is_active": "on"})

    assert not Event.objects.filter(storefront=storefront).exists()


def test_form_sent_twice_issues_one_key(storefront: Storefront, staff: Callable[..., Client]):
    """The browser shows the second answer only: the first key's text would be lost, and the key alive."""
    client = staff(*KEEPER)
    form = {"newest": client.get(page("storefront", "issue-key", storefront.pk)).context["form"]["newest"].value()}

    first = client.post(page("storefront", "issue-key", storefront.pk), form)
    second = client.post(page("storefront", "issue-key", storefront.pk), form, follow=True)

    assert storefronts.authenticate(first.context["text"]).storefront == storefront
    assert "A key was issued a moment ago" in second.content.decode()
    assert StorefrontKey.objects.count() == 1


def test_key_is_issued_for_the_scopes_that_were_chosen_and_its_pages_tell_them(
    storefront: Storefront, staff: Callable[..., Client]
):
    client = staff(*KEEPER)

    asked = client.get(page("storefront", "issue-key", storefront.pk)).content.decode()
    response = client.post(page("storefront", "issue-key", storefront.pk), {"scopes": ["challenges", "checkout"]})

    assert all(str(label) in asked for label in Scope.labels)
    assert storefronts.authenticate(response.context["text"]).scopes == {"checkout", "challenges"}
    key = StorefrontKey.objects.get()
    assert key.scopes == ["checkout", "challenges"]
    for address in (page("storefront", "change", storefront.pk), page("storefrontkey", "change", key.pk)):
        shown = client.get(address).content.decode()
        assert str(Scope.CHECKOUT.label) in shown
        assert str(Scope.ONBOARDING.label) not in shown
    assert str(Scope.CHECKOUT.label) in response.content.decode()
    event = Event.objects.get(type="storefront.key_issued")
    assert event.data == {"prefix": key.prefix, "scopes": ["checkout", "challenges"]}


def test_key_without_a_choice_opens_all_and_says_so(storefront: Storefront, boss: Client):
    issue(boss, storefront)

    section, _endpoints = boss.get(page("storefront", "change", storefront.pk)).context["sections"]

    assert [str(line[2].text) for line in section.rows] == ["all"]


def test_scope_that_is_not_there_issues_no_key(storefront: Storefront, boss: Client):
    response = boss.post(page("storefront", "issue-key", storefront.pk), {"scopes": ["everything"]})

    assert response.context["form"].errors
    assert not StorefrontKey.objects.exists()
