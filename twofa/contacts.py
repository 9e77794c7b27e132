"""Addresses of devices: normalise, place in a country, mask. Pure."""

from __future__ import annotations

import re

import phonenumbers
from django.core.exceptions import ValidationError
from django.core.validators import validate_email
from django.utils.translation import gettext_lazy as _

from twofa.exceptions import Invalid

SMS, WHATSAPP, EMAIL = "sms", "whatsapp", "email"
CHANNELS = (SMS, WHATSAPP, EMAIL)
_PREMIUM = {
    phonenumbers.PhoneNumberType.PREMIUM_RATE,
    phonenumbers.PhoneNumberType.SHARED_COST,
    phonenumbers.PhoneNumberType.UAN,
    phonenumbers.PhoneNumberType.PAGER,
    phonenumbers.PhoneNumberType.VOICEMAIL,
}
_DOT = "•"


def normalise(channel: str, address: str) -> str:
    """Return the one spelling of an address: E.164 for phones, lower-case domain for e-mail. Raises: Invalid."""
    return _normalise_email(address) if channel == EMAIL else _normalise_phone(address)


def _normalise_phone(address: str) -> str:
    number = _parse(address)
    if number is None or not phonenumbers.is_valid_number(number):
        raise Invalid.field(
            "address", "invalid_phone", _("Give a phone number with its country code, like +5511999990034.")
        )
    # Premium and shared-cost ranges pay their owner for every message: the purse of SMS pumping.
    if phonenumbers.number_type(number) in _PREMIUM:
        raise Invalid.field("address", "premium_number", _("Messages are not sent to premium-rate numbers."))
    return phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164)


def _normalise_email(address: str) -> str:
    local, _at, domain = address.strip().rpartition("@")
    candidate = f"{local}@{domain.lower()}"
    try:
        validate_email(candidate)
    except ValidationError:
        raise Invalid.field("address", "invalid_email", _("Give an e-mail address, like ana@example.com.")) from None
    return candidate


def _parse(address: str) -> phonenumbers.PhoneNumber | None:
    if not re.fullmatch(r"\+[0-9 ().-]{6,30}", address.strip()):
        return None
    try:
        return phonenumbers.parse(address.strip())
    except phonenumbers.NumberParseException:
        return None


def country(address: str) -> str | None:
    """Return the ISO 3166 code of a phone's country, or None where there is none to tell (e-mail)."""
    number = _parse(address)
    return phonenumbers.region_code_for_number(number) if number is not None else None


def mask(channel: str, address: str) -> str:
    """Return what may be shown of an address, the same for everybody.

    One mask, because two masks of one address that show different parts can be laid on top of each other.
    """
    if channel == EMAIL:
        local, _at, domain = address.rpartition("@")
        return f"{local[:1]}{_DOT * 5}@{_DOT * 5}.{domain.rpartition('.')[2]}"
    number = _parse(address)
    if number is None:
        return _DOT * 8
    return _mask_phone(number)


def _mask_phone(number: phonenumbers.PhoneNumber) -> str:
    code = f"+{number.country_code}"
    national = phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.INTERNATIONAL).removeprefix(code)
    hidden = re.sub(r"[0-9]", _DOT, national[:-2])
    return code + hidden + national[-2:]
