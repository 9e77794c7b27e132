"""What a campaign's messages cost: the tables of its page of figures."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from django.utils import formats
from django.utils.translation import gettext_lazy as _

from twofa.admin.sections import Section, cells, day
from twofa.admin.words import number, rate
from twofa.conf import conf
from twofa.flows.costs import Costs, Spent
from twofa.models import Channel

_COUNTED = (_("sent"), _("tokens"), _("confirmed"), _("confirmed of the tokens"), _("cost"))


def money(cost: Decimal | None) -> str:
    """Return a cost with its currency; prices of messages are fractions of a cent, and none is rounded away."""
    if cost is None:
        return "—"
    exponent = cost.normalize().as_tuple().exponent
    places = max(2, -exponent if isinstance(exponent, int) else 2)
    return f"{formats.number_format(cost, places, use_l10n=True, force_grouping=True)} {conf.cost_currency}".rstrip()


def sections(found: Costs) -> list[Section]:
    """Return the tables: by day, by channel, and by prefix."""
    if not found.total.sent:
        return []
    channels = dict(Channel.choices)
    return [
        Section(
            _("Messages and their cost by day"),
            (_("day"), *_COUNTED),
            [
                _line(_("in all"), found.total),
                *(_line(day(on), spent) for on, spent in reversed(found.days.items()) if spent.sent),
            ],
            note=_note(found.total),
            anchor="costs",
        ),
        Section(
            _("Messages and their cost by channel"),
            (_("channel"), *_COUNTED),
            [_line(channels.get(name, name), spent) for name, spent in sorted(found.channels.items())],
            anchor="costs-by-channel",
        ),
        Section(
            _("Where the most is spent"),
            (_("prefix"), _("country"), *_COUNTED),
            [cells(f"{row.prefix}…", row.country or "—", *_counted(row.spent)) for row in found.prefixes],
            empty=_("No phone was written to."),
            note=_(
                "A prefix is a phone number without its last four digits. Many messages to one of them, and hardly "
                "one confirmed: somebody may be paid for them."
            ),
            anchor="costs-by-prefix",
        ),
    ]


def _line(name: object, spent: Spent) -> list[Any]:
    return cells(name, *_counted(spent))


def _counted(spent: Spent) -> list[str]:
    cost = money(spent.cost) if spent.priced else "—"
    return [number(spent.sent), number(spent.tokens), number(spent.confirmed), rate(spent.conversion), cost]


def _note(total: Spent) -> Any:
    """Say how far the sum may be trusted."""
    if total.priced == total.sent:
        return _("By the prices of the settings, or as the provider told them.")
    unknown = number(total.sent - total.priced)
    return _("The sum is too low: of %(count)s messages nobody knows the price.") % {"count": unknown}
