"""A host that wraps every request in a transaction, and so would roll back a failed attempt with the refusal."""

from __future__ import annotations

from tests.settings.base import *  # noqa: F403
from tests.settings.base import DATABASES, overrides

DATABASES["default"] |= {"ATOMIC_REQUESTS": True, "TEST": {"NAME": "test_twofa_atomic"}}

globals().update(overrides())
