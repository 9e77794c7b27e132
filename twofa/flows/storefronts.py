"""Storefronts and their keys: issue, rotate, revoke, authenticate."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.db import transaction
from django.db.models import BooleanField, DateTimeField
from django.utils.translation import gettext as _

from twofa.conf import conf
from twofa.exceptions import NotAuthenticated, PolicyRefused
from twofa.flows import announcing
from twofa.flows.history import Actor, Trail
from twofa.models import (
    MAX_LIVE_KEYS,
    Campaign,
    Participant,
    Scope,
    Storefront,
    StorefrontKey,
    WebhookEndpoint,
    granted,
    statements,
)
from twofa.models.clock import now

_COLUMNS = frozenset({"name", "is_active", "completion_mode"})
TOUCHED_EVERY = timedelta(minutes=1)
_BY_PREFIX = statements.Select(
    """FROM {storefront_key} JOIN {storefront} ON storefront.id = storefront_key.storefront_id
    WHERE storefront_key.prefix = %(prefix)s""",
    storefront_key=StorefrontKey,
    storefront=Storefront,
    joined={"endpoint": WebhookEndpoint},
    extra={
        "at": ("{clock}", DateTimeField()),
        "hears": ("EXISTS (SELECT 1 FROM {endpoint} WHERE endpoint.storefront_id = storefront.id)", BooleanField()),
    },
    only={
        "storefront_key": {"hashed_key", "scopes", "expires_at", "revoked_at", "last_used_at"},
        "storefront": {"name", "is_active", "completion_mode"},
    },
)


@dataclass(frozen=True)
class Caller:
    """Who calls the API: a storefront, for all of its participants; or one participant, by way of it.

    ``scopes`` are the parts of the API that a storefront's credentials open. A participant has none: what its own app
    may call is said by each operation.
    """

    storefront: Storefront
    scopes: frozenset[str] = frozenset()
    participant: Participant | None = None


def open_storefront(*, name: str, actor: Actor, campaigns: Iterable[Campaign] = ()) -> Storefront:
    """Store a new storefront that serves ``campaigns``."""
    with transaction.atomic():
        storefront = Storefront.objects.create(name=name)
        storefront.campaigns.set(campaigns)
        _record("storefront.opened", storefront, actor)
    return storefront


def serve(storefront: Storefront, campaigns: Iterable[Campaign], *, actor: Actor) -> None:
    """Let a storefront serve ``campaigns`` besides those it serves already."""
    with transaction.atomic():
        served = set(storefront.campaigns.values_list("pk", flat=True))
        added = [campaign for campaign in campaigns if campaign.pk not in served]
        if added:
            storefront.campaigns.add(*added)
            _record("storefront.campaigns_added", storefront, actor, campaigns=[campaign.slug for campaign in added])


def update(storefront: Storefront, *, actor: Actor, changes: dict[str, Any]) -> Storefront:
    """Change a storefront's ``name``, ``is_active``, ``completion_mode`` or ``campaigns``, and note it."""
    with transaction.atomic():
        locked = Storefront.objects.select_for_update(no_key=True).get(pk=storefront.pk)
        before = _described(locked)
        for name in _COLUMNS & changes.keys():
            setattr(locked, name, changes[name])
        locked.save(update_fields=_COLUMNS)
        if "campaigns" in changes:
            locked.campaigns.set(changes["campaigns"])
        after = _described(locked)
        changed = [name for name, value in after.items() if value != before[name]]
        if changed:
            was, now_is = ({name: state[name] for name in changed} for state in (before, after))
            _record("storefront.changed", locked, actor, before=was, after=now_is)
    return locked


def _described(storefront: Storefront) -> dict[str, Any]:
    return {
        "name": storefront.name,
        "is_active": storefront.is_active,
        "completion_mode": storefront.completion_mode,
        "campaigns": sorted(storefront.campaigns.values_list("slug", flat=True)),
    }


def issue_key(
    storefront: Storefront,
    *,
    actor: Actor,
    expires_at: datetime | None = None,
    newest: int | None = None,
    scopes: Iterable[str] = (),
) -> tuple[StorefrontKey, str]:
    """Issue a key and return it with its text, which is shown once and kept nowhere.

    Two keys may be live, so that a storefront changes over without a gap. ``newest`` is the last key that whoever asks
    knows of (0: none): a form sent twice would issue two, and show the text of one. ``scopes`` are the parts of the API
    that it opens; none named: all. Raises: PolicyRefused at the third live key, where one was issued since, and where
    there is no such scope.
    """
    named = known(scopes)
    with transaction.atomic():
        locked = Storefront.objects.select_for_update(no_key=True).get(pk=storefront.pk)
        at = now()
        if newest is not None and newest != newest_key(locked):
            raise PolicyRefused(_("A key was issued a moment ago. Look at the keys before you issue another."))
        if not has_room(locked, at=at):
            raise PolicyRefused(_("Two keys are live already. Revoke one of them first, in the admin."))
        lifetime = conf.key_lifetime
        if expires_at is None and lifetime is not None:
            expires_at = at + lifetime
        key, text = StorefrontKey.mint(locked, expires_at=expires_at, scopes=named)
        key.save(force_insert=True)
        _record("storefront.key_issued", locked, actor, prefix=key.prefix, scopes=named)
    return key, text


def known(scopes: Iterable[str]) -> list[str]:
    """Return scopes in their order, each once. Raises: PolicyRefused where one is not there: it would open nothing."""
    asked = set(scopes)
    if asked - set(Scope.values):
        raise PolicyRefused(_("Known scopes: %(scopes)s.") % {"scopes": ", ".join(Scope.values)})
    return [scope for scope in Scope.values if scope in asked]


def has_room(storefront: Storefront, *, at: datetime | None = None) -> bool:
    """Tell whether another key may be issued ``at`` a time, or now: two may be live."""
    return StorefrontKey.objects.filter(storefront=storefront).live(at or now()).count() < MAX_LIVE_KEYS


def newest_key(storefront: Storefront) -> int:
    """Return the number of the key that was issued last, 0 where none was."""
    newest = StorefrontKey.objects.filter(storefront=storefront).order_by("-pk").values_list("pk", flat=True).first()
    return newest or 0


def revoke_key(key: StorefrontKey, *, actor: Actor) -> None:
    """Revoke a key: it opens nothing from the next request on. Revoking it again changes nothing."""
    with transaction.atomic():
        locked = StorefrontKey.objects.select_for_update(no_key=True).select_related("storefront").get(pk=key.pk)
        if locked.revoked_at is not None:
            return
        locked.revoked_at = now()
        locked.save(update_fields=["revoked_at"])
        _record("storefront.key_revoked", locked.storefront, actor, prefix=locked.prefix)
    key.revoked_at = locked.revoked_at


def authenticate(text: str) -> Caller:
    """Return whose key this is, and what it opens. Raises: NotAuthenticated, the same whatever is wrong with it.

    The row is found by the key's public prefix and the secret compared in constant time. Nothing is cached, so a
    revoked key is dead at once.
    """
    prefix = StorefrontKey.prefix_of(text)
    if prefix is None:
        raise NotAuthenticated
    row = _BY_PREFIX.row(prefix=prefix)
    if row is None:
        raise NotAuthenticated
    key, storefront, at = row["storefront_key"], row["storefront"], row["at"]
    scopes = granted(key.scopes)
    if not key.opens(text) or not key.is_live(at) or not storefront.is_active or not scopes:
        raise NotAuthenticated
    _touch(key, at)
    announcing.remember(storefront.pk, hears=row["hears"])
    return Caller(storefront, scopes)


def _touch(key: StorefrontKey, at: datetime) -> None:
    """Note that the key was used, at most once a minute: a write on each request would make this row a bottleneck."""
    if key.last_used_at is None or at - key.last_used_at >= TOUCHED_EVERY:
        StorefrontKey.objects.filter(pk=key.pk).update(last_used_at=at)


def _record(type_: str, storefront: Storefront, actor: Actor, **data: Any) -> None:
    trail = Trail(actor, now())
    trail.add(type_, storefront, **data)
    trail.write()
