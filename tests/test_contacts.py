from __future__ import annotations

import phonenumbers
import pytest
from hypothesis import given
from hypothesis import strategies as st

from twofa import contacts
from twofa.exceptions import Invalid


@pytest.mark.parametrize(
    "spelling", ["+5511999990034", "+55 11 99999-0034", "+55 (11) 99999.0034", "  +5511999990034 "]
)
def test_spellings_of_a_phone_are_one_address(spelling: str):
    assert contacts.normalise("sms", spelling) == "+5511999990034"
    assert contacts.normalise("whatsapp", spelling) == "+5511999990034"


@pytest.mark.parametrize(
    "address",
    [
        "",
        "+",
        "11999990034",
        "005511999990034",
        "+551199999",
        "+55119999900345678901",
        "+5511999990034;ext=5",
        "+5511999990034 ext 5",
        "tel:+5511999990034",
        "+55119999900３４",
        "+5511999990034\x00",
        "+5511999990034\n+5511999990035",
        "+0000000000000",
        "+" + "9" * 10_000,
        "ana@example.com",
        "+55 11 VANITY1",
    ],
    ids=lambda address: ascii(address)[:24],
)
def test_what_is_no_phone_is_refused(address: str):
    with pytest.raises(Invalid) as refused:
        contacts.normalise("sms", address)
    assert refused.value.params["errors"][0]["field"] == "address"


def code_of(channel: str, address: str) -> str:
    with pytest.raises(Invalid) as refused:
        contacts.normalise(channel, address)
    return refused.value.params["errors"][0]["code"]


@pytest.mark.parametrize("channel", ["sms", "whatsapp"])
@pytest.mark.parametrize(
    "address",
    [
        pytest.param("+447012345678", id="personal, United Kingdom"),
        pytest.param("+15002345678", id="personal, North America"),
        pytest.param("+449012345678", id="premium"),
        pytest.param("+351760123456", id="premium, Portugal"),
        pytest.param("+80812345678", id="shared cost"),
        pytest.param("+447640123456", id="pager"),
        pytest.param("+445512345678", id="company"),
        pytest.param("+49177991234567", id="voicemail"),
        pytest.param("+870301234567", id="Inmarsat"),
        pytest.param("+881612345678", id="satellite"),
        pytest.param("+8823421234", id="international network"),
        pytest.param("+883510012345", id="international network, VoIP"),
        pytest.param("+878101234567890", id="universal personal"),
        pytest.param("+979123456789", id="international premium"),
    ],
)
def test_numbers_that_pay_their_owner_are_refused(channel: str, address: str):
    assert code_of(channel, address) == "premium_number"


@pytest.mark.parametrize("channel", ["sms", "whatsapp"])
@pytest.mark.parametrize(
    "address",
    [
        pytest.param("+551123456789", id="landline"),
        pytest.param("+445612345678", id="VoIP"),
        pytest.param("+448001234567", id="toll-free"),
    ],
)
def test_numbers_that_no_message_reaches_are_refused(channel: str, address: str):
    assert code_of(channel, address) == "not_mobile"


@pytest.mark.parametrize(
    "address",
    ["+5511961234567", "+351912345678", "+34612345678", "+5491123456789", "+12015550123", "+522221234567"],
)
def test_mobiles_are_accepted_and_what_may_be_one(address: str):
    """North America and Mexico have one range for mobiles and landlines."""
    assert contacts.normalise("sms", address) == address


def test_every_kind_of_number_but_mobiles_is_refused():
    """Also those that a later numbering plan brings: each country's example of each kind that there is."""
    kinds = [kind for kind in vars(phonenumbers.PhoneNumberType).values() if isinstance(kind, int)]
    for region in phonenumbers.SUPPORTED_REGIONS:
        for kind in set(kinds):
            number = phonenumbers.example_number_for_type(region, kind)
            if number is None or not phonenumbers.is_valid_number(number):
                continue
            address = phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164)
            if phonenumbers.number_type(number) in {1, 2}:  # mobile; mobile or landline
                assert contacts.normalise("sms", address) == address
            else:
                assert code_of("sms", address) in {"premium_number", "not_mobile"}, address


def test_domain_of_an_address_has_one_spelling():
    assert contacts.normalise("email", " Ana@EXAMPLE.com ") == "Ana@example.com"


@pytest.mark.parametrize(
    "address",
    ["", "ana", "@", "ana@", "@example.com", "ana@example", "a b@example.com", "ana@example.com\nBcc: x@example.com"]
    + ["ana@exam\x00ple.com", "ana@example.com, bea@example.com", "Ana <ana@example.com>", "a" * 400 + "@example.com"],
    ids=lambda address: ascii(address)[:24],
)
def test_what_is_no_address_is_refused(address: str):
    with pytest.raises(Invalid):
        contacts.normalise("email", address)


@pytest.mark.parametrize(
    ("channel", "address", "mask"),
    [
        ("sms", "+5511999990034", "+55 •• •••••-••34"),
        ("whatsapp", "+5511999990034", "+55 •• •••••-••34"),
        ("sms", "+14155550134", "+1 •••-•••-••34"),
        ("email", "ana@example.com", "a•••••@•••••.com"),
        ("email", "x@mail.example.org.br", "x•••••@•••••.br"),
        ("sms", "not a phone", "••••••••"),
    ],
)
def test_mask_shows_what_the_contract_says(channel: str, address: str, mask: str):
    assert contacts.mask(channel, address) == mask


@given(st.integers(0, 99_999_999))
def test_mask_of_a_phone_shows_its_country_and_two_digits_and_no_more(number: int):
    address = f"+55119{number:08d}"
    mask = contacts.mask("sms", address)
    assert [character for character in mask if character.isdigit()] == [*"55", *address[-2:]]


@given(st.emails(), st.emails())
def test_mask_of_an_email_depends_on_what_it_shows_only(one: str, other: str):
    """Neither its length nor anything else tells two addresses apart: two masks cannot be laid on top of each other."""
    shown = [(address[0], address.rpartition(".")[2]) for address in (one, other)]
    if shown[0] == shown[1]:
        assert contacts.mask("email", one) == contacts.mask("email", other)


@pytest.mark.parametrize(
    ("address", "country"),
    [("+5511999990034", "BR"), ("+14165550134", "CA"), ("+12125550134", "US"), ("ana@example.com", None)],
)
def test_country_of_an_address(address: str, country: str | None):
    assert contacts.country(address) == country


@pytest.mark.parametrize(
    ("channel", "address", "prefix"),
    [
        ("sms", "+5511999990034", "+551199999"),
        ("whatsapp", "+5511999990034", "+551199999"),
        ("sms", "+35699123456", "+3569912"),
        ("email", "ana1234@example.com", ""),
    ],
)
def test_prefix_is_a_phone_number_without_its_last_four_digits(channel: str, address: str, prefix: str):
    assert contacts.prefix(channel, address) == prefix


@pytest.mark.parametrize(
    ("prefix", "country"), [("+551199999", "BR"), ("+35191234", "PT"), ("+1650253", "US"), ("+999", None), ("", None)]
)
def test_country_of_a_prefix(prefix: str, country: str | None):
    assert contacts.country_of_prefix(prefix) == country


@pytest.mark.parametrize(
    ("number", "shown"), [("+5511999990034", "+5511999••••••"), ("+5511", "+5511"), ("+5511999", "+5511999")]
)
def test_shortened_number_is_never_whole(number: str, shown: str):
    assert contacts.shortened(number) == shown
