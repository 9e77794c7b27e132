from __future__ import annotations

import hashlib
import hmac
import os
import sys

import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from hypothesis import given
from hypothesis import strategies as st

from twofa import vault
from twofa.exceptions import DocumentUnreadable, StorageUnavailable

OLD, NEW = b"the ring's first key, for tests, 32 bytes", b"the ring's newer key, for tests, 32 bytes"
PICTURE = b"\xff\xd8\xff\xe0\x00\x10JFIF" + bytes(range(256)) * 50
NAME = "ab/abcdef"


@pytest.fixture(autouse=True)
def ring(settings):
    settings.TWOFA_DOCUMENT_KEYS = {"new": NEW, "old": OLD}


def opened(sealed: vault.Sealed, name: str = NAME) -> bytes:
    return vault.unseal(sealed.ciphertext, name=name, kid=sealed.kid, wrapped_key=sealed.wrapped_key)


@given(data=st.binary(max_size=5000))
def test_sealed_file_opens_to_what_it_was(data):
    name = vault.new_name()

    sealed = vault.seal(data, name=name)

    assert opened(sealed, name) == data


def test_file_at_rest_is_no_picture():
    sealed = vault.seal(PICTURE, name=NAME)

    assert b"JFIF" not in sealed.ciphertext
    assert PICTURE[16:32] not in sealed.ciphertext
    assert not sealed.ciphertext.startswith(b"\xff\xd8")


def test_same_file_twice_has_nothing_in_common():
    first, second = (vault.seal(PICTURE, name=NAME) for _time in range(2))

    assert first.wrapped_key != second.wrapped_key
    assert first.ciphertext[1:29] != second.ciphertext[1:29]
    assert first.ciphertext[-64:] != second.ciphertext[-64:]


def test_secrets_are_in_no_repr():
    assert repr(vault.seal(PICTURE, name=NAME)) == "Sealed(kid='new')"


# --- the format, written a second time from its description -----------------------------------------------------------


def spelled(kind: str, payload: bytes) -> bytes:
    return kind.encode() + len(payload).to_bytes(8, "big") + payload


def bound(*texts: str) -> bytes:
    return spelled("l", b"".join(spelled("s", text.encode()) for text in texts))


def wrapping(key: bytes, label: bytes = b"document-key") -> bytes:
    """RFC 5869, with 32 bytes of output."""
    return hmac.digest(hmac.digest(b"twofa", key, "sha256"), label + b"\x01", "sha256")


def test_format_is_the_one_that_stored_files_have():
    sealed = vault.seal(PICTURE, name=NAME)

    aad = bound("twofa/v1", "document-key", "new", NAME)
    file_key = AESGCM(wrapping(NEW)).decrypt(sealed.wrapped_key[:12], sealed.wrapped_key[12:], aad)
    assert (len(file_key), sealed.ciphertext[0]) == (32, 1)
    aad = bound("twofa/v1", "document", NAME)
    assert AESGCM(file_key).decrypt(sealed.ciphertext[1:13], sealed.ciphertext[13:], aad) == PICTURE


# --- what does not open -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("place", [0, 1, 12, 13, 500, -17, -16, -1])
def test_changed_byte_is_unreadable(place):
    sealed = vault.seal(PICTURE, name=NAME)
    changed = bytearray(sealed.ciphertext)
    changed[place] ^= 1

    with pytest.raises(DocumentUnreadable):
        vault.unseal(bytes(changed), name=NAME, kid=sealed.kid, wrapped_key=sealed.wrapped_key)
    assert opened(sealed) == PICTURE


@pytest.mark.parametrize("length", [0, 1, 12, 13, 28, 29, 100, -1])
def test_truncated_file_is_unreadable(length):
    sealed = vault.seal(PICTURE, name=NAME)

    with pytest.raises(DocumentUnreadable):
        vault.unseal(sealed.ciphertext[:length], name=NAME, kid=sealed.kid, wrapped_key=sealed.wrapped_key)


SPOILT = {
    "erased": lambda _key: b"",
    "null": lambda _key: None,
    "shortened": lambda key: key[:-1],
    "too short": lambda key: key[:20],
    "another": lambda key: os.urandom(len(key)),
}


@pytest.mark.parametrize("spoil", SPOILT.values(), ids=SPOILT)
def test_file_whose_own_key_is_gone_or_changed_is_unreadable(spoil):
    sealed = vault.seal(PICTURE, name=NAME)
    spoilt = spoil(sealed.wrapped_key)

    with pytest.raises(DocumentUnreadable):
        vault.unseal(sealed.ciphertext, name=NAME, kid=sealed.kid, wrapped_key=spoilt)


def test_files_that_changed_places_are_unreadable():
    mine, yours = vault.seal(PICTURE, name="aa/mine"), vault.seal(PICTURE, name="bb/yours")

    with pytest.raises(DocumentUnreadable):  # the file under another name, its row untouched
        vault.unseal(yours.ciphertext, name="aa/mine", kid=mine.kid, wrapped_key=mine.wrapped_key)
    with pytest.raises(DocumentUnreadable):  # file and key together
        vault.unseal(yours.ciphertext, name="aa/mine", kid=yours.kid, wrapped_key=yours.wrapped_key)


def test_key_under_another_id_is_unreadable(settings):
    settings.TWOFA_DOCUMENT_KEYS = {"new": NEW, "other": NEW}
    sealed = vault.seal(PICTURE, name=NAME)

    with pytest.raises(DocumentUnreadable):
        vault.unseal(sealed.ciphertext, name=NAME, kid="other", wrapped_key=sealed.wrapped_key)


def test_bytes_from_a_column_open_too():
    sealed = vault.seal(PICTURE, name=NAME)

    wrapped = memoryview(sealed.wrapped_key)
    assert vault.unseal(sealed.ciphertext, name=NAME, kid=sealed.kid, wrapped_key=wrapped) == PICTURE


# --- the ring ---------------------------------------------------------------------------------------------------------


def test_first_key_seals_and_all_open(settings):
    settings.TWOFA_DOCUMENT_KEYS = {"old": OLD}
    before = vault.seal(PICTURE, name=NAME)
    settings.TWOFA_DOCUMENT_KEYS = {"new": NEW, "old": OLD}

    assert (before.kid, vault.seal(PICTURE, name=NAME).kid) == ("old", "new")
    assert opened(before) == PICTURE


def test_key_erased_from_the_ring_erases_what_it_sealed(settings, caplog):
    sealed = vault.seal(PICTURE, name=NAME)
    settings.TWOFA_DOCUMENT_KEYS = {"old": OLD}

    with pytest.raises(DocumentUnreadable):
        opened(sealed)
    assert "'new', which is not in TWOFA_DOCUMENT_KEYS" in caplog.text


@pytest.mark.parametrize("given", [{}, None, ["key"], {"1": 42}, {"1": "not base64: hunter2"}])
def test_without_a_ring_nothing_is_sealed_and_the_log_says_why(given, settings, caplog):
    sealed = vault.seal(PICTURE, name=NAME)
    settings.TWOFA_DOCUMENT_KEYS = given

    calls = [lambda: vault.seal(PICTURE, name=NAME), lambda: opened(sealed)]
    calls += [lambda: vault.fingerprint(b"x"), lambda: vault.fingerprints(b"x")]
    for call in calls:
        with pytest.raises(StorageUnavailable) as raised:
            call()
        assert raised.value.params == {"retry_after": 60}
    assert {record.getMessage().split(":")[0] for record in caplog.records} == {"no document can be stored or read"}
    assert caplog.text.count("TWOFA_DOCUMENT_KEYS") == len(calls)
    assert "hunter2" not in caplog.text


def test_without_the_library_nothing_is_sealed_and_the_log_says_what_to_install(monkeypatch, caplog):
    sealed = vault.seal(PICTURE, name=NAME)
    monkeypatch.delattr("twofa.vault.aes")
    monkeypatch.delitem(sys.modules, "twofa.vault.aes")
    monkeypatch.setitem(sys.modules, "cryptography.exceptions", None)

    for call in (lambda: vault.seal(PICTURE, name=NAME), lambda: opened(sealed)):
        with pytest.raises(StorageUnavailable):
            call()
    assert caplog.text.count("install django-twofa[documents]") == 2


# --- recognising a picture --------------------------------------------------------------------------------------------


def test_same_picture_is_recognised_and_another_is_not():
    digest = hashlib.sha256(PICTURE).digest()

    assert vault.fingerprint(digest) == vault.fingerprint(digest)
    assert vault.fingerprint(digest) != vault.fingerprint(hashlib.sha256(b"another").digest())


def test_fingerprint_is_keyed_by_a_key_of_its_own():
    digest = hashlib.sha256(PICTURE).digest()
    keyed = hmac.digest(wrapping(NEW, b"document-fingerprint"), spelled("b", digest), "sha256")

    assert vault.fingerprint(digest) == ("new", keyed)


def test_picture_is_recognised_after_a_rotation(settings):
    settings.TWOFA_DOCUMENT_KEYS = {"old": OLD}
    before = vault.fingerprint(b"digest")
    settings.TWOFA_DOCUMENT_KEYS = {"new": NEW, "old": OLD}

    assert vault.fingerprint(b"digest") != before
    assert before in vault.fingerprints(b"digest")
    assert [kid for kid, _keyed in vault.fingerprints(b"digest")] == ["new", "old"]
