"""A participant on a reviewer's desk: three pictures, one of which came for somebody else too, and a refusal before."""

from __future__ import annotations

from datetime import timedelta

from django.contrib.auth.models import User

from tests import factories, papers
from tests.admin.conftest import World, page
from twofa.models import IdentityDocument, Participant
from twofa.models.clock import now


def lay(world: World) -> str:
    """Lay the world's participant on the desk, and return where their review is."""
    shop, member = world.shop, world.shop.participant
    shop.campaign.identity_required = True
    shop.campaign.required_documents = ["rg:front", "rg:back", "selfie"]
    shop.campaign.save()
    Participant.objects.filter(pk=member.pk).update(document_number="39053344705", locale="pt-br")
    IdentityDocument.objects.filter(pk=world.document.pk).update(replaced_at=now())
    refused = papers.kept(member, "selfie", "single", created_at=now() - timedelta(days=1))
    papers.decided(refused, "rejected", by=User.objects.get(username="paula"), reason="unreadable", comment="Too dark.")
    front = papers.kept(member, "rg", "front", papers.card())
    papers.kept(member, "rg", "back", papers.card("Verso", ("FILIACAO", "MARIA SOUZA")))
    papers.kept(member, "selfie", "single", papers.card("Selfie", ()))
    twin = factories.participant(shop.campaign)
    long_ago = now() - timedelta(days=2, hours=3)
    papers.kept(twin, "rg", "front", papers.card(), fingerprint=front.fingerprint, created_at=long_ago)
    return page("identitydocument", "review", member.pk)
