"""What the checks say of documents: their keys, their storage, their scanner, and campaigns that demand them."""

from __future__ import annotations

import sys

import pytest
from django.test import override_settings

from tests import factories
from tests.papers import submitted
from tests.test_checks import GOOD, KEY, OTHER_KEY, found, found_in_rows
from twofa import checks
from twofa.conf import conf
from twofa.models import DocumentFile
from twofa.models.clock import now

HERE = "tests.test_checks_of_documents"
MEMORY = {"BACKEND": "django.core.files.storage.InMemoryStorage"}
FOLDER = "django.core.files.storage.FileSystemStorage"
PUBLIC = {"MEDIA_ROOT": "/srv/media", "STATIC_ROOT": "/srv/static", "STATICFILES_DIRS": [("shop", "/srv/shop")]}
THIRD_KEY = OTHER_KEY[::-1]


class Mute:
    """A scanner that forgot the one thing that scanners do."""


class Demanding:
    def __init__(self, signatures) -> None: ...
    def scan(self, file) -> None: ...


def ring(**keys: object) -> dict[str, object]:
    return {"TWOFA_DOCUMENT_KEYS": {kid.strip("_"): key for kid, key in keys.items()}}


def stored(backend: str, **options: object) -> dict[str, object]:
    entry = {"BACKEND": backend, "OPTIONS": options}
    return {**PUBLIC, "STORAGES": {"default": MEMORY, "staticfiles": MEMORY, "twofa_documents": entry}}


def bucket(**options: object) -> dict[str, object]:
    account = {"bucket_name": "documents", "access_key": "AKIA", "secret_key": "the-bucket-s-secret"}
    return stored("storages.backends.s3.S3Storage", **account, **options)


BAD_SETTINGS = {
    "E050-list": ("twofa.E050", {"TWOFA_DOCUMENT_KEYS": [KEY]}),
    "E050-not-base64": ("twofa.E050", ring(_1="never base64!")),
    "E050-number": ("twofa.E050", ring(_1=42)),
    "E051": ("twofa.E051", ring(_1=OTHER_KEY[:31])),
    "E052": ("twofa.E052", ring(_1=b"\x00" * 32)),
    "E053-bytes": ("twofa.E053", {**ring(_1=OTHER_KEY), "SECRET_KEY": OTHER_KEY}),
    "E053-text": ("twofa.E053", {**ring(_1=OTHER_KEY.hex()), "SECRET_KEY": OTHER_KEY.hex()}),
    "E054": ("twofa.E054", ring(_1=OTHER_KEY, _2=OTHER_KEY)),
    "E055": ("twofa.E055", {"TWOFA_DOCUMENT_KEYS": {"k" * 65: OTHER_KEY}}),
    "E056": ("twofa.E056", ring(_1=KEY)),
    "E056-second": ("twofa.E056", ring(_1=OTHER_KEY, other=KEY)),
    "E057-module": ("twofa.E057", {"TWOFA_DOCUMENT_SCANNER": "no.such.Scanner"}),
    "E057-no-class": ("twofa.E057", {"TWOFA_DOCUMENT_SCANNER": f"{HERE}.ring"}),
    "E057-member": ("twofa.E057", {"TWOFA_DOCUMENT_SCANNER": {"BACKEND": f"{HERE}.Demanding", "OPTION": {}}}),
    "E057-refuses": ("twofa.E057", {"TWOFA_DOCUMENT_SCANNER": f"{HERE}.Demanding"}),
    "E057-options": (
        "twofa.E057",
        {"TWOFA_DOCUMENT_SCANNER": {"BACKEND": "twofa.scanners.clamav.ClamAVScanner", "OPTIONS": {"port": 0}}},
    ),
    "E058": ("twofa.E058", {"TWOFA_DOCUMENT_SCANNER": f"{HERE}.Mute"}),
    "E060-module": ("twofa.E060", stored("no.such.Storage")),
    "E060-options": ("twofa.E060", stored(FOLDER, no_such_option=1)),
    "E061-media-by-default": ("twofa.E061", stored(FOLDER)),
    "E061-media": ("twofa.E061", stored(FOLDER, location="/srv/media")),
    "E061-below-media": ("twofa.E061", stored("twofa.vault.PrivateFolder", location="/srv/x/../media/documents")),
    "E061-static": ("twofa.E061", stored(FOLDER, location="/srv/static/documents")),
    "E061-collected": ("twofa.E061", stored(FOLDER, location="/srv/shop/documents")),
    "E061-no-storage-named": ("twofa.E061", {"BASE_DIR": "/srv/media/x", "MEDIA_ROOT": "/srv/media"}),
    "E061-acl": ("twofa.E061", bucket(default_acl="public-read")),
    "E061-everybody-with-an-account": ("twofa.E061", bucket(default_acl="authenticated-read")),
    "E061-parameters": ("twofa.E061", bucket(object_parameters={"ACL": "public-read-write"})),
    "W016-folder": ("twofa.W016", stored(FOLDER, location="/srv/documents", base_url="/documents/")),
    "W016-domain": ("twofa.W016", bucket(custom_domain="cdn.example.com")),
    "W016-unsigned": ("twofa.W016", bucket(querystring_auth=False)),
}
GOOD_SETTINGS = {
    "none": {},
    "null": {"TWOFA_DOCUMENT_KEYS": None},
    "ring": ring(new=THIRD_KEY, old=OTHER_KEY),
    "scanner": {"TWOFA_DOCUMENT_SCANNER": "twofa.scanners.clamav.ClamAVScanner"},
    "folder": stored("twofa.vault.PrivateFolder", location="/srv/documents"),
    "folder beside": stored("twofa.vault.PrivateFolder", location="/srv/media-private"),
    "django's folder": stored(FOLDER, location="/srv/documents"),
    "bucket": bucket(default_acl="private", object_parameters={"ServerSideEncryption": "AES256"}),
    "bucket of its owner": bucket(default_acl=None),
}


@pytest.mark.parametrize(("expected", "settings"), BAD_SETTINGS.values(), ids=BAD_SETTINGS)
def test_bad_setting_gives_its_own_id_only(expected: str, settings: dict[str, object]):
    assert found(**settings) == [expected]


@pytest.mark.parametrize("settings", GOOD_SETTINGS.values(), ids=GOOD_SETTINGS)
def test_good_setting_is_silent(settings: dict[str, object]):
    assert found(**settings) == []


def test_folder_that_a_link_makes_public_is_told(tmp_path):
    (tmp_path / "media").mkdir()
    (tmp_path / "documents").symlink_to(tmp_path / "media")
    settings = stored("twofa.vault.PrivateFolder", location=tmp_path / "documents")

    assert found(**{**settings, "MEDIA_ROOT": tmp_path / "media"}) == ["twofa.E061"]


def test_message_never_quotes_a_secret():
    keys = {"1": "not base64: hunter2", "2": OTHER_KEY[:20], "3": OTHER_KEY, "4": OTHER_KEY, "5": KEY}
    with override_settings(**{**GOOD, **bucket(default_acl="public-read"), "TWOFA_DOCUMENT_KEYS": keys}):
        said = " ".join(f"{message}{message.hint}" for message in checks.check_settings(None))

    assert said.count("twofa.E05") == 4
    for secret in ("hunter2", OTHER_KEY[:20].hex(), repr(OTHER_KEY)[2:20], repr(KEY)[2:20], "the-bucket-s-secret"):
        assert secret not in said


# --- campaigns -------------------------------------------------------------------------------------------------------


@pytest.fixture
def demanding():
    return factories.campaign(identity_required=True, required_documents=["cnh:front"])


@pytest.mark.django_db
@pytest.mark.parametrize(("keys", "expected"), [({}, ["twofa.E062"]), (None, ["twofa.E062"]), ({"1": OTHER_KEY}, [])])
def test_campaign_that_demands_documents_needs_a_key(demanding, keys, expected):
    assert found_in_rows(TWOFA_DOCUMENT_KEYS=keys) == expected


@pytest.mark.django_db
@pytest.mark.parametrize("module", ["PIL", "pypdfium2", "cryptography"])
def test_campaign_that_demands_documents_needs_the_libraries(demanding, module, monkeypatch):
    monkeypatch.setitem(sys.modules, module, None)

    assert found_in_rows(**ring(_1=OTHER_KEY)) == ["twofa.E063"]


@pytest.mark.django_db
@pytest.mark.parametrize("harmless", [{"identity_required": False}, {"is_active": False}])
def test_campaign_that_demands_none_needs_neither(demanding, harmless, monkeypatch):
    type(demanding).objects.filter(pk=demanding.pk).update(**harmless)
    monkeypatch.setitem(sys.modules, "PIL", None)

    assert found_in_rows(TWOFA_DOCUMENT_KEYS={}) == []


@pytest.mark.django_db
def test_stored_document_whose_key_left_the_ring_is_told(documents_folder):
    submitted(factories.Shop().participant)
    kid = next(iter(conf.document_keys))

    assert found_in_rows(TWOFA_DOCUMENT_KEYS={kid: OTHER_KEY}) == []
    assert found_in_rows(TWOFA_DOCUMENT_KEYS={"other": OTHER_KEY}) == ["twofa.W017"]
    DocumentFile.objects.update(wrapped_key=None, erase_due_at=now())
    assert found_in_rows(TWOFA_DOCUMENT_KEYS={"other": OTHER_KEY}) == []
