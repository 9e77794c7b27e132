"""A second factor in front of loyalty-point redemptions, as a reusable Django app."""

from __future__ import annotations

__version__ = "0.1.0"
