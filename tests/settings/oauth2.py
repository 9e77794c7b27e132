"""A host with an OAuth2 server of its own, whose tokens open the API beside keys."""

from __future__ import annotations

from tests.settings.base import *  # noqa: F403
from tests.settings.base import DATABASES, INSTALLED_APPS, overrides

DATABASES["default"] |= {"TEST": {"NAME": "test_twofa_oauth2"}}
INSTALLED_APPS += ["oauth2_provider", "twofa.contrib.oauth2"]
ROOT_URLCONF = "tests.oauth2.urls"
TWOFA_API_AUTHENTICATION = "twofa.contrib.oauth2.authentication.ApplicationAuthentication"
OAUTH2_PROVIDER = {
    "SCOPES": {
        "checkout": "Redemptions and batches",
        "onboarding": "Participants, devices and documents",
        "challenges": "Logins, step-ups and contacts",
        "read": "Something else of the host",
    },
    # As the how-to has them, and so that no warning of the toolkit is one of ours.
    "COMPLIANT_BCP_RFC9700_TOKEN_STORAGE": True,
    "COMPLIANT_BCP_RFC9700_ACCESS_TOKEN_TRANSPORT": True,
}

globals().update(overrides())
