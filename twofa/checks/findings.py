"""What the checks can find: stable ids, what is wrong, and what to do about it.

English only, as Django's own checks are: an operator searches for them by their words. ``SILENCED_SYSTEM_CHECKS`` and
``docs/reference/checks.md`` know them by their ids, so an id is never given to another finding.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from django.core.checks import ERROR, WARNING, CheckMessage


@dataclass(frozen=True)
class Finding:
    """One thing that can be wrong; called with what its texts name, it is a message of Django's checks."""

    id: str
    message: str
    hint: str

    @property
    def level(self) -> int:
        """Return Django's level, which the id's letter tells."""
        return ERROR if ".E" in self.id else WARNING

    def __call__(self, **named: Any) -> CheckMessage:
        return CheckMessage(self.level, self.message.format(**named), hint=self.hint.format(**named), id=self.id)


NEW_KEY = 'python -c "import base64, secrets; print(base64.b64encode(secrets.token_bytes(32)).decode())"'

NO_TOKEN_KEY = Finding(
    "twofa.E001",
    "TWOFA_TOKEN_KEYS is empty: no token can be made.",
    f"Set TWOFA_TOKEN_KEYS = {{{{'2026-01': key}}}}, the key being the output of: {NEW_KEY}",
)
MALFORMED_TOKEN_KEYS = Finding(
    "twofa.E002",
    "TWOFA_TOKEN_KEYS{where} is malformed: {why}.",
    "Map each key id to 32 random bytes or more, as bytes or as their base64 text.",
)
SHORT_TOKEN_KEY = Finding(
    "twofa.E003",
    "TWOFA_TOKEN_KEYS[{kid!r}] has {length} bytes.",
    f"A key has 32 bytes or more. A new one: {NEW_KEY}",
)
GUESSABLE_TOKEN_KEY = Finding(
    "twofa.E004",
    "TWOFA_TOKEN_KEYS[{kid!r}] is not random: its bytes repeat or follow a pattern.",
    f"Take the key from a source of secrets: {NEW_KEY}",
)
TOKEN_KEY_IS_SECRET_KEY = Finding(
    "twofa.E005",
    "TWOFA_TOKEN_KEYS[{kid!r}] is the project's SECRET_KEY.",
    "Give tokens a key of their own: SECRET_KEY signs sessions and links, and is known in more places.",
)
DUPLICATE_TOKEN_KEY = Finding(
    "twofa.E006",
    "TWOFA_TOKEN_KEYS has one key under two ids: {kids}.",
    "Remove one of them. A rotation needs a new key, not a new name for the old one.",
)
BAD_KEY_ID = Finding(
    "twofa.E007",
    "TWOFA_TOKEN_KEYS has a key id that cannot be stored: {kid!r}.",
    "A key id is a text of 1 to 64 characters, such as '2026-01'.",
)

NO_FULFILLMENT_BACKEND = Finding(
    "twofa.E010",
    "TWOFA_FULFILLMENT_BACKEND is not set: nothing holds, spends or gives back the points.",
    "Name a class with reserve(), complete() and release(); see twofa.fulfillment.FulfillmentBackend.",
)
FULFILLMENT_NOT_IMPORTABLE = Finding(
    "twofa.E011",
    "TWOFA_FULFILLMENT_BACKEND cannot be imported: {why}.",
    "Give the dotted path of a class, such as 'shop.points.LedgerBackend'.",
)
FULFILLMENT_INCOMPLETE = Finding(
    "twofa.E012",
    "TWOFA_FULFILLMENT_BACKEND lacks {methods}.",
    "Implement reserve(redemption), complete(redemption) and release(redemption).",
)
FULFILLMENT_REFUSES = Finding(
    "twofa.E013",
    "TWOFA_FULFILLMENT_BACKEND cannot be instantiated without arguments: {why}.",
    "Name a class whose constructor needs no argument; read its configuration from your settings.",
)

MALFORMED_CHANNELS = Finding(
    "twofa.E020",
    "TWOFA_CHANNELS{where} is malformed: {why}.",
    "Write TWOFA_CHANNELS = {{'sms': {{'BACKEND': 'path.to.Channel', 'OPTIONS': {{...}}}}}}.",
)
CHANNEL_NOT_IMPORTABLE = Finding(
    "twofa.E021",
    "TWOFA_CHANNELS[{alias!r}]: the backend cannot be imported: {why}.",
    "Give the dotted path of a channel's class, such as 'twofa.channels.email.EmailChannel'.",
)
CHANNEL_REFUSES_OPTIONS = Finding(
    "twofa.E022",
    "TWOFA_CHANNELS[{alias!r}]: the backend refuses its OPTIONS: {why}.",
    "OPTIONS are the keyword arguments of the channel's constructor.",
)
CHANNEL_CANNOT_SEND = Finding(
    "twofa.E023",
    "TWOFA_CHANNELS[{alias!r}]: the backend has no send().",
    "A channel has send(message: Message) -> Receipt; see twofa.channels.Channel.",
)
DEVELOPMENT_CHANNEL = Finding(
    "twofa.E024",
    "TWOFA_CHANNELS[{alias!r}] is a development channel, and DEBUG is off: tokens would be shown, not sent.",
    "Name a channel that reaches the participant, such as twofa.channels.http.HttpChannel.",
)
CAMPAIGN_CANNOT_SEND = Finding(
    "twofa.E025",
    "Campaign {campaign!r} asks for a token, but none of its channels is configured: {channels}.",
    "Configure one of them in TWOFA_CHANNELS, or allow another channel in the campaign.",
)

BAD_COST = Finding(
    "twofa.E026",
    "TWOFA_CHANNELS[{alias!r}]['COST'] is not a price: {value!r}.",
    "Give what one message costs (of an SMS, one segment) as a text: '0.045'.",
)
BAD_COST_CURRENCY = Finding(
    "twofa.E027",
    "TWOFA_COST_CURRENCY is not a currency: {value!r}.",
    "Give the three letters of ISO 4217 in capitals, like BRL: the currency of every COST in TWOFA_CHANNELS.",
)

BAD_USER_RESOLVER = Finding(
    "twofa.E030",
    "TWOFA_USER_RESOLVER cannot be used: {why}.",
    "Name a function: resolver(*, campaign, external_id, name, locale) -> user.",
)
BAD_API_AUTHENTICATION = Finding(
    "twofa.E090",
    "TWOFA_API_AUTHENTICATION cannot be used: {why}.",
    "Name a subclass of twofa.api.authentication.StorefrontAuthentication; until then nobody can call the API.",
)
BAD_NUMBER_CHECK = Finding(
    "twofa.E039",
    "TWOFA_NUMBER_CHECK cannot be used: {why}.",
    "Name a function: check(number) -> bool.",
)
BAD_ACCESS_TOKEN_ISSUER = Finding(
    "twofa.E014",
    "TWOFA_ACCESS_TOKEN_ISSUER cannot be used: {why}.",
    "Name a class: issue(*, participant, storefront) -> Issued, authenticate(text) -> Bearer or None.",
)
BAD_THROTTLE_RATES = Finding(
    "twofa.E031",
    "TWOFA_THROTTLE_RATES{where} is malformed: {why}.",
    "Write TWOFA_THROTTLE_RATES = {{'storefront': '600/min'}}: a number, a slash, and s, min, hour or day.",
)
BAD_POLICY_LIMITS = Finding(
    "twofa.E032",
    "TWOFA_POLICY_LIMITS{where} is malformed: {why}.",
    "It may hold max_attempts (1 to 5), token_ttl (a timedelta from 1 to 10 minutes) and token_bits (1 to 60).",
)
BAD_DURATION = Finding(
    "twofa.E033",
    "{setting} is not a duration: {value!r}.",
    "Give a datetime.timedelta above zero.",
)
BAD_COUNT = Finding(
    "twofa.E034",
    "{setting} is not a count: {value!r}.",
    "Give a whole number, 1 or more.",
)
BAD_SWITCH = Finding(
    "twofa.E035",
    "{setting} is neither True nor False: {value!r}.",
    "Give True or False; the text 'False' of an environment variable would count as True.",
)
BAD_PUBLIC_URL = Finding(
    "twofa.E080",
    "TWOFA_PUBLIC_URL is no address for links in messages: {why}.",
    "Give where participants reach the paths of twofa.urls, such as 'https://points.example.com/api/v1'.",
)
BAD_RETENTION = Finding(
    "twofa.E036",
    "TWOFA_RETENTION{where} is malformed: {why}.",
    "Map documents, onboarding, cases, and contacts, idempotency, webhooks and failed_webhooks (24 hours or more) to "
    "timedeltas, and events to None or to a dictionary such as {{'delivery': timedelta(days=365)}}.",
)
BAD_PREFIX_BREAKER = Finding(
    "twofa.E038",
    "TWOFA_PREFIX_BREAKER{where} is malformed: {why}.",
    "It may hold sends (a whole number, 1 or more), conversion (a number above 0, at most 1), window (a timedelta of "
    "at most 24 hours) and pause (a timedelta); None switches the breaker off.",
)

MISSING_APP = Finding(
    "twofa.E040",
    "{app!r} is not in INSTALLED_APPS.",
    "Add {app!r}: {why}.",
)
ISOLATED_TRANSACTIONS = Finding(
    "twofa.E041",
    "Transactions of database {alias!r} are not READ COMMITTED: budgets are counted as they were before the wait for a "
    "lock, and overdrawn.",
    "Remove 'isolation_level' from DATABASES[{alias!r}]['OPTIONS'].",
)

MALFORMED_DOCUMENT_KEYS = Finding(
    "twofa.E050",
    "TWOFA_DOCUMENT_KEYS{where} is malformed: {why}.",
    "Map each key id to 32 random bytes or more, as bytes or as their base64 text.",
)
SHORT_DOCUMENT_KEY = Finding(
    "twofa.E051",
    "TWOFA_DOCUMENT_KEYS[{kid!r}] has {length} bytes.",
    f"A key has 32 bytes or more. A new one: {NEW_KEY}",
)
GUESSABLE_DOCUMENT_KEY = Finding(
    "twofa.E052",
    "TWOFA_DOCUMENT_KEYS[{kid!r}] is not random: its bytes repeat or follow a pattern.",
    f"Take the key from a source of secrets: {NEW_KEY}",
)
DOCUMENT_KEY_IS_SECRET_KEY = Finding(
    "twofa.E053",
    "TWOFA_DOCUMENT_KEYS[{kid!r}] is the project's SECRET_KEY.",
    "Give documents a key of their own: SECRET_KEY is changed when it leaks, and no document could be opened any more.",
)
DUPLICATE_DOCUMENT_KEY = Finding(
    "twofa.E054",
    "TWOFA_DOCUMENT_KEYS has one key under two ids: {kids}.",
    "Remove the one that sealed no document. A rotation needs a new key, not a new name for the old one.",
)
BAD_DOCUMENT_KEY_ID = Finding(
    "twofa.E055",
    "TWOFA_DOCUMENT_KEYS has a key id that cannot be stored: {kid!r}.",
    "A key id is a text of 1 to 64 characters, such as '2026-01'.",
)
DOCUMENT_KEY_IS_TOKEN_KEY = Finding(
    "twofa.E056",
    "TWOFA_DOCUMENT_KEYS[{kid!r}] is one of TWOFA_TOKEN_KEYS.",
    "Give documents a key of their own: a token's key leaves the ring within days, a document's stays with its files.",
)
SCANNER_NOT_USABLE = Finding(
    "twofa.E057",
    "TWOFA_DOCUMENT_SCANNER cannot be used: {why}.",
    "Name a class, its dotted path, or {{'BACKEND': 'path.to.Scanner', 'OPTIONS': {{...}}}}. Until then no document is "
    "accepted.",
)
SCANNER_CANNOT_SCAN = Finding(
    "twofa.E058",
    "TWOFA_DOCUMENT_SCANNER has no scan().",
    "A scanner has scan(file) -> Verdict; see twofa.scanners.Scanner. Until then no document is accepted.",
)
STORAGE_NOT_USABLE = Finding(
    "twofa.E060",
    "STORAGES['twofa_documents'] cannot be built: {why}.",
    "Correct its BACKEND and OPTIONS; for S3 install django-twofa[s3]. Until then no document is accepted.",
)
PUBLIC_STORAGE = Finding(
    "twofa.E061",
    "Documents are stored where anybody can fetch them: {why}.",
    "Give STORAGES['twofa_documents'] a private place; for a local folder "
    "{{'BACKEND': 'twofa.vault.PrivateFolder', 'OPTIONS': {{'location': '/srv/documents'}}}}.",
)
NO_DOCUMENT_KEY = Finding(
    "twofa.E062",
    "Campaign {campaign!r} demands identity documents, and TWOFA_DOCUMENT_KEYS is empty: none can be stored.",
    f"Set TWOFA_DOCUMENT_KEYS = {{{{'2026-01': key}}}}, the key being the output of: {NEW_KEY}",
)
DOCUMENT_LIBRARY_MISSING = Finding(
    "twofa.E063",
    "Campaign {campaign!r} demands identity documents, and these libraries are not installed: {libraries}.",
    "Install django-twofa[documents].",
)

CHANNEL_OUTLASTS_LEASE = Finding(
    "twofa.W011",
    "TWOFA_CHANNELS[{alias!r}] may take {seconds:g} seconds for one message, and TWOFA_DELIVERY_LEASE is {lease:g}: "
    "meanwhile another worker sends it again.",
    "Shorten the channel's total_timeout, or lengthen TWOFA_DELIVERY_LEASE.",
)
CHAIN_EXCEEDS_LEASE = Finding(
    "twofa.W012",
    "TWOFA_CHANNELS[{alias!r}]: its providers may take {seconds:g} seconds in all, and TWOFA_DELIVERY_LEASE leaves "
    "them {left:g}: the last ones are not asked where the first ones hang.",
    "Shorten the providers' total_timeout, or lengthen TWOFA_DELIVERY_LEASE.",
)
CALLBACK_ELSEWHERE = Finding(
    "twofa.W013",
    "TWOFA_CHANNELS[{alias!r}]: its delivery receipts are called back at {url!r}, {why}.",
    "Give the https address at which the provider reaches .../{path} of this API.",
)
UNENCRYPTED_PROVIDER = Finding(
    "twofa.W014",
    "TWOFA_CHANNELS[{alias!r}]: messages go to {host!r} unencrypted, and DEBUG is off: tokens, the participants' "
    "addresses and the provider's credentials can be read on the way.",
    "Give the provider's https address; ca_certs names a certificate of your own.",
)
IMPLAUSIBLE_ACCOUNT = Finding(
    "twofa.W015",
    "TWOFA_CHANNELS[{alias!r}]: account_sid is none of Twilio's, which would refuse each message.",
    "Copy the Account SID from Twilio's console: 'AC' and 32 hexadecimal digits. An API key's ('SK...') goes into "
    "api_key_sid.",
)

ADDRESSABLE_STORAGE = Finding(
    "twofa.W016",
    "STORAGES['twofa_documents'] makes public addresses for its files: {why}.",
    "Documents are served by the admin alone, to whoever may see them. Take {option} out of its OPTIONS, or overrule "
    "there what a setting says for all your storages.",
)
DOCUMENTS_WITHOUT_KEY = Finding(
    "twofa.W017",
    "{count} stored pages of documents were sealed with the key {kid!r}, which is not in TWOFA_DOCUMENT_KEYS.",
    "Put the key back: without it nobody can open them. If that is meant, reject these documents, so that the "
    "participants send them again.",
)

BAD_PRIVATE_HOSTS = Finding(
    "twofa.E037",
    "TWOFA_WEBHOOK_PRIVATE_HOSTS is malformed: {why}.",
    "Give a list of host names, such as ['backend'], without scheme and port.",
)

EAGER_JOBS = Finding(
    "twofa.W001",
    "Celery runs eagerly, and DEBUG is off: each checkout waits for its message to be sent.",
    "Unset CELERY_TASK_ALWAYS_EAGER and run a worker.",
)
NO_CELERY_APP = Finding(
    "twofa.W002",
    "No Celery app with a broker is configured: messages leave only when the sweeper runs.",
    "Create a Celery app, import it in the project's __init__.py, and set its broker_url. Until then leave "
    "'manage.py twofa_sweep --every 5' running.",
)
UNKNOWN_SETTING = Finding(
    "twofa.W003",
    "{setting} means nothing to this package.",
    "{hint}",
)
DEFERRED_SQLITE = Finding(
    "twofa.W004",
    "SQLite without IMMEDIATE transactions: two requests at once end in “database is locked”.",
    "Set DATABASES[{alias!r}]['OPTIONS'] = {{'transaction_mode': 'IMMEDIATE'}}, or use PostgreSQL.",
)
UNKNOWN_CHANNEL = Finding(
    "twofa.W005",
    "TWOFA_CHANNELS[{alias!r}] is never used.",
    "{hint}",
)
NO_CHANNEL = Finding(
    "twofa.W006",
    "TWOFA_CHANNELS is empty: no token can be sent.",
    "Configure a channel, such as {{'email': {{'BACKEND': 'twofa.channels.email.EmailChannel'}}}}.",
)
CHANNEL_NOT_CONFIGURED = Finding(
    "twofa.W007",
    "Campaign {campaign!r} allows a channel that is not configured: {channels}.",
    "Configure it in TWOFA_CHANNELS, or take it from the campaign: nothing is ever sent there.",
)
POLICY_BELOW_FLOOR = Finding(
    "twofa.W008",
    "Campaign {campaign!r} is looser than TWOFA_POLICY_LIMITS: {columns}.",
    "Save the campaign with stricter values. Until then new challenges get the limit.",
)
CHALLENGES_WITHOUT_KEY = Finding(
    "twofa.W009",
    "{count} open challenges were sealed with the key {kid!r}, which is not in TWOFA_TOKEN_KEYS.",
    "Put the key back until they have ended. Without it their tokens cannot be checked and must be asked for anew.",
)
ENDPOINTS_WITHOUT_KEY = Finding(
    "twofa.W018",
    "The secrets of {count} webhook endpoints are made with the key {kid!r}, which is not in TWOFA_TOKEN_KEYS.",
    "Put the key back, or rotate these secrets in the admin. Until then nothing is sent to these endpoints.",
)
AUTHENTICATOR_LIBRARY_MISSING = Finding(
    "twofa.E064",
    "{count} authenticator apps are in use, and the library cryptography, which opens their secrets, is not installed.",
    "Install django-twofa[totp]. Until then no code of an app is taken.",
)
AUTHENTICATORS_WITHOUT_KEY = Finding(
    "twofa.W019",
    "The secrets of {count} authenticator apps were sealed with the key {kid!r}, which is not in TWOFA_TOKEN_KEYS.",
    "Put the key back until these apps were used once. Without it their codes cannot be checked.",
)
USER_MODEL_NEEDS_RESOLVER = Finding(
    "twofa.W010",
    "The default TWOFA_USER_RESOLVER fills no column of the user model but its USERNAME_FIELD, and these need values: "
    "{columns}.",
    "Name a resolver that finds or makes the user of a participant: from the second one on, enrolling fails otherwise.",
)
