"""The page on identity: its settings, and its calls as they are written there, against a real server."""

from __future__ import annotations

import json
import subprocess

import pytest

from tests import factories
from tests.api.client import PREFIX
from tests.example.blocks import blocks_of
from tests.forms import picture
from tests.vault.page import KEY, run
from twofa.conf import conf

BLOCKS = {" ".join(block.words): block.code for block in blocks_of("docs/howto/demand-identity.md")}


def test_settings_of_the_page_give_a_ring(settings, monkeypatch):
    monkeypatch.setenv("TWOFA_DOCUMENT_KEY", KEY)
    settings.TWOFA_DOCUMENT_KEYS = run(BLOCKS["settings"], {})["TWOFA_DOCUMENT_KEYS"]
    assert [len(key) for key in conf.document_keys.values()] == [32]


@pytest.mark.django_db(transaction=True)
@pytest.mark.usefixtures("documents_folder")
def test_calls_of_the_page_take_a_document_to_the_review(live_server, tmp_path):
    shop = factories.Shop(identity_required=True, required_documents=["cnh:front"])
    taken = tmp_path / "front.jpg"
    taken.write_bytes(picture(format="JPEG"))
    names = {
        "BASE": live_server.url + PREFIX,
        "CAMPAIGN": shop.campaign.slug,
        "PARTICIPANT": shop.participant.external_id,
        "KEY": factories.key(shop.storefront),
        "PICTURE": str(taken),
        "PATH": "/usr/local/bin:/usr/bin:/bin",
    }

    def call(block: str):
        ended = subprocess.run(["sh", "-c", BLOCKS[block]], env=names, capture_output=True, check=True, timeout=60)
        return json.loads(ended.stdout)

    assert call("sh submit")["status"] == "pending"
    assert call("sh onboarding")["status"] == "under_review"
