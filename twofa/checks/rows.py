"""Rows at odds with the settings: read only by ``check --database`` and ``migrate``, once the tables are there."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from importlib.util import find_spec
from typing import Any

from django.core.checks import CheckMessage
from django.db import connections
from django.db.migrations.executor import MigrationExecutor
from django.db.models import Count

from twofa.checks import findings, keys
from twofa.conf import conf
from twofa.models import Authenticator, Campaign, Challenge, DocumentFile, TwoFactorMode, WebhookEndpoint
from twofa.tokens import ALPHABETS

DOCUMENT_LIBRARIES = {"cryptography": "cryptography", "PIL": "pillow", "pypdfium2": "pypdfium2"}
"""Modules of the extra ``documents``, and the names by which they are installed."""


def is_migrated(alias: str) -> bool:
    """Tell whether the tables of this release are all there: ``migrate`` runs its checks before it makes them."""
    connection = connections[alias]
    executor = MigrationExecutor(connection)
    pending = executor.migration_plan(executor.loader.graph.leaf_nodes(Campaign._meta.app_label))
    tables = set(connection.introspection.table_names())
    return not pending and {Campaign._meta.db_table, Challenge._meta.db_table} <= tables


def campaign_channels(alias: str) -> Iterator[CheckMessage]:
    given = conf.given("CHANNELS")
    configured = set(given) if isinstance(given, Mapping) else set()
    asking = Campaign.objects.using(alias).filter(is_active=True, test=False)
    # An approver is asked whatever the mode is.
    asking = asking.exclude(two_factor_mode=TwoFactorMode.OFF, approver_threshold=None)
    for slug, channels in asking.order_by("slug").values_list("slug", "allowed_channels"):
        missing = [channel for channel in channels if channel not in configured]
        if missing:
            everything = len(missing) == len(channels)
            found = findings.CAMPAIGN_CANNOT_SEND if everything else findings.CHANNEL_NOT_CONFIGURED
            yield found(campaign=slug, channels=", ".join(missing))


def campaign_policies(alias: str) -> Iterator[CheckMessage]:
    limits = conf.given("POLICY_LIMITS")
    if not isinstance(limits, Mapping) or not limits:
        return
    columns = ("slug", "max_attempts", "token_ttl", "token_length", "token_alphabet")
    for row in Campaign.objects.using(alias).order_by("slug").values(*columns):
        looser = _looser(row, limits)
        if looser:
            yield findings.POLICY_BELOW_FLOOR(campaign=row["slug"], columns=", ".join(looser))


def _looser(row: Mapping[str, Any], limits: Mapping[str, Any]) -> list[str]:
    """Return the columns that a limit does not allow; a malformed limit is another check's finding."""
    looser = []
    for column in ("max_attempts", "token_ttl"):
        limit = limits.get(column)
        if isinstance(limit, type(row[column])) and row[column] > limit:
            looser.append(column)
    bits = limits.get("token_bits")
    if isinstance(bits, int) and len(ALPHABETS[row["token_alphabet"]]) ** row["token_length"] < 2**bits:
        looser.append("token_length")
    return looser


def challenge_keys(alias: str) -> Iterator[CheckMessage]:
    pending = Challenge.objects.using(alias).filter(status=Challenge.Status.PENDING)
    orphans = pending.exclude(kid__in=keys.TOKENS.kids)
    for kid, count in orphans.order_by("kid").values_list("kid").annotate(count=Count("pk")):
        yield findings.CHALLENGES_WITHOUT_KEY(kid=kid, count=count)


def identity_documents(alias: str) -> Iterator[CheckMessage]:
    """A campaign that demands documents where none can be taken lets nobody redeem."""
    missing = [name for module, name in DOCUMENT_LIBRARIES.items() if find_spec(module) is None]
    demanding = Campaign.objects.using(alias).filter(is_active=True, identity_required=True)
    for slug in demanding.order_by("slug").values_list("slug", flat=True):
        if keys.is_empty(keys.DOCUMENTS):
            yield findings.NO_DOCUMENT_KEY(campaign=slug)
        if missing:
            yield findings.DOCUMENT_LIBRARY_MISSING(campaign=slug, libraries=", ".join(missing))


def endpoint_keys(alias: str) -> Iterator[CheckMessage]:
    in_use = WebhookEndpoint.objects.using(alias).filter(is_active=True)
    orphans = in_use.exclude(kid__in=keys.TOKENS.kids)
    for kid, count in orphans.order_by("kid").values_list("kid").annotate(count=Count("pk")):
        yield findings.ENDPOINTS_WITHOUT_KEY(kid=kid, count=count)


def document_keys(alias: str) -> Iterator[CheckMessage]:
    sealed = DocumentFile.objects.using(alias).filter(wrapped_key__isnull=False)
    orphans = sealed.exclude(kid__in=keys.DOCUMENTS.kids)
    for kid, count in orphans.order_by("kid").values_list("kid").annotate(count=Count("pk")):
        yield findings.DOCUMENTS_WITHOUT_KEY(kid=kid, count=count)


def authenticators(alias: str) -> Iterator[CheckMessage]:
    """Apps whose secrets cannot be opened: their owners are shut out, and find out one by one."""
    in_use = Authenticator.objects.using(alias).exclude(status=Authenticator.Status.REVOKED)
    count = in_use.count()
    if count and find_spec("cryptography") is None:
        yield findings.AUTHENTICATOR_LIBRARY_MISSING(count=count)
    orphans = in_use.exclude(kid__in=keys.TOKENS.kids)
    for kid, some in orphans.order_by("kid").values_list("kid").annotate(count=Count("pk")):
        yield findings.AUTHENTICATORS_WITHOUT_KEY(kid=kid, count=some)


CHECKS = (
    campaign_channels,
    campaign_policies,
    challenge_keys,
    endpoint_keys,
    identity_documents,
    document_keys,
    authenticators,
)
