"""The pages on which staff link applications."""

from __future__ import annotations

import pytest
from django.contrib.auth.models import Permission, User
from django.test import Client
from django.urls import reverse

from tests.oauth2.clients import linked, register
from tests.stories import STAFF
from twofa.contrib.oauth2.models import StorefrontApplication
from twofa.flows import roles
from twofa.models import Event, Scope

pytestmark = pytest.mark.django_db


def page(name: str, *args: object) -> str:
    return reverse(f"admin:twofa_oauth2_storefrontapplication_{name}", args=args)


def staff(*codenames: str) -> Client:
    """The browser of a member of staff with these permissions on links, and on what they name."""
    user = User.objects.create_user("maria", is_staff=True)
    named = ["view_storefront", "view_application", *(f"{name}_storefrontapplication" for name in codenames)]
    user.user_permissions.set(Permission.objects.filter(codename__in=named))
    client = Client()
    client.force_login(user)
    return client


def test_application_is_linked_by_the_form_with_an_event_that_names_who(shop):
    client, application = staff("add", "view"), register()
    person = register(authorization_grant_type="authorization-code")

    form = client.get(page("add")).content.decode()
    response = client.post(
        page("add"), {"application": application.pk, "storefront": shop.storefront.pk, "scopes": ["checkout"]}
    )

    assert response.status_code == 302, response.content
    assert application.name in form
    assert person.name not in form, "an application that may not be linked is not offered"
    assert all(str(label) in form for label in Scope.labels)
    row = StorefrontApplication.objects.get()
    assert (row.application, row.storefront, row.scopes) == (application, shop.storefront, ["checkout"])
    event = Event.objects.get(type="storefront.application_linked")
    assert (event.actor_kind, event.actor) == ("staff", "maria")


@pytest.mark.parametrize("columns", [{"authorization_grant_type": "authorization-code"}, {"client_type": "public"}])
def test_forged_form_links_no_application_that_is_not_offered(shop, columns):
    given = {"application": register(**columns).pk, "storefront": shop.storefront.pk}

    response = staff("add", "view").post(page("add"), given)

    assert response.context["adminform"].form.errors
    assert not StorefrontApplication.objects.exists()
    assert not Event.objects.filter(type="storefront.application_linked").exists()


def test_pages_tell_who_calls_as_whom_and_for_what(shop):
    client, application = staff("view"), linked(shop, "checkout")
    row = StorefrontApplication.objects.get()

    for address in (page("changelist"), page("change", row.pk)):
        shown = client.get(address).content.decode()
        assert application.name in shown
        assert shop.storefront.name in shown
        assert str(Scope.CHECKOUT.label) in shown
        assert str(Scope.ONBOARDING.label) not in shown
    assert client.get(page("history", row.pk)).status_code == 200
    assert client.get(page("changelist"), {"q": application.client_id}).context["cl"].result_count == 1


def test_application_is_unlinked_after_a_question(shop):
    linked(shop)
    row = StorefrontApplication.objects.get()
    client = staff("view", "delete")

    asked = client.get(page("unlink", row.pk))
    assert asked.status_code == 200
    assert StorefrontApplication.objects.exists()
    done = client.post(page("unlink", row.pk), follow=True)

    assert "The application was unlinked." in done.content.decode()
    assert not StorefrontApplication.objects.exists()
    assert Event.objects.get(type="storefront.application_unlinked").actor == "maria"


@pytest.mark.parametrize("permissions", [(), ("view",), ("view", "change")], ids=str)
def test_without_the_permission_nothing_is_linked_or_unlinked(shop, permissions):
    linked(shop)
    row, other = StorefrontApplication.objects.get(), register()
    client = staff(*permissions)

    answers = [
        client.post(page("add"), {"application": other.pk, "storefront": shop.storefront.pk}),
        client.post(page("unlink", row.pk)),
        client.post(page("change", row.pk), {"scopes": []}),
        client.post(page("delete", row.pk), {"post": "yes"}),
    ]

    assert [answer.status_code for answer in answers] == [403] * 4
    assert StorefrontApplication.objects.get() == row
    assert Event.objects.filter(type__contains="application").count() == 1


def test_auditor_sees_which_application_calls_as_whom_and_no_role_links_one():
    roles.restore(actor=STAFF)

    held = Permission.objects.filter(content_type__app_label="twofa_oauth2", group__name__in=roles.ROLES)

    assert list(held.values_list("group__name", "codename")) == [("Auditor", "view_storefrontapplication")]
    assert roles.differences() == []
