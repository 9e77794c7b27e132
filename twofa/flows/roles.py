"""The roles of staff: which permissions each of the four groups holds, and the flow that gives them exactly those.

The names are stable English, the keys by which a host finds the groups again; they are not translated, because a name
that depends on the language of whoever ran the command would make a second set of groups.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass, replace

from django.apps import apps
from django.contrib.auth.models import Group, Permission
from django.db import transaction
from django.utils.translation import gettext as _

from twofa.exceptions import PolicyRefused
from twofa.flows.history import Actor, Trail
from twofa.models import Event
from twofa.models.clock import now

POLICY_EDITOR, REVIEWER, SUPPORT, AUDITOR = "Policy editor", "Reviewer", "Support", "Auditor"
APP = "twofa"

# Who may loosen a policy may not issue a key: with both, one person alone switches the second factor off and redeems
# other people's points through the API. Keys, storefronts, their endpoints of webhooks, and new campaigns stay with the
# host's administrators.
#
# ``switch_off_two_factor`` is in no role: after a reset the next device cools off where the campaign says so, and after
# another method there is still a token. With two-factor off nothing stands between a stolen session and the points,
# and that is what a thief asks support for.
#
# ``view_contacts`` is in no role: support answers "where did the token go?" with the mask, and an auditor checks what
# others did. It is given by name, to the few who need it. An export holds neither contact nor document number, and it
# is an event: reading in bulk is what an auditor is there for, and nobody else here is.
# ``add_approver`` and ``change_approver`` are in no role: whoever entitles somebody chooses whose phone spends another
# one's points, and a caller must not talk support into that. It is given by name, to those who know the company.
ROLES: dict[str, frozenset[str]] = {
    POLICY_EDITOR: frozenset(
        {
            "view_campaign",
            "change_campaign",
            "change_policy",
            "change_messages",
            "view_policychange",
            "approve_policy",
            "view_prefixpause",
            "lift_prefixpause",
            "view_safenumber",
            "add_safenumber",
            "change_safenumber",
        }
    ),
    # Who sees that there is a document need not see the face on it: pictures and decisions are the reviewers' alone.
    REVIEWER: frozenset(
        {"view_campaign", "view_participant", "view_device", "view_identitydocument", "review_identitydocument"}
    ),
    SUPPORT: frozenset(
        {
            "view_campaign",
            "view_storefront",
            "view_participant",
            "view_device",
            "view_authenticator",
            "view_accesstoken",
            "change_accesstoken",
            "view_identitydocument",
            "view_approver",
            "view_redemption",
            "view_redemptionbatch",
            "view_challenge",
            "view_delivery",
            "view_webhookendpoint",
            "view_webhook",
            "replay_webhook",
            "view_prefixpause",
            "cancel_redemption",
            "resend_token",
            "retry_completion",
            "fail_completion",
            "view_case",
            "close_case",
            "release_device",
            "reset_device",
            "change_method",
        }
    ),
    AUDITOR: frozenset(
        {
            "view_campaign",
            "view_policychange",
            "view_storefront",
            "view_storefrontkey",
            "view_participant",
            "view_device",
            "view_authenticator",
            "view_accesstoken",
            "view_identitydocument",
            "view_approver",
            "view_redemption",
            "view_redemptionbatch",
            "view_challenge",
            "view_delivery",
            "view_webhookendpoint",
            "view_webhook",
            "view_case",
            "view_prefixpause",
            "view_safenumber",
            "view_event",
            "export_redemptions",
        }
    ),
}
"""The permissions of each role, by codename."""
BESIDE: dict[str, dict[str, frozenset[str]]] = {
    "twofa_oauth2": {AUDITOR: frozenset({"twofa_oauth2.view_storefrontapplication"})},
}
"""What a role holds besides where an optional app of ours is installed, by the app's label. Nobody links by a role."""


@dataclass(frozen=True)
class Difference:
    """What has to be done to a group, or was."""

    role: str
    is_new: bool
    missing: tuple[str, ...]
    surplus: tuple[str, ...]


def permissions_of(role: str) -> frozenset[str]:
    """Return all that a role holds here; what is of an optional app is named with the app before it."""
    return ROLES[role].union(*(BESIDE[label].get(role, frozenset()) for label in _installed()))


def _installed() -> list[str]:
    labels = {config.label for config in apps.get_app_configs()}
    return [label for label in BESIDE if label in labels]


def differences() -> list[Difference]:
    """Return where the groups stand apart from the roles; nothing is written."""
    return [found for role in ROLES if (found := _difference(role)) is not None]


def restore(*, actor: Actor, adopt: Collection[str] = ()) -> list[Difference]:
    """Make the groups, and give each exactly its role's permissions; return what was changed.

    Users and other groups are not touched. Raises: PolicyRefused where a permission does not exist yet, and where a
    group of that name is none of ours: its members would hold, unasked, permissions that the host never meant for them.
    ``adopt`` names the groups that may be taken over.
    """
    known = _permissions()
    with transaction.atomic():
        trail = Trail(actor, now())
        done = []
        for role in ROLES:
            group, is_new = _locked(role, may_adopt=role in adopt)
            found = _difference(role)
            if found is None:
                continue
            group.permissions.set([known[codename] for codename in permissions_of(role)])
            trail.add("role.changed", role=role, added=list(found.missing), removed=list(found.surplus))
            done.append(replace(found, is_new=is_new))
        trail.write()
    return done


def _locked(role: str, *, may_adopt: bool) -> tuple[Group, bool]:
    group, is_new = Group.objects.get_or_create(name=role)
    if not is_new and not may_adopt and not _is_ours(role):
        raise PolicyRefused(
            _(
                "A group “%(role)s” exists that this command did not make. Its members would be given the permissions "
                "of the role. Rename it, or name it with --adopt to take it over."
            )
            % {"role": role}
        )
    return Group.objects.select_for_update().get(pk=group.pk), is_new


def _is_ours(role: str) -> bool:
    """Tell whether the audit trail knows the group; by the empty participant, because the index begins with it."""
    return Event.objects.filter(participant=None, type="role.changed", data__role=role).exists()


def _difference(role: str) -> Difference | None:
    group = Group.objects.filter(name=role).first()
    held = set() if group is None else {_called(permission) for permission in _held(group)}
    wanted = permissions_of(role)
    if group is not None and held == wanted:
        return None
    return Difference(role, group is None, tuple(sorted(wanted - held)), tuple(sorted(held - wanted)))


def _held(group: Group) -> Iterable[Permission]:
    return group.permissions.select_related("content_type")


def _called(permission: Permission) -> str:
    """Return the codename of ours; another app's with its app before it, so that it is never taken for ours."""
    label = permission.content_type.app_label
    return permission.codename if label == APP else f"{label}.{permission.codename}"


def _permissions() -> dict[str, Permission]:
    rows = Permission.objects.filter(content_type__app_label__in=[APP, *_installed()]).select_related("content_type")
    known = {_called(permission): permission for permission in rows}
    absent = sorted(frozenset().union(*map(permissions_of, ROLES)) - known.keys())
    if absent:
        raise PolicyRefused(
            _("Permissions are missing: %(names)s. Run “manage.py migrate” first.") % {"names": ", ".join(absent)}
        )
    return known
