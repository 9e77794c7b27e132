"""Dossiers: what a reviewer has beside the pictures of one participant."""

from __future__ import annotations

import secrets
from typing import Any

import pytest

from tests import factories, papers
from tests.stories import STAFF
from twofa.flows import dossiers, erasures
from twofa.models import Event

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("documents_folder")]


def test_same_picture_is_counted_across_keys_by_what_is_stored_and_not_by_what_was_noted(shop, settings: Any):
    erased, kept = (factories.participant(shop.campaign) for _number in range(2))
    papers.submitted(erased)
    settings.TWOFA_DOCUMENT_KEYS = {"d2": secrets.token_bytes(32), **settings.TWOFA_DOCUMENT_KEYS}
    papers.submitted(kept)
    papers.submitted(shop.participant)
    assert Event.objects.filter(type="document.duplicate_found", data__participants=2).count() == 1
    erasures.erase(erased, actor=STAFF, reason="Asked by the person.")

    (paper,) = dossiers.read(shop.participant).papers

    assert (paper.twins, paper.twin_count) == ([kept], 1)


def test_picture_of_one_participant_has_no_twin(shop):
    papers.submitted(shop.participant)
    papers.submitted(factories.participant(factories.campaign()))

    (paper,) = dossiers.read(shop.participant).papers

    assert (paper.twins, paper.twin_count) == ([], 0)
