"""Where a picture lies: the row is written before the file and outlives it, so that no file is ever without one."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Self

from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _

from twofa.models.identity_document import IdentityDocument
from twofa.models.participant import Participant

QUOTA_DAY = timedelta(hours=24)
"""For so long an upload counts, also one that was refused: to take a hostile file apart costs as much as a good one."""
ABANDONED_AFTER = timedelta(minutes=15)
"""After this time an upload that did not become a document was cut off: its process has died, or its caller left."""


class DocumentFileQuerySet(models.QuerySet["DocumentFile"]):
    def kept(self) -> Self:
        """Rows whose file may be looked at."""
        return self.filter(erase_due_at__isnull=True, erased_at__isnull=True)

    def spent(self, at: datetime) -> Self:
        """Places of uploads that were refused, and that count no more."""
        return self.filter(document__isnull=True, erased_at__lte=at - QUOTA_DAY)

    def abandoned(self, at: datetime) -> Self:
        """Uploads that never became a document."""
        return self.kept().filter(document__isnull=True, created_at__lte=at - ABANDONED_AFTER)

    def due(self, at: datetime) -> Self:
        """Files that must be erased now."""
        return self.filter(erased_at__isnull=True, erase_due_at__lte=at)

    def overdue(self) -> Self:
        """Files that the storage did not erase when it was asked to."""
        return self.filter(erased_at__isnull=True, erase_due_at__isnull=False, erase_tries__gt=0)


class DocumentFile(models.Model):
    """One page of an identity document, in the storage of documents under a random name.

    Its life: *claimed* (a place of the participant's quota is taken, nothing is stored yet), *kept* (it belongs to a
    document), *erasing* (its key is gone already, the storage has to delete it), *erased*. One that is erased and has
    no document is an upload that was refused: it holds its place of the quota for a day, and nothing else.
    """

    participant = models.ForeignKey(
        Participant, models.PROTECT, related_name="document_files", verbose_name=_("participant")
    )
    document = models.ForeignKey(
        IdentityDocument, models.PROTECT, null=True, related_name="files", verbose_name=_("identity document")
    )
    page = models.PositiveSmallIntegerField(_("page"), default=1)
    name = models.CharField(_("name"), max_length=120, unique=True)
    # Without its key a file is noise, in the storage and in each of its backups.
    kid = models.CharField(max_length=64, blank=True, editable=False)
    wrapped_key = models.BinaryField(null=True, editable=False)
    size = models.PositiveIntegerField(_("bytes"), default=0)
    width = models.PositiveIntegerField(_("width"), default=0)
    height = models.PositiveIntegerField(_("height"), default=0)
    created_at = models.DateTimeField(_("created at"))
    erase_due_at = models.DateTimeField(_("to be erased at"), null=True)
    erase_tries = models.PositiveIntegerField(_("failed tries to erase"), default=0)
    erased_at = models.DateTimeField(_("erased at"), null=True)

    objects = DocumentFileQuerySet.as_manager()

    class Meta:
        verbose_name = _("document file")
        verbose_name_plural = _("document files")
        ordering = ("id",)
        default_permissions = ()
        indexes = [
            models.Index(
                fields=("created_at",), condition=Q(document__isnull=True), name="twofa_document_file_claimed"
            ),
            models.Index(
                fields=("erase_due_at",),
                condition=Q(erased_at__isnull=True, erase_due_at__isnull=False),
                name="twofa_document_file_due",
            ),
        ]
        constraints = [
            models.UniqueConstraint(fields=("document", "page"), name="twofa_document_file_page"),
            models.CheckConstraint(
                condition=Q(erased_at__isnull=True) | Q(erase_due_at__isnull=False, wrapped_key__isnull=True),
                name="twofa_document_file_erased",
            ),
            # The key goes first, in the database: what follows in the storage may take several tries.
            models.CheckConstraint(
                condition=Q(erase_due_at__isnull=True) | Q(wrapped_key__isnull=True),
                name="twofa_document_file_shredded",
            ),
        ]

    def __str__(self) -> str:
        return self.name

    @property
    def owner(self) -> str:
        """Return whose it is, as it is sealed: a row that is given to another participant, or page, does not open."""
        return f"{self.participant_id}/{self.page}"
