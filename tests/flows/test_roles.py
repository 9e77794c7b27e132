from __future__ import annotations

from pathlib import Path

import pytest
from django.apps import apps
from django.contrib.auth.models import Group, Permission, User

from tests.stories import STAFF
from twofa.exceptions import PolicyRefused
from twofa.flows import roles
from twofa.models import Event

pytestmark = pytest.mark.django_db

HOWTO = Path(__file__).parents[2] / "docs" / "howto" / "give-staff-their-roles.md"
NOT_GIVEN = {"view_contacts", "switch_off_two_factor"}


def held(name: str) -> set[str]:
    return set(Group.objects.get(name=name).permissions.values_list("codename", flat=True))


def permission(codename: str) -> Permission:
    return Permission.objects.get(codename=codename)


def test_first_run_makes_each_group_with_exactly_its_permissions():
    done = roles.restore(actor=STAFF)

    assert {found.role for found in done} == set(roles.ROLES)
    assert all(found.is_new and not found.surplus for found in done)
    assert {name: held(name) for name in roles.ROLES} == roles.ROLES


def test_second_run_changes_nothing():
    roles.restore(actor=STAFF)
    events = Event.objects.count()

    assert roles.restore(actor=STAFF) == []
    assert Event.objects.count() == events


def test_changed_group_is_restored_and_nobody_else_is_touched():
    roles.restore(actor=STAFF)
    own = Group.objects.create(name="Night shift")
    own.permissions.add(permission("view_contacts"))
    maria = User.objects.create_user("maria")
    maria.groups.add(own, Group.objects.get(name="Support"))
    maria.user_permissions.add(permission("view_event"))
    support = Group.objects.get(name="Support")
    support.permissions.add(permission("view_contacts"), permission("add_user"))
    support.permissions.remove(permission("reset_device"))

    (found,) = roles.restore(actor=STAFF)

    assert found == roles.Difference("Support", False, ("reset_device",), ("auth.add_user", "view_contacts"))
    assert held("Support") == roles.ROLES["Support"]
    assert held("Night shift") == {"view_contacts"}
    assert set(maria.groups.values_list("name", flat=True)) == {"Night shift", "Support"}
    assert [row.codename for row in maria.user_permissions.all()] == ["view_event"]


def test_each_change_is_an_event_with_who_and_what():
    roles.restore(actor=STAFF)
    Group.objects.get(name="Auditor").permissions.add(permission("change_policy"))
    roles.restore(actor=STAFF)

    last = Event.objects.order_by("pk").last()
    assert (last.type, last.actor) == ("role.changed", "maria")
    assert last.data == {"role": "Auditor", "added": [], "removed": ["change_policy"]}


def test_differences_write_nothing():
    assert len(roles.differences()) == 4
    assert not Group.objects.exists()
    assert not Event.objects.exists()


def test_group_of_the_host_is_not_taken_over():
    """Its members would hold permissions that nobody meant for them."""
    own = Group.objects.create(name="Support")
    own.permissions.add(permission("view_user"))

    with pytest.raises(PolicyRefused, match="policy_refused"):
        roles.restore(actor=STAFF)

    assert held("Support") == {"view_user"}
    assert list(Group.objects.values_list("name", flat=True)) == ["Support"]
    assert not Event.objects.exists()


def test_group_of_the_host_is_taken_over_where_it_is_named():
    Group.objects.create(name="Support").permissions.add(permission("view_user"))

    roles.restore(actor=STAFF, adopt=["Support"])

    assert held("Support") == roles.ROLES["Support"]
    roles.restore(actor=STAFF)


def test_permission_that_does_not_exist_yet_is_told_and_nothing_is_made():
    permission("cancel_redemption").delete()

    with pytest.raises(PolicyRefused) as refused:
        roles.restore(actor=STAFF)

    assert "cancel_redemption" in str(refused.value.detail)
    assert not Group.objects.exists()


def test_nobody_who_may_loosen_a_policy_may_call_the_api():
    """Two-factor off and a key of one's own is a theft that one person can do alone."""
    for name, given in roles.ROLES.items():
        assert not ("change_policy" in given and any("storefront" in codename for codename in given)), name


def test_roles_without_an_action_only_look():
    assert all(codename.startswith(("view_", "export_")) for codename in roles.ROLES[roles.AUDITOR])
    assert not any(NOT_GIVEN & given for given in roles.ROLES.values())


def test_only_reviewers_see_pictures_and_that_is_all_they_do():
    picture = "review_identitydocument"

    assert [role for role, given in roles.ROLES.items() if picture in given] == [roles.REVIEWER]
    assert all(codename.startswith("view_") for codename in roles.ROLES[roles.REVIEWER] - {picture})


def test_every_permission_of_the_package_was_thought_of():
    """One that a later change brings belongs to a role, or to nobody but administrators, and the how-to says which."""
    models = apps.get_app_config("twofa").get_models()
    existing = {codename for model in models for codename, _name in model._meta.permissions}
    given = frozenset().union(*roles.ROLES.values())

    assert existing - given == NOT_GIVEN
    assert all(f"`{name}`" in HOWTO.read_text(encoding="utf-8") for name in existing)


def test_howto_tells_the_permissions_of_each_role():
    """The table: a row for each permission, a column for each role."""
    rows = [
        [cell.strip() for cell in line.strip("|").split("|")]
        for line in HOWTO.read_text(encoding="utf-8").splitlines()
        if line.startswith("|")
    ]
    header = next(row for row in rows if row[0] == "permission")
    told: dict[str, set[str]] = {name: set() for name in header[1:]}
    for row in rows:
        if row[0].startswith("`"):
            for name, cell in zip(header[1:], row[1:], strict=True):
                told[name] |= {row[0].strip("`")} if cell == "yes" else set()

    assert told == roles.ROLES
