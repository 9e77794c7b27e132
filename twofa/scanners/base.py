"""What every scanner is, takes and gives."""

from __future__ import annotations

from dataclasses import dataclass
from typing import BinaryIO, Protocol


@dataclass(frozen=True)
class Verdict:
    """What a scanner says of one file; ``reason`` is for staff, such as the name of what was found."""

    is_clean: bool
    reason: str = ""

    @classmethod
    def clean(cls) -> Verdict:
        """Nothing was found."""
        return cls(is_clean=True)

    @classmethod
    def infected(cls, reason: str) -> Verdict:
        """Something was found: the file is refused."""
        return cls(is_clean=False, reason=reason)


class Scanner(Protocol):
    """Looks at one file. One instance serves all threads of a process, so it keeps nothing of a file."""

    def scan(self, file: BinaryIO) -> Verdict:
        """Return the verdict on a binary file that stands at its beginning.

        Raise anything where there is none: the file is then not accepted yet, and the participant is asked to repeat.
        """
        ...
