"""The hashes of the document numbers that are there; what the release before writes meanwhile, the purge hashes.

A migration of its own, and a transaction for each chunk: with the columns it would hold the lock of ``ALTER TABLE``
until the last of millions of rows is hashed, and no checkout reads a participant so long. Broken off, it goes on where
it was when it is run again.
"""

from __future__ import annotations

from django.db import migrations, transaction

from twofa import tokens
from twofa.models.participant import spelled

CHUNK = 2000


def hash_numbers(apps, schema_editor):
    alias = schema_editor.connection.alias
    participants = apps.get_model("twofa", "Participant")._base_manager.using(alias)
    rows = participants.exclude(document_number="").filter(document_kid="").order_by("pk")
    seen = 0
    while True:
        with transaction.atomic(using=alias):
            # Locked, so that the hash is of the number that stands when it is written.
            locked = rows.select_for_update(no_key=True, of=("self",)).filter(pk__gt=seen)
            chunk = list(locked.only("campaign_id", "document_number")[:CHUNK])
            # Where there is nothing to hash no key is needed: a build may migrate without any, by --skip-checks.
            kid = tokens.issuing_kid() if chunk else ""
            for row in chunk:
                value = (row.campaign_id, spelled(row.document_number))
                row.document_kid, row.document_hash = kid, tokens.fingerprint("document_number", value, kid=kid)
            participants.bulk_update(chunk, ["document_hash", "document_kid"])
        if not chunk:
            return
        seen = chunk[-1].pk


class Migration(migrations.Migration):
    atomic = False

    dependencies = [("twofa", "0017_abuse")]

    operations = [migrations.RunPython(hash_numbers, migrations.RunPython.noop, elidable=True)]
