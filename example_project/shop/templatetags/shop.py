"""Filters of the shop's pages."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal

from django import template
from django.utils import formats, timezone
from django.utils.html import format_html
from django.utils.safestring import SafeString

from example_project.shop import words

register = template.Library()

register.filter("state", words.state)
register.filter("channel", words.channel)
register.filter("delivery", words.delivery)
register.filter("countdown", words.countdown)


@register.filter
def points(amount: Decimal | str, unit: str) -> str:
    """Show an amount in the visitor's language: ``{{ order.amount|points:order.unit }}``."""
    return words.points(Decimal(amount), unit)


@register.filter
def moment(at: datetime | str | None) -> SafeString | str:
    """Show a time in the server's zone and say which, of today without the date.

    The script shows it in the visitor's own zone, and is as short: so the page stays where it is.
    """
    value = words.moment(at) if isinstance(at, str) else at
    if value is None:
        return ""
    local = timezone.localtime(value)
    of_today = local.date() == timezone.localdate()
    shown = f"{formats.date_format(local, 'TIME_FORMAT' if of_today else 'SHORT_DATETIME_FORMAT')} {local:%Z}"
    return format_html('<time datetime="{}">{}</time>', value.isoformat(), shown)
