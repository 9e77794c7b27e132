"""Addresses of devices: normalise, place in a country, mask. Pure."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

import phonenumbers
from django.core.exceptions import ValidationError
from django.core.validators import validate_email
from django.utils.translation import gettext_lazy as _

from twofa.exceptions import Invalid

SMS, WHATSAPP, EMAIL = "sms", "whatsapp", "email"
CHANNELS = (SMS, WHATSAPP, EMAIL)
# What a message can reach. Named, and not what it cannot: a kind that a later numbering plan brings stays refused.
_MOBILE = {
    phonenumbers.PhoneNumberType.MOBILE,
    # North America and others have one range for both.
    phonenumbers.PhoneNumberType.FIXED_LINE_OR_MOBILE,
}
_COSTLY = {
    phonenumbers.PhoneNumberType.PREMIUM_RATE,
    phonenumbers.PhoneNumberType.SHARED_COST,
    phonenumbers.PhoneNumberType.PERSONAL_NUMBER,
    phonenumbers.PhoneNumberType.UAN,
    phonenumbers.PhoneNumberType.PAGER,
    phonenumbers.PhoneNumberType.VOICEMAIL,
}
# "World" in the numbering plan: satellites (+870, +881), international networks (+882, +883), personal and premium
# numbers of no country (+878, +979).
_NO_COUNTRY = "001"
_DOT = "•"
_OF_PREFIX = 4
_SHOWN = 8


@dataclass(frozen=True)
class Contact:
    """An address on a channel that nobody has registered yet; ``address`` in its one spelling."""

    channel: str
    address: str = field(repr=False)

    @property
    def destination(self) -> str:
        """Return what may be shown of it."""
        return mask(self.channel, self.address)


def normalise(channel: str, address: str) -> str:
    """Return the one spelling of an address: E.164 for phones, lower-case domain for e-mail. Raises: Invalid."""
    return _normalise_email(address) if channel == EMAIL else _normalise_phone(address)


def _normalise_phone(address: str) -> str:
    number = _parse(address)
    if number is None or not phonenumbers.is_valid_number(number):
        raise Invalid.field(
            "address", "invalid_phone", _("Give a phone number with its country code, like +5511999990034.")
        )
    _ensure_mobile(number)
    return phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164)


def _ensure_mobile(number: phonenumbers.PhoneNumber) -> None:
    """Raise where a message would reach nobody, or would pay whoever owns the range: the purse of SMS pumping."""
    kind = phonenumbers.number_type(number)
    if kind in _COSTLY or phonenumbers.region_code_for_number(number) == _NO_COUNTRY:
        raise Invalid.field("address", "premium_number", _("Messages are not sent to premium-rate numbers."))
    if kind not in _MOBILE:
        raise Invalid.field("address", "not_mobile", _("Give the number of a mobile phone."))


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


def prefix(channel: str, address: str) -> str:
    """Return a phone number without its last four digits; empty for an e-mail address.

    Ranges are rented by the ten thousand numbers, so this is what SMS pumping shows in (OWASP ASVS 2.4.1).
    """
    return "" if channel == EMAIL else address[:-_OF_PREFIX]


def country_of_prefix(start: str) -> str | None:
    """Return the ISO 3166 code of the country that a :func:`prefix` is in, or None where there is none to tell."""
    return country(start + "0" * _OF_PREFIX)


def shortened(number: str) -> str:
    """Return a number, or a beginning of one, as the audit trail may keep it: never whole."""
    known = number[:_SHOWN]
    return known + _DOT * (len(number) - len(known))


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
