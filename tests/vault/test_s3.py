"""The page on S3, run against a server that speaks it; and the storage when that server is gone, silent or full."""

from __future__ import annotations

import re

import pytest
import urllib3
from django.core.files.storage import storages

from tests.example.blocks import ROOT
from tests.scanners.clamd import taking_at_most
from tests.servers.silent import silent_server
from tests.vault.page import BUCKET, KEY, of_kind, run, start
from twofa import checks, vault
from twofa.exceptions import DocumentUnreadable, StorageUnavailable

PICTURE = b"\xff\xd8\xff\xe0\x00\x10JFIF" + bytes(range(256)) * 4000
EVERYBODY = "http://acs.amazonaws.com/groups/"


def stored() -> tuple[str, vault.Sealed]:
    name = vault.new_name()
    sealed = vault.seal(PICTURE, name=name)
    vault.put(name, sealed.ciphertext)
    return name, sealed


def opened(name: str, sealed: vault.Sealed) -> bytes:
    return vault.unseal(vault.fetch(name), name=name, kid=sealed.kid, wrapped_key=sealed.wrapped_key)


def test_settings_of_the_page_pass_the_checks(bucket):
    assert [message.id for message in checks.check_settings(None) if "ocument" in message.msg] == []


def test_document_is_stored_and_opened_and_erased(bucket):
    name, sealed = stored()

    assert vault.exists(name)
    assert opened(name, sealed) == PICTURE
    vault.erase(name)
    assert not vault.exists(name)
    assert list(bucket.objects.all()) == []
    vault.erase(name)


def test_look_of_the_page_passes(bucket):
    run(of_kind("check").code, {})

    assert list(bucket.objects.all()) == []


def test_object_is_private_and_encrypted_and_no_picture(bucket):
    name, _sealed = stored()
    stored_object = bucket.Object(name)

    body = stored_object.get()["Body"].read()
    assert stored_object.server_side_encryption == "AES256"
    assert b"JFIF" not in body
    assert PICTURE[100:150] not in body
    grants = [grant["Grantee"].get("URI", "") for grant in bucket.Object(name).Acl().grants]
    assert grants
    assert not any(uri.startswith(EVERYBODY) for uri in grants)


def test_object_has_no_address_for_strangers(bucket, s3):
    name, _sealed = stored()

    answer = urllib3.request("GET", f"{s3}/{BUCKET}/{name}", retries=False)
    assert answer.status == 403
    assert "Signature=" in storages[vault.ALIAS].url(name)


def test_nothing_of_the_person_is_in_the_bucket(bucket):
    name, _sealed = stored()

    (listed,) = bucket.objects.all()
    assert listed.key == name
    assert re.fullmatch(r"[0-9a-f]{2}/[0-9a-f]{40}", name)
    assert bucket.Object(name).metadata == {}


def test_versions_that_a_bucket_keeps_are_noise_without_the_row_s_key(bucket):
    bucket.Versioning().enable()
    name, sealed = stored()
    vault.erase(name)

    assert not vault.exists(name)
    (version,) = (kept for kept in bucket.object_versions.all() if kept.size)
    left = version.get()["Body"].read()
    assert left == sealed.ciphertext
    with pytest.raises(DocumentUnreadable):
        vault.unseal(left, name=name, kid=sealed.kid, wrapped_key=b"")


def test_object_that_was_exchanged_is_unreadable(bucket):
    (mine, sealed), (yours, _other) = stored(), stored()
    bucket.Object(mine).copy_from(CopySource={"Bucket": BUCKET, "Key": yours})

    with pytest.raises(DocumentUnreadable):
        opened(mine, sealed)


def test_object_longer_than_any_that_was_stored_is_not_loaded(bucket, monkeypatch):
    name, sealed = stored()
    monkeypatch.setattr("twofa.vault.storage.MAX_BYTES", len(sealed.ciphertext) - 1)
    monkeypatch.setattr(type(bucket.Object(name)), "download_fileobj", None)

    with pytest.raises(StorageUnavailable):
        vault.fetch(name)


# --- when it is down -------------------------------------------------------------------------------------------------

CALLS = {
    "put": lambda name: vault.put(name, b"sealed"),
    "fetch": vault.fetch,
    "erase": vault.erase,
    "exists": vault.exists,
}


def told(caplog) -> list[str]:
    return [record.getMessage() for record in caplog.records if record.name == "twofa.vault.storage"]


def test_bucket_that_is_not_there_is_unavailable_or_told(s3, configure, caplog):
    configure(s3)

    for name in ("put", "fetch"):
        with pytest.raises(StorageUnavailable):
            CALLS[name]("ab/abc")
    vault.erase("ab/abc")  # S3 answers as if it had been erased before
    assert told(caplog)[-1] == "a document that was to be erased was not there: ab/abc"


def test_server_that_stops_in_the_middle_is_unavailable(configure, caplog):
    server = start()
    configure("http://{}:{}".format(*server.get_host_and_port()), quick=True)
    storages[vault.ALIAS].bucket.create()
    name, sealed = stored()
    assert opened(name, sealed) == PICTURE
    server.stop()

    for call in CALLS.values():
        with pytest.raises(StorageUnavailable), taking_at_most(5):
            call(name)
    assert len(told(caplog)) == len(CALLS)
    assert "its-secret" not in caplog.text


@pytest.mark.parametrize("call", CALLS.values(), ids=CALLS)
def test_server_that_never_answers_is_unavailable_in_bounded_time(call, configure):
    with silent_server() as port:
        configure(f"http://127.0.0.1:{port}", quick=True)
        with pytest.raises(StorageUnavailable), taking_at_most(5):
            call("ab/abc")


def test_patience_of_the_page_is_what_it_says(configure):
    given = configure("http://127.0.0.1:1")["STORAGES"][vault.ALIAS]["OPTIONS"]["client_config"]

    # Before the body of a PUT, botocore waits a second for the server's consent.
    tries = given.retries["total_max_attempts"] * (given.connect_timeout + given.read_timeout + 1)
    assert tries <= 20
    assert "longer than about 20 seconds" in (ROOT / "docs/howto/store-documents-on-s3.md").read_text()


def test_folder_of_the_page_is_private(settings, tmp_path):
    names = run(of_kind("folder").code.replace("/srv/", f"{tmp_path}/"), {})
    settings.STORAGES, settings.TWOFA_DOCUMENT_KEYS = names["STORAGES"], {"1": KEY}
    run(of_kind("check").code, {})
    stored()

    assert (tmp_path / "documents").stat().st_mode & 0o077 == 0
    assert [message.id for message in checks.check_settings(None) if "ocument" in message.msg] == []
