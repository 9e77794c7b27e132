"""Apps beside the package: a host installs those that it wants, and the package knows none of them."""

from __future__ import annotations
