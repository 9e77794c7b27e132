"""Participants: members of one campaign."""

from __future__ import annotations

from django.conf import settings
from django.core.validators import RegexValidator
from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _

from twofa.exceptions import NotFound
from twofa.models.campaign import Campaign
from twofa.models.policy import Method

EXTERNAL_ID_PATTERN = r"[A-Za-z0-9._:@+-]{1,128}"
LOCALES = (("pt-br", _("Portuguese")), ("es", _("Spanish")), ("en", _("English")))


def spoken(tag: str) -> str:
    """Return which of our languages is meant by a language's tag (RFC 5646): that of its first part, else English."""
    base = tag.lower().split("-")[0]
    return next((locale for locale, _name in LOCALES if locale.split("-")[0] == base), "en")


class Participant(models.Model):
    """A member of one campaign, known there by ``external_id``, and tied to one user of the host."""

    campaign = models.ForeignKey(Campaign, models.PROTECT, related_name="participants", verbose_name=_("campaign"))
    user = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.PROTECT, related_name="twofa_participants", verbose_name=_("user")
    )
    external_id = models.CharField(
        _("external id"), max_length=128, validators=[RegexValidator(rf"^(?!\.{{1,2}}\Z){EXTERNAL_ID_PATTERN}\Z")]
    )
    name = models.CharField(_("name"), max_length=150)
    document_number = models.CharField(_("document number"), max_length=32, blank=True)
    locale = models.CharField(_("locale"), max_length=10, choices=LOCALES, blank=True)
    two_factor_method = models.CharField(
        _("two-factor method"), max_length=10, choices=Method.choices, default=Method.NONE
    )
    is_active = models.BooleanField(_("active"), default=True)
    onboarded_at = models.DateTimeField(_("onboarded at"), null=True, blank=True)
    erased_at = models.DateTimeField(_("erased at"), null=True, blank=True, editable=False)
    created_at = models.DateTimeField(_("created at"), auto_now_add=True)
    updated_at = models.DateTimeField(_("updated at"), auto_now=True)

    class Meta:
        verbose_name = _("participant")
        verbose_name_plural = _("participants")
        ordering = ("-id",)
        permissions = [
            ("view_contacts", _("Can see addresses and document numbers unmasked")),
            ("change_method", _("Can change a participant's two-factor method")),
            ("switch_off_two_factor", _("Can switch two-factor off for a participant")),
        ]
        constraints = [
            # The external id first, so that staff find a member by it alone, with the index that is there anyway.
            models.UniqueConstraint(fields=("external_id", "campaign"), name="twofa_participant_external_id"),
            models.UniqueConstraint(fields=("campaign", "user"), name="twofa_participant_user"),
            models.UniqueConstraint(
                fields=("campaign", "document_number"),
                condition=~Q(document_number=""),
                name="twofa_participant_document",
            ),
        ]

    def __str__(self) -> str:
        return self.external_id

    def ensure_kept(self) -> None:
        """Raise where they were erased; asked of the locked row by whatever writes to it. Raises: NotFound.

        A call that had read the row before the erasure would fill it again, and nobody would look for a person there.
        """
        if self.erased_at is not None:
            raise NotFound(resource="participant")
