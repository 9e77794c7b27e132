"""How a row changes state: one table per machine, and a conditional UPDATE that the database decides."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from django.db import models

from twofa.exceptions import TransitionRefused
from twofa.models import writes

Transitions = Mapping[str, frozenset[str]]


class StateMachine(models.Model):
    """A row whose state columns move only along their tables.

    ``MACHINES`` maps each state column to its table (state -> states it may become). A state absent from a table's
    right-hand sides is initial, one with an empty set is final.
    """

    MACHINES: ClassVar[Mapping[str, Transitions]] = {}

    class Meta:
        abstract = True

    def change(self, *, guard: tuple[str, ...] = (), **changes: Any) -> None:
        """Write ``changes`` in one UPDATE that holds only if no state column (nor ``guard``) has moved meanwhile.

        The row lock of the flow makes a lost race rare, this condition makes it harmless: whoever comes second
        changes no row and is told so. Raises: TransitionRefused.
        """
        self.ensure_may(changes)
        expected = {column: getattr(self, column) for column in (*self.MACHINES, *guard)}
        writes.update(self, changes, expected, lost=TransitionRefused(expected=expected))
        for name, value in changes.items():
            setattr(self, name, value)

    def ensure_may(self, changes: Mapping[str, Any]) -> None:
        """Raise where a table does not have a step of ``changes``. Raises: TransitionRefused."""
        for column, transitions in self.MACHINES.items():
            if column in changes and changes[column] not in transitions[getattr(self, column)]:
                raise TransitionRefused(column=column, before=getattr(self, column), after=changes[column])


def final_states(transitions: Transitions) -> frozenset[str]:
    """Return the states that nothing leaves."""
    return frozenset(state for state, following in transitions.items() if not following)
