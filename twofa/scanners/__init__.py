"""Who looks for viruses in a file before it is accepted. Set one up: ``docs/howto/scan-for-viruses.md``."""

from __future__ import annotations

from twofa.exceptions import ScannerUnavailable
from twofa.scanners.base import Scanner, Verdict
from twofa.scanners.registry import get_scanner, inspect

__all__ = ["Scanner", "ScannerUnavailable", "Verdict", "get_scanner", "inspect"]
