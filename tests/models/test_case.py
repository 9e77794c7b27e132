from __future__ import annotations

from typing import Any

import pytest

from tests import factories
from tests.models.violations import copy, tamper, violates
from twofa.models import Case
from twofa.models.clock import now

pytestmark = pytest.mark.django_db


@pytest.fixture
def case() -> Case:
    return factories.case(factories.Shop().open().challenge)


def closed(**columns: Any) -> dict[str, Any]:
    return {"status": "closed", "outcome": "fraud", "closed_at": now(), "closed_by_id": factories.staff().pk, **columns}


def test_challenge_has_one_open_case(case: Case):
    with violates("twofa_case_one_open_per_challenge"):
        copy(case)


def test_challenge_may_have_another_case_once_the_first_is_closed(case: Case):
    tamper(case, **closed())
    copy(case, status="open")

    assert Case.objects.filter(challenge=case.challenge).count() == 2


@pytest.mark.parametrize("missing", [{"outcome": ""}, {"closed_at": None}, {"closed_by_id": None}])
def test_closed_case_says_what_when_and_by_whom(case: Case, missing: dict[str, Any]):
    with violates("twofa_case_closed"):
        tamper(case, **closed(**missing))


@pytest.mark.parametrize("early", ["outcome", "closed_at", "closed_by_id", "note"])
def test_open_case_says_nothing_of_its_end(case: Case, early: str):
    with violates("twofa_case_closed"):
        tamper(case, **{early: {**closed(), "note": "She rang."}[early]})
