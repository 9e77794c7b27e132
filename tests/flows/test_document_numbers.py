"""Document numbers are found by a keyed hash: under each key of the ring, in any spelling, in one campaign."""

from __future__ import annotations

import importlib
from types import SimpleNamespace

import pytest
from django.apps import apps
from django.db import connection

from tests import factories
from tests.companies import DIRECTOR, Company
from tests.statements import record_statements
from tests.stories import STAFF, refused
from twofa.exceptions import Invalid
from twofa.flows import document_numbers, participants, purges
from twofa.models import Participant
from twofa.models.clock import now

pytestmark = pytest.mark.django_db
OLD, NEW = b"o" * 32, b"n" * 32


@pytest.fixture
def company() -> Company:
    return Company()


def columns(row: Participant) -> tuple[str, bytes | None, str]:
    stored = Participant.objects.get(pk=row.pk)
    hashed = None if stored.document_hash is None else bytes(stored.document_hash)
    return stored.document_number, hashed, stored.document_kid


def found(company: Company, number: str = DIRECTOR) -> list[Participant]:
    return list(Participant.objects.with_document(company.campaign.pk, number))


@pytest.mark.parametrize("spelling", [DIRECTOR, "529.982.247-25", " 529 982 247 25"])
def test_number_is_found_in_any_spelling(company, spelling):
    assert found(company, spelling) == [company.director]


def test_number_is_not_in_the_statement_that_looks_for_it(company):
    with record_statements() as statements:
        found(company)
    assert DIRECTOR not in str(statements)
    assert '"document_hash" IN' in str(statements)


def test_same_number_has_another_hash_in_another_campaign(company):
    other = Company()
    assert columns(company.director)[1] != columns(other.director)[1]
    assert found(other) == [other.director]


def test_hash_follows_the_number_whoever_writes_it(company):
    row = company.director
    row.document_number = "RG 7"
    row.save(update_fields=["document_number"])
    assert (found(company), found(company, "RG 7")) == ([], [row])
    row.document_number = ""
    row.save()
    assert columns(row) == ("", None, "")


def test_what_does_not_touch_the_number_does_not_touch_the_hash(company):
    with record_statements() as statements:
        company.director.save(update_fields=["locale"])
    assert "document_hash" not in str(statements)


def test_number_under_a_key_that_issues_no_more_is_found(company, settings):
    settings.TWOFA_TOKEN_KEYS = {"new": NEW, **settings.TWOFA_TOKEN_KEYS}
    assert found(company) == [company.director]
    with refused(Invalid) as told:
        participants.enroll(
            campaign=company.campaign, external_id="twin", name="Bea", document_number=DIRECTOR, actor=STAFF
        )
    assert told.value.params["errors"][0]["code"] == "not_unique"


def test_purge_hashes_anew_so_that_a_key_may_leave_the_ring(company, settings):
    settings.TWOFA_TOKEN_KEYS = {"new": NEW, **settings.TWOFA_TOKEN_KEYS}
    assert purges.due()["document_numbers"] == 1
    assert purges.purge().counts["document_numbers"] == 1
    assert purges.due()["document_numbers"] == 0
    settings.TWOFA_TOKEN_KEYS = {"new": NEW}
    assert found(company) == [company.director]
    assert columns(company.director)[2] == "new"


def test_hashing_anew_goes_on_from_chunk_to_chunk(company, settings, monkeypatch):
    monkeypatch.setattr(document_numbers, "BATCH", 2)
    rows = [company.person(f"RG {number}") for number in range(4)]
    Participant.objects.update(document_hash=None, document_kid="")
    assert list(document_numbers.renew(now())) == [2, 2, 1]
    assert [found(company, row.document_number) for row in rows] == [[row] for row in rows]


def test_migration_without_a_number_needs_no_key(settings):
    migration = importlib.import_module("twofa.migrations.0018_document_hashes")
    settings.TWOFA_TOKEN_KEYS = {}
    migration.hash_numbers(apps, SimpleNamespace(connection=connection))


def test_migration_hashes_the_numbers_that_are_there(company):
    migration = importlib.import_module("twofa.migrations.0018_document_hashes")
    before = columns(company.director)
    Participant.objects.update(document_hash=None, document_kid="")
    factories.participant(company.campaign)
    # SQLite's schema editor cannot be entered inside a transaction, and the migration asks it for the database alone.
    migration.hash_numbers(apps, SimpleNamespace(connection=connection))
    assert columns(company.director) == before
    assert Participant.objects.filter(document_number="", document_hash__isnull=False).count() == 0
