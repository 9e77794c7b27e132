from __future__ import annotations

import pytest
from django.contrib.auth.models import Group, Permission
from django.core.management import CommandError

from tests.management.test_commands import run

pytestmark = pytest.mark.django_db


def test_roles_are_made_and_what_changed_is_printed():
    told = run("twofa_roles")[0]

    assert set(Group.objects.values_list("name", flat=True)) == {"Auditor", "Policy editor", "Reviewer", "Support"}
    reviewer = ("review_identitydocument", "view_campaign", "view_device", "view_identitydocument", "view_participant")
    assert "".join(["Reviewer (new)\n", *(f"  + {name}\n" for name in reviewer)]) in told
    assert run("twofa_roles")[0] == "Every group has exactly its permissions.\n"


@pytest.mark.parametrize("option", ["--check", "--dry-run"])
def test_check_shows_the_difference_and_changes_nothing(option: str):
    run("twofa_roles")
    support = Group.objects.get(name="Support")
    support.permissions.add(Permission.objects.get(codename="view_contacts"))

    with pytest.raises(CommandError, match="differ"):
        run("twofa_roles", option)

    assert support.permissions.filter(codename="view_contacts").exists()
    assert run("twofa_roles")[0] == "Support\n  - view_contacts\n"
    assert run("twofa_roles", option)[0] == "Every group has exactly its permissions.\n"


def test_group_of_the_host_stops_the_command_until_it_is_named():
    Group.objects.create(name="Support")

    with pytest.raises(CommandError, match="--adopt"):
        run("twofa_roles")
    assert Group.objects.count() == 1

    run("twofa_roles", "--adopt", "Support")
    assert Group.objects.count() == 4
