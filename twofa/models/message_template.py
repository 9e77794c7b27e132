"""A campaign's own texts of messages, written by staff in the admin."""

from __future__ import annotations

from collections.abc import Iterable

from django.db import models
from django.utils.translation import gettext_lazy as _
from django.utils.translation import pgettext_lazy

from twofa.models.campaign import Campaign
from twofa.models.participant import LOCALES
from twofa.models.policy import Channel


class MessageTemplate(models.Model):
    """What one campaign says in one message, on one channel, in one language.

    Empty parts are the host's file, or ours. ``twofa.texts`` says what may stand in them.
    """

    campaign = models.ForeignKey(
        Campaign, models.CASCADE, related_name="message_templates", verbose_name=_("campaign"), db_index=False
    )
    event = models.CharField(_("message"), max_length=64)
    channel = models.CharField(_("channel"), max_length=10, choices=Channel.choices)
    locale = models.CharField(_("language"), max_length=10, choices=LOCALES)
    subject = models.TextField(pgettext_lazy("e-mail", "subject"), blank=True)
    text = models.TextField(_("text"))
    html = models.TextField(_("HTML"), blank=True)
    updated_at = models.DateTimeField(_("changed at"))

    class Meta:
        verbose_name = _("message text")
        verbose_name_plural = _("message texts")
        ordering = ("event", "channel", "locale")
        default_permissions = ()
        constraints = [
            models.UniqueConstraint(
                fields=("campaign", "event", "channel", "locale"), name="twofa_message_template_unique"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.event} · {self.channel} · {self.locale}"

    PARTS = ("subject", "text", "html")

    @property
    def parts(self) -> dict[str, str]:
        """Return its parts that are not empty."""
        return {part: getattr(self, part) for part in self.PARTS if getattr(self, part)}


def own_text(
    campaign: Campaign, event: str, channel: str, locale: str, known: Iterable[MessageTemplate] | None = None
) -> MessageTemplate | None:
    """Return a campaign's own text of a message, or None; ``known`` are all of the campaign's, where they are read."""
    if known is None:
        return MessageTemplate.objects.filter(campaign=campaign, event=event, channel=channel, locale=locale).first()
    wanted = (event, channel, locale)
    return next((row for row in known if (row.event, row.channel, row.locale) == wanted), None)
