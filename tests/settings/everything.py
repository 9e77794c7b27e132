"""For mypy, which reads models by settings: those of the example, with every app of ours beside them."""

from __future__ import annotations

from example_project.settings import *  # noqa: F403
from example_project.settings import INSTALLED_APPS

INSTALLED_APPS += ["oauth2_provider", "twofa.contrib.oauth2", "twofa.contrib.login"]
