"""Participants: members of one campaign."""

from __future__ import annotations

from typing import Any, Self

from django.conf import settings
from django.core.validators import RegexValidator
from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _

from twofa import tokens
from twofa.exceptions import NotFound
from twofa.models.campaign import Campaign
from twofa.models.policy import Method

EXTERNAL_ID_PATTERN = r"[A-Za-z0-9._:@+-]{1,128}"
LOCALES = (("pt-br", _("Portuguese")), ("es", _("Spanish")), ("en", _("English")))

DOCUMENT_COLUMNS = ("document_hash", "document_kid")
"""What is stored of a document number besides itself."""
_DOCUMENT = "document_number"
_LENGTHS_OF_TAX_NUMBERS = (11, 14)


def spelled(document_number: str) -> str:
    """Return the one spelling of a document number: of a CPF or CNPJ its digits alone, of another as it was given."""
    compact = "".join(character for character in document_number if character not in " .-/")
    is_tax_number = compact.isascii() and compact.isdigit() and len(compact) in _LENGTHS_OF_TAX_NUMBERS
    return compact if is_tax_number else document_number.strip()


class ParticipantQuerySet(models.QuerySet["Participant"]):
    def with_document(self, campaign: int, document_number: str) -> Self:
        """Return the row of a campaign, one at most, with this document number, in whatever spelling."""
        hashes = tokens.fingerprints(_DOCUMENT, (campaign, spelled(document_number)))
        return self.filter(campaign=campaign, document_hash__in=hashes)

    def unhashed(self) -> Self:
        """Rows whose document number has no hash under the present key: of before there was one, or of another key."""
        return self.exclude(document_number="").exclude(document_kid=tokens.issuing_kid())


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
    # By which a number is looked up. With a key that is not in the database, because all numbers there are could be
    # hashed in an afternoon: whoever has a dump, or may only query, must not ask it for a person by their number. With
    # the campaign in it, so that nobody is followed from one campaign to another.
    document_hash = models.BinaryField(_("document hash"), max_length=32, null=True, editable=False)
    document_kid = models.CharField(_("key id"), max_length=64, blank=True, default="", db_default="", editable=False)
    locale = models.CharField(_("locale"), max_length=10, choices=LOCALES, blank=True)
    two_factor_method = models.CharField(
        _("two-factor method"), max_length=10, choices=Method.choices, default=Method.NONE
    )
    is_active = models.BooleanField(_("active"), default=True)
    onboarded_at = models.DateTimeField(_("onboarded at"), null=True, blank=True)
    erased_at = models.DateTimeField(_("erased at"), null=True, blank=True, editable=False)
    created_at = models.DateTimeField(_("created at"), auto_now_add=True)
    updated_at = models.DateTimeField(_("updated at"), auto_now=True)

    objects = ParticipantQuerySet.as_manager()

    class Meta:
        verbose_name = _("participant")
        verbose_name_plural = _("participants")
        ordering = ("-id",)
        permissions = [
            ("view_contacts", _("Can see addresses and document numbers unmasked")),
            ("change_method", _("Can change a participant's two-factor method")),
            ("switch_off_two_factor", _("Can switch two-factor off for a participant")),
        ]
        indexes = [
            models.Index(
                fields=("campaign", "document_hash"),
                condition=Q(document_hash__isnull=False),
                name="twofa_participant_document_key",
            ),
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
            # What the foreign keys of entitlements point at, so that all people of one are of one campaign.
            models.UniqueConstraint(fields=("id", "campaign"), name="twofa_participant_campaign"),
        ]

    def __str__(self) -> str:
        return self.external_id

    def save(self, *args: Any, update_fields: Any = None, **kwargs: Any) -> None:
        """Store the row; the hash of the document number is kept with the number here, whoever changes it."""
        if update_fields is None or _DOCUMENT in update_fields:
            self.hash_document()
            update_fields = None if update_fields is None else {*update_fields, *DOCUMENT_COLUMNS}
        super().save(*args, update_fields=update_fields, **kwargs)

    def hash_document(self) -> None:
        """Compute the hash under the issuing key; no number has none."""
        self.document_kid = tokens.issuing_kid() if self.document_number else ""
        value = (self.campaign_id, spelled(self.document_number))
        self.document_hash = tokens.fingerprint(_DOCUMENT, value, kid=self.document_kid) if self.document_kid else None

    def has_document(self, document_number: str) -> bool:
        """Tell whether this is their document number, by its hash."""
        hashes = tokens.fingerprints(_DOCUMENT, (self.campaign_id, spelled(document_number)))
        return self.document_hash is not None and tokens.is_sealed(hashes, bytes(self.document_hash))

    def ensure_kept(self) -> None:
        """Raise where they were erased; asked of the locked row by whatever writes to it. Raises: NotFound.

        A call that had read the row before the erasure would fill it again, and nobody would look for a person there.
        """
        if self.erased_at is not None:
            raise NotFound(resource="participant")
