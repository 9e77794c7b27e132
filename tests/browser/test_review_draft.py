from __future__ import annotations
from pathlib import Path
from tests import papers, factories
from tests.browser.screenshots import take
import tests.browser.screenshots as sc
from twofa.models import IdentityDocument, Participant
from datetime import timedelta
from twofa.models.clock import now
from tests.admin.conftest import page

def test_draft(settings, world, boss, signed_in, monkeypatch):
    monkeypatch.setattr(sc, "FOLDER", Path("/tmp/fix-review/build/draft"))
    shop = world.shop
    IdentityDocument.objects.update(replaced_at=now())
    shop.campaign.identity_required = True
    shop.campaign.required_documents = ["rg:front", "rg:back", "selfie"]
    shop.campaign.save()
    Participant.objects.filter(pk=shop.participant.pk).update(document_number="39053344705", locale="pt-br")
    shop.participant.refresh_from_db()
    front = papers.kept(shop.participant, "rg", "front", papers.picture(), pages=1)
    papers.kept(shop.participant, "rg", "back", papers.picture("Verso", ("FILIACAO", "MARIA SOUZA")))
    papers.kept(shop.participant, "selfie", "single", papers.picture("Selfie", ()))
    other = factories.participant(shop.campaign)
    papers.kept(other, "rg", "front", papers.picture(), fingerprint=front.fingerprint, created_at=now()-timedelta(days=2, hours=3))
    v = signed_in(boss)
    v.go(page("identitydocument", "changelist")); take(v, "queue")
    url = page("identitydocument", "review", shop.participant.pk)
    v.go(url); take(v, "unclaimed")
    v.page.get_by_text("Begin the review", exact=True).click()
    v.page.wait_for_load_state("networkidle")
    take(v, "claimed")
    v.page.keyboard.press("+"); v.page.keyboard.press("o"); v.page.keyboard.press("r")
    take(v, "rejecting")
    print(v.troubles, v.inspect())
    v.go(page("participant","change",shop.participant.pk)); take(v,"participant")
    v.go(page("identitydocument","change",front.pk)); take(v,"document")
