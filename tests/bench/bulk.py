"""Years of redemptions in a minute: rows that the database makes itself, with the spread that a programme has.

Each table is filled by one ``INSERT ... SELECT`` from a staging table of redemptions. Columns that are not named take
the default of their field, so that a new column needs no change here.
"""

from __future__ import annotations

from typing import Any

from django.contrib.auth import get_user_model
from django.contrib.auth.hashers import make_password
from django.db import connection
from django.db.models import Model
from django.db.models.fields import NOT_PROVIDED

from tests import factories
from twofa.models import Challenge, Delivery, Device, Event, IdentityDocument, Participant, Redemption

REDEMPTIONS_EACH = 5
"""Of one participant."""
DOCUMENTS_WAITING = 10_000
"""For staff to decide; twice as many are decided."""

# Of a thousand redemptions: what became of them. Those that wait are the newest; a few are parked.
_STATUS = """CASE
    WHEN n > {total} - 40 THEN 'pending_2fa_approval' WHEN n % 4000 = 7 THEN 'approved'
    WHEN n / 7 % 1000 < 5 THEN 'failed' WHEN n / 7 % 1000 < 30 THEN 'rejected'
    WHEN n / 7 % 1000 < 90 THEN 'expired' WHEN n / 7 % 1000 < 110 THEN 'cancelled' ELSE 'completed' END"""
# The largest campaign has half of all members, the smallest one in a hundred.
_CAMPAIGN = """CASE WHEN n % 100 < 50 THEN 1 WHEN n % 100 < 75 THEN 2 WHEN n % 100 < 90 THEN 3
    WHEN n % 100 < 99 THEN 4 ELSE 5 END"""
_STOREFRONT = "CASE WHEN n % 10 < 6 THEN 1 WHEN n % 10 < 9 THEN 2 ELSE 3 END"
# Version 7: the time, then what is drawn. Drawn by a hash here, so that each run has the same rows.
_UUID = """(lpad(to_hex((extract(epoch FROM at) * 1000)::bigint), 12, '0')
    || '7' || substr(md5('{0}' || n), 1, 3) || 'a' || substr(md5('{0}' || n), 4, 15))::uuid"""

# The redemptions of ninety days, oldest first, each with the member, the device and the shop that it belongs to.
_STAGE = f"""
CREATE TEMPORARY TABLE shop AS
SELECT told.n, told.at, told.status, {_UUID.format("r")} AS id, {_UUID.format("c")} AS challenge,
    md5('t' || n) AS correlation, told.status IN ('approved', 'completed', 'failed') AS is_right,
    member.id AS member, member.campaign_id AS c, device.id AS device, storefront.id AS s
FROM (
    SELECT n, {_STATUS} AS status, {_STOREFRONT} AS storefront,
        now() - ({{total}} - n) * (interval '90 days' / {{total}}) - interval '5 minutes' AS at
    FROM generate_series(1, {{total}}) AS n
) AS told
JOIN twofa_participant AS member ON member.external_id = 'u-' || (1 + (n - 1) % {{members}})
JOIN twofa_device AS device ON device.participant_id = member.id AND device.is_default
JOIN (SELECT id, row_number() OVER (ORDER BY id) AS k FROM twofa_storefront) AS storefront
    ON storefront.k = told.storefront
"""

# What is told of a redemption, in order; the last column is how it ends, or empty for all.
_STORY = """(VALUES
    (1, 'redemption.pending', 'storefront', ''), (2, 'points.reserved', 'storefront', ''),
    (3, 'challenge.issued', 'storefront', ''), (4, 'delivery.sent', 'worker', ''),
    (5, 'delivery.delivered', 'worker', ''), (6, 'challenge.attempt_failed', 'storefront', ''),
    (7, 'challenge.renewed', 'storefront', ''), (8, 'delivery.sent', 'worker', ''),
    (9, 'challenge.approved', 'storefront', 'completed'), (10, 'redemption.completed', 'storefront', 'completed'),
    (9, 'challenge.approved', 'storefront', 'failed'), (10, 'redemption.failed', 'worker', 'failed'),
    (9, 'challenge.approved', 'storefront', 'approved'), (10, 'redemption.parked', 'worker', 'approved'),
    (9, 'challenge.rejected', 'storefront', 'rejected'), (10, 'redemption.rejected', 'storefront', 'rejected'),
    (9, 'challenge.expired', 'worker', 'expired'), (10, 'redemption.expired', 'worker', 'expired'),
    (9, 'challenge.cancelled', 'staff', 'cancelled'), (10, 'redemption.cancelled', 'staff', 'cancelled')
) AS story (step, type, actor_kind, ends)"""


def fill(redemptions: int) -> None:
    """Store so many redemptions with all that hangs on them: ten events each, a challenge, one or two deliveries."""
    campaigns = [factories.campaign(slug=f"bulk-{number}", test=number == 5) for number in range(1, 6)]
    for _number in range(3):
        factories.key(factories.storefront(*campaigns))
    members = redemptions // REDEMPTIONS_EACH
    with connection.cursor() as cursor:
        _members(cursor, members)
        cursor.execute(_STAGE.format(total=redemptions, members=members))
        for model, columns, source in _TABLES:
            _insert(cursor, model, columns, source)
        cursor.execute("DROP TABLE shop")
        _documents(cursor)
        # A database at rest: what autovacuum would have done by then.
        cursor.execute("VACUUM ANALYZE")


_SHAPE = {
    "campaign_id": "c",
    "storefront_id": "s",
    "participant_id": "member",
    "correlation_id": "correlation",
}
_SENT = "CASE WHEN n % 50 = 3 THEN 'failed' WHEN n % 3 = 0 THEN 'delivered' ELSE 'sent' END"
_TABLES: tuple[tuple[type[Model], dict[str, str], str], ...] = (
    (
        Redemption,
        {
            **_SHAPE,
            "id": "id",
            "order_id": "'order-' || n",
            "amount": "1 + n % 5000",
            "unit": "'points'",
            "description": "'Headphones'",
            "test": "n % 100 = 99 AND status <> 'pending_2fa_approval'",
            "status": "status",
            "points": "CASE WHEN status = 'completed' THEN 'completed' "
            "WHEN status IN ('pending_2fa_approval', 'approved') THEN 'reserved' ELSE 'released' END",
            "failure_code": "CASE WHEN status = 'failed' THEN 'refused' ELSE '' END",
            "two_factor_required": "true",
            "two_factor_reason": "CASE WHEN n % 7 = 0 THEN 'above_threshold' ELSE 'campaign_required' END",
            "two_factor_inputs": """'{"mode": "required", "amount": "150.00"}'::jsonb""",
            "policy_version": "1",
            "approved_digest": "CASE WHEN is_right THEN decode(md5('d' || n) || md5('e' || n), 'hex') END",
            "parked_at": "CASE WHEN status = 'approved' THEN at + interval '1 minute' END",
            "created_at": "at",
            "updated_at": "at + interval '1 minute'",
            "approved_at": "CASE WHEN is_right THEN at + interval '40 seconds' END",
            "completed_at": "CASE WHEN status = 'completed' THEN at + interval '41 seconds' END",
        },
        "shop ORDER BY n",
    ),
    (
        Challenge,
        {
            **_SHAPE,
            "id": "challenge",
            "purpose": "'redemption'",
            "redemption_id": "id",
            "device_id": "device",
            "status": "CASE WHEN is_right THEN 'approved' WHEN status = 'pending_2fa_approval' THEN 'pending' "
            "ELSE status END",
            "transaction_digest": "decode(md5('d' || n) || md5('e' || n), 'hex')",
            "channel": "CASE WHEN n % 20 = 0 THEN 'email' WHEN n % 10 < 7 THEN 'sms' ELSE 'whatsapp' END",
            "address": "'+55119' || (90000000 + n % 20000)",
            "destination": "'+55 •• •••••-' || (1000 + n % 9000)",
            "kid": "'test'",
            "seed": "CASE WHEN status = 'pending_2fa_approval' THEN decode(md5('s' || n) || md5('t' || n), 'hex') END",
            "issued_at": "at",
            "deadline": "at + interval '30 minutes'",
            "attempts": "n % 3",
            "token_length": "6",
            "token_alphabet": "'alphanumeric'",
            "token_ttl": "interval '5 minutes'",
            "max_attempts": "5",
            "max_resends": "3",
            "resend_cooldown": "interval '30 seconds'",
            "allowed_channels": """'["sms", "whatsapp", "email"]'::jsonb""",
            "policy_version": "1",
            "created_at": "at",
            "ended_at": "CASE WHEN status <> 'pending_2fa_approval' THEN at + interval '40 seconds' END",
        },
        "shop ORDER BY n",
    ),
    (
        Delivery,
        {
            **_SHAPE,
            "challenge_id": "challenge",
            "device_id": "device",
            "generation": "generation",
            "event": "'redemption.token'",
            "channel": "CASE WHEN n % 20 = 0 THEN 'email' WHEN n % 10 < 7 THEN 'sms' ELSE 'whatsapp' END",
            "address": "'+55119' || (90000000 + n % 20000)",
            "destination": "'+55 •• •••••-' || (1000 + n % 9000)",
            "status": f"CASE WHEN n % 2 = 0 AND generation = 1 THEN 'superseded' ELSE {_SENT} END",
            "reason": "CASE WHEN n % 50 = 3 THEN 'provider_busy' ELSE '' END",
            "tries": "1",
            "due_at": "at",
            "provider_message_id": "md5('p' || n || ' ' || generation)",
            "created_at": "at + generation * interval '1 second'",
            "sent_at": "at + generation * interval '2 seconds'",
        },
        "shop JOIN generate_series(1, 2) AS generation ON generation = 1 OR n % 2 = 0 ORDER BY n, generation",
    ),
    (
        Event,
        {
            **_SHAPE,
            "type": "type",
            "created_at": "at + step * interval '4 seconds'",
            "actor_kind": "actor_kind",
            "actor": "CASE actor_kind WHEN 'worker' THEN '' WHEN 'staff' THEN 'maria' ELSE 'Storefront' END",
            "redemption_id": "id",
            "challenge_id": "challenge",
            "data": """'{"amount": "150.00", "attempts": 1}'::jsonb""",
        },
        f"shop JOIN {_STORY} ON ends IN ('', status) ORDER BY n, step",
    ),
)


# What happens once to a member, and now and then to a campaign: few among the events, and looked for.
_ENROLLED = ("'participant.enrolled'", "'device.registered'", "'device.activated'")
_AT_FIRST = "now() - interval '91 days'"


def _members(cursor: Any, count: int) -> None:
    user = get_user_model()
    everybody = f"generate_series(1, {count}) AS n JOIN twofa_campaign AS c ON c.slug = 'bulk-' || {_CAMPAIGN}"
    password = f"'{make_password(None)}'"
    named = {"username": "'u-' || n", "password": password, "email": "''", "date_joined": "now()"}
    _insert(cursor, user, named, everybody)
    columns = {"campaign_id": "c.id", "user_id": "u.id", "external_id": "'u-' || n", "name": "'Ana Souza'"}
    columns |= {"created_at": "now()", "updated_at": "now()", "document_number": "'doc' || n"}
    _insert(cursor, Participant, columns, f"{everybody} JOIN auth_user AS u ON u.username = 'u-' || n")
    phone = {
        "user_id": "m.user_id",
        "participant_id": "m.id",
        "uuid": "gen_random_uuid()",
        "name": "''",
        "confirmed": "true",
        "channel": "'sms'",
        "address": "'+55119' || (90000000 + m.id)",
        "destination": "'+55 •• •••••-' || (1000 + m.id % 9000)",
        "status": "'active'",
        "is_default": "true",
        "usable_from": "now() - interval '1 day'",
        "activated_at": "now() - interval '1 day'",
        "created_at": "now() - interval '1 day'",
    }
    _insert(cursor, Device, phone, "twofa_participant AS m")
    mail = {"channel": "'email'", "address": "'u' || m.id || '@example.com'", "destination": "'u•••@example.com'"}
    lost = {"status": "'revoked'", "confirmed": "false", "is_default": "false", "revoked_at": "now()"}
    _insert(cursor, Device, {**phone, **mail, **lost}, "twofa_participant AS m WHERE m.id % 10 = 0")
    told = {
        "campaign_id": "campaign_id",
        "created_at": _AT_FIRST,
        "actor_kind": "'storefront'",
        "actor": "'Storefront'",
    }
    for type_ in _ENROLLED:
        about = {"type": type_, "participant_id": "id", "correlation_id": "md5('e' || id)"}
        _insert(cursor, Event, {**told, **about}, "twofa_participant")
    staff = {"type": "'campaign.policy_changed'", "campaign_id": "id", "actor_kind": "'staff'", "actor": "'maria'"}
    staff |= {"data": """'{"before": {"max_attempts": 3}, "after": {"max_attempts": 5}}'::jsonb"""}
    _insert(cursor, Event, {**told, **staff}, "twofa_campaign, generate_series(1, 20)")


# Of each member some papers: the newest ones wait, and one picture in fifty came for somebody else too.
_PAPERS = f"""(
    SELECT member.id AS member, member.campaign_id AS c, kind, side, n,
        now() - n * (interval '30 days' / {3 * DOCUMENTS_WAITING}) AS at, n <= {DOCUMENTS_WAITING} AS is_waiting
    FROM (
        SELECT row_number() OVER (ORDER BY md5(m.id || kind || side)) AS n, m.id, m.campaign_id, kind, side
        FROM twofa_participant AS m, unnest(ARRAY['rg', 'cnh', 'cpf', 'selfie', 'passport']) AS kind,
            unnest(ARRAY['front', 'back', 'single']) AS side
    ) AS member
    WHERE n <= {3 * DOCUMENTS_WAITING}
) AS paper"""
_DECIDED = "CASE WHEN is_waiting THEN {} ELSE {} END"


def _documents(cursor: Any) -> None:
    staff = get_user_model()._default_manager.create(username="reviewer", is_staff=True)
    state = "CASE WHEN n % 4 = 0 THEN 'rejected' ELSE 'approved' END"
    columns = {
        "id": _UUID.format("i"),
        "campaign_id": "c",
        "participant_id": "member",
        "kind": "kind",
        "side": "side",
        "source": "'jpeg'",
        "fingerprint": "decode(md5('f' || n % 29400) || md5('g' || n % 29400), 'hex')",
        "fingerprint_kid": "'d1'",
        "status": _DECIDED.format("'pending'", state),
        "decision": _DECIDED.format("''", state),
        "reason": "CASE WHEN NOT is_waiting AND n % 4 = 0 THEN 'unreadable' ELSE '' END",
        "decided_at": _DECIDED.format("NULL", "at + n % 300 * interval '1 minute'"),
        "decided_by_id": _DECIDED.format("NULL", str(staff.pk)),
        "created_at": "at",
    }
    _insert(cursor, IdentityDocument, columns, f"{_PAPERS} ORDER BY n DESC")


def _insert(cursor: Any, model: type[Model], columns: dict[str, str], source: str) -> None:
    """Fill one table: each column by its expression, or by the default of its field."""
    told, values = [], []
    for field in model._meta.concrete_fields:
        column = field.column
        if column in columns:
            told.append((column, columns[column].replace("%", "%%")))
        elif field.default is not NOT_PROVIDED or not (field.null or field.primary_key):
            told.append((column, "%s"))
            values.append(field.get_db_prep_save(field.get_default(), connection))
    names = ", ".join(f'"{name}"' for name, _expression in told)
    expressions = ", ".join(expression for _name, expression in told)
    source = source.replace("%", "%%")
    cursor.execute(f'INSERT INTO "{model._meta.db_table}" ({names}) SELECT {expressions} FROM {source}', values)
