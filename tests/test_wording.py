from __future__ import annotations

import time
import unicodedata
from datetime import UTC, datetime
from decimal import Decimal
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from twofa import wording


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Fone de ouvido", "Fone de ouvido"),
        ("É 100% algodão, 500ml", "É 100% algodão, 500ml"),
        ("iPhone 15 128GB", "iPhone 15 128GB"),
        ("TV 55 4K, 10-30 cm, 5 x 10", "TV 55 4K, 10-30 cm, 5 x 10"),
        ("COVID-19 HDMI", "COVID-19 HDMI"),
        ("Your code is 482913", "Your code is •"),
        ("code: 7K2-M9Q", "code: •"),
        ("code: 7K2 M9Q", "code: •"),
        ("code: K7_2M_9Q", "code: •"),
        ("code: K7–2M–9Q", "code: •"),
        ("code: (K7) (2M) (9Q)", "code: (•)"),
        ("code: K7 - 2M - 9Q", "code: •"),
        ("8GB / 1TB, 2L + 5L, 1.5L, 2un", "8GB / 1TB, 2L + 5L, 1.5L, 2un"),
        ("5 points ʺ ″ ''", "5 points ' ' '"),
        ("(K7)(2M)(9Q) K7·2M·9Q", "(•"),
        ("A4/A5, P/M/G, USB-C (2m), 300ml/500ml", "A4/A5, P/M/G, USB-C (2m), 300ml/500ml"),
        ("code: 7k2m9q", "code: •"),
        ("code: KMNPQR", "code: •"),
        ("code: 48 29 13", "code: •"),
        ("code: 4 8 2 9", "code: •"),
        ("code: 4-8-2-9-1-3", "code: •"),
        ("code: 4829_13, 482ABC", "code: •, •"),
        ("code: 4 - 8 - 2 - 9 - 1 - 3", "code: •"),
        ("code: 7 K 2 M 9 Q", "code: •"),
        ("code: 7-K-2-M-9-Q", "code: •"),
        # An SMS takes the accents off: RTPKMZ.
        ("code: ŘȚṔĶḾẐ", "code: •"),
        ("Box 2 x 4 x 6 m", "Box 2 x 4 x 6 m"),
        ("Sizes S M L X P", "Sizes S M L X P"),
        ("code: １２３４５６", "code: •"),
        ("code: ①②③④⑤⑥", "code: •"),
        ("code: ٤٨٢٩١٣", "code: •"),
        ("code: ７Ｋ２Ｍ９Ｑ", "code: •"),
        ("code: 4\u200b8\u200b2\u200b9", "code: •"),
        ("code: 4\u00ad829", "code: •"),
        ("code: 4829\u0335", "code: •\u0335"),
        ("call 0800 123 4567", "call •"),
        ("call +55 (11) 98765-0034", "call +•"),
        ("see https://evil.example/x?y now", "see • now"),
        ("see evil.com/x", "see •"),
        ("see WWW.evil", "see •"),
        ("see evil。com", "see •"),
        ("see evil．com", "see •"),
        ("see пример.рф", "see •"),
        ("see 10.0.0.1/x", "see •"),
        ("write to eve@evil.com", "write to •"),
        ('end" the “quote” «here»', "end' the 'quote' 'here'"),
        ("one\ntwo\r\n\tthree\u2028four\u2029five\x00six\x1b[0m", "one two three four five six [0m"),
        ("a\u202eb\u2066c\u200fd\ufeffe\u180ef", "abcdef"),
        ("12ㅤ34", "•"),
        ("Z" + "\u0335" * 50, "Z" + "\u0335" * 2),
        ("\u200b\u200b", "•"),
        ("   ", "•"),
        ("1.299,00 pontos", "• pontos"),
    ],
)
def test_storefront_text_is_made_safe(text: str, expected: str):
    assert wording.safe(text, limit=60) == expected


@given(st.text(max_size=200))
def test_no_text_of_a_storefront_breaks_out(text: str):
    made = wording.safe(text, limit=40)

    assert 0 < len(made) <= 40
    assert made == " ".join(made.split())
    assert '"' not in made
    assert "://" not in made
    assert not any(unicodedata.category(character) in {"Cc", "Cf", "Cs", "Co", "Zl", "Zp"} for character in made)
    digits = 0
    for character in made:
        digits = digits + 1 if character.isdecimal() else 0
        assert digits < 4


@given(
    st.text(alphabet="0123456789ABCDEFGHJKMNPQRSTVWXYZ", min_size=6, max_size=8), st.sampled_from(["", "ação ", "x: "])
)
def test_no_token_with_a_digit_passes(token: str, before: str):
    assert token not in wording.safe(before + token, limit=60) or not any(map(str.isdigit, token))


def test_long_text_is_cut_where_it_can_be_seen():
    assert wording.safe("word " * 100, limit=20) == "word word word wo..."
    assert wording.plain("word", limit=4) == "word"


def test_huge_text_takes_no_time():
    assert len(wording.safe("a." * 100_000, limit=60)) <= 60
    assert len(wording.safe("﷽" * 100_000, limit=60)) <= 60


def test_characters_that_become_many_take_no_time():
    started = time.process_time()
    wording.safe("㌀" * 500, limit=60)
    assert time.process_time() - started < 0.1


def test_staff_text_keeps_its_numbers_and_loses_what_cannot_be_seen():
    assert wording.plain("Verão\n2026 \u202e“Prêmios”", limit=40) == "Verão 2026 “Prêmios”"


@pytest.mark.parametrize(
    ("value", "portuguese", "english"),
    [
        ("15000.00", "15.000", "15,000"),
        ("15000.50", "15.000,50", "15,000.50"),
        ("0.01", "0,01", "0.01"),
        ("7", "7", "7"),
        ("999999999999.99", "999.999.999.999,99", "999,999,999,999.99"),
        ("1E+3", "1.000", "1,000"),
    ],
)
def test_amount_is_written_as_it_is_read(value: str, portuguese: str, english: str):
    amount = Decimal(value)

    assert wording.amount(amount, "pt-br") == wording.amount(amount, "es") == portuguese
    assert wording.amount(amount, "en") == english


def test_sms_loses_accents_that_would_cost_a_second_message():
    assert wording.gsm7("Verão, ação, avô, “já” – €5…") == 'Verao, acao, avo, "ja" - €5...'
    assert wording.gsm7("é è à ñ Ñ ö ü Ç ß £") == "é è à ñ Ñ ö ü Ç ß £"
    assert wording.gsm7("漢字 🎧 Ж •") == "漢字 🎧 Ж •"


def test_alphabet_of_sms_is_known():
    assert is_gsm7("Token 1: 7K2M9Q, é {x} €")
    assert not is_gsm7("ação")


def is_gsm7(text: str) -> bool:
    """Tell whether SMS can carry a text in its own alphabet."""
    return set(text) <= wording._GSM7


@pytest.mark.parametrize(
    ("text", "encoding", "characters", "count"),
    [
        ("", "GSM-7", 0, 1),
        ("a" * 160, "GSM-7", 160, 1),
        ("a" * 161, "GSM-7", 161, 2),
        ("a" * 306, "GSM-7", 306, 2),
        ("a" * 307, "GSM-7", 307, 3),
        ("€" * 80, "GSM-7", 160, 1),
        ("€" * 81, "GSM-7", 162, 2),
        # An escape and its character stay together: a segment of 153 holds 76 of them, and one is left over.
        ("€" * 153, "GSM-7", 306, 3),
        ("@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞÆæßÉ¤¡ÄÖÑÜ§¿äöñüà", "GSM-7", 44, 1),
        ("\f^{}\\[~]|€", "GSM-7", 20, 1),
        ("ã" * 70, "UCS-2", 70, 1),
        ("ã" * 71, "UCS-2", 71, 2),
        ("ã" * 134, "UCS-2", 134, 2),
        ("ã" * 135, "UCS-2", 135, 3),
        ("🎧" * 35, "UCS-2", 70, 1),
        ("🎧" * 36, "UCS-2", 72, 2),
        # (the same of the two halves of an emoji)
        ("🎧" * 67, "UCS-2", 134, 3),
        ("`", "UCS-2", 1, 1),
        ("ç", "UCS-2", 1, 1),
        ("•", "UCS-2", 1, 1),
    ],
)
def test_sms_is_counted_as_it_is_paid_for(text: str, encoding: str, characters: int, count: int):
    assert wording.segments(text) == wording.Size(encoding, characters, count)


def test_alphabet_of_sms_has_as_many_characters_as_its_standard():
    """3GPP TS 23.038: 128 places, one of which is the escape; ten more behind the escape."""
    assert (len(wording._GSM7_BASIC), len(wording._GSM7_EXTENSION)) == (127, 10)
    assert not wording._GSM7_BASIC & wording._GSM7_EXTENSION


@pytest.mark.parametrize(
    ("locale", "said"),
    [("pt-br", "27/11/2026 09:05 UTC"), ("es", "27/11/2026 09:05 UTC"), ("en", "2026-11-27 09:05 UTC")],
)
def test_time_is_written_as_it_is_read(locale: str, said: str):
    assert wording.moment(datetime(2026, 11, 27, 9, 5, tzinfo=UTC), locale) == said


@pytest.mark.parametrize(
    ("zone", "said"),
    [
        ("America/Sao_Paulo", "06:05 UTC-3"),
        ("Europe/Madrid", "10:05 UTC+1"),
        ("America/St_Johns", "05:35 UTC-3:30"),
        ("Asia/Kathmandu", "14:50 UTC+5:45"),
        ("Europe/London", "09:05 UTC"),
    ],
)
def test_time_names_its_zone_by_what_parts_it_from_utc(zone: str, said: str):
    at = datetime(2026, 11, 27, 9, 5, tzinfo=UTC).astimezone(ZoneInfo(zone))

    assert wording.moment(at, "en") == f"2026-11-27 {said}"


def test_zone_is_that_of_the_day_and_not_of_today():
    at = datetime(2027, 7, 1, 9, 5, tzinfo=UTC).astimezone(ZoneInfo("Europe/Madrid"))

    assert wording.moment(at, "es") == "01/07/2027 11:05 UTC+2"
