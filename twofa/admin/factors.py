"""Everything that a participant proves themselves with, in one view: contacts, apps, codes, and the host's own."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from django.db.models import Count, Q
from django.utils.translation import gettext_lazy as _
from django.utils.translation import ngettext

from twofa.admin import words
from twofa.admin.sections import BAD, Cell, Section, cells, moment, tone_of
from twofa.flows import unbound
from twofa.models import Authenticator, Device, Participant

PageOf = Callable[[Any], str]


def section(participant: Participant, page_of: PageOf) -> Section:
    """Return devices of every kind, each as a line; what has no page of its own has no link."""
    headers = (_("device"), _("status"), _("default"), _("usable from"), _("verified"), _("revoked"))
    lines = [
        *(_contact(device, page_of) for device in participant.devices.all()),
        *(_app(app, page_of) for app in participant.authenticators.all()),
        *_codes(participant),
        *_others(participant),
    ]
    return Section(_("Devices"), headers, lines, anchor="devices")


def _contact(device: Device, page_of: PageOf) -> list[Cell]:
    return cells(
        Cell(str(device), url=page_of(device)),
        _standing(device),
        words.plain(device.is_default),
        moment(device.usable_from),
        moment(device.activated_at),
        moment(device.revoked_at),
    )


def _app(app: Authenticator, page_of: PageOf) -> list[Cell]:
    name = Cell(words.labelled(app._meta.verbose_name, app.name), url=page_of(app))
    return cells(name, _standing(app), "—", moment(app.activated_at), moment(app.activated_at), moment(app.revoked_at))


def _standing(row: Device | Authenticator) -> Cell:
    return Cell(_("held"), tone=BAD) if row.is_held else Cell(row.get_status_display(), tone=tone_of(row.status))


def _codes(participant: Participant) -> Iterator[list[Cell]]:
    found = participant.recovery_codes.aggregate(all=Count("pk"), left=Count("pk", filter=Q(used_at=None)))
    if found["all"]:
        left = ngettext("%(count)s is left", "%(count)s are left", found["left"]) % {"count": found["left"]}
        yield cells(_("recovery codes"), left, "—", "—", "—", "—")


def _others(participant: Participant) -> Iterator[list[Cell]]:
    """Yield the host's own django-otp devices that a challenge ``otp`` may be answered by."""
    for device in unbound.others(participant):
        yield cells(words.labelled(device._meta.verbose_name, device.name), _("active"), "—", "—", "—", "—")
