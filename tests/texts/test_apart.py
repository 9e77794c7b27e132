"""Amounts and tokens stand by themselves in what staff write, whichever way its branches go."""

from __future__ import annotations

import pytest
from django.utils import translation

from tests.texts.test_texts import fault, read
from twofa import texts


@pytest.mark.parametrize(
    ("source", "name", "column"),
    [
        ("{{ amount }}000 {{ item }} {{ token }}", "amount", 1),
        ("9{{ amount }} {{ item }} {{ token }}", "amount", 2),
        ("{{ amount }}.000 {{ item }} {{ token }}", "amount", 1),
        ("{{ amount }} {{ item }} 1{{ token }}", "token", 26),
        ("{{ amount }} {{ item }} {{ token }}{{ sequence }}", "token", 25),
        ("{{ amount }} {{ item }} {% if unit %}7{{ token }}{% else %}{{ token }}{% endif %}", "token", 39),
    ],
)
def test_what_is_approved_and_what_is_typed_do_not_run_into_other_signs(source: str, name: str, column: int):
    expected = f"Line 1, character {column}: “{{{{ {name} }}}}” must stand by itself"

    assert fault(source).startswith(expected)


@pytest.mark.parametrize(
    "source",
    [
        "{{ amount }} {{ item }} {% if unit %}7{% endif %}{{ token }}",
        "7{% if unit %} {% endif %}{{ token }} {{ amount }} {{ item }}",
        "7{% if unit %}{% else %} {% endif %}{{ token }}",
        "7{% for line in items %}{{ line.name }} {% endfor %}{{ token }}",
        "7{% if unit %}{{ token }}{% endif %}",
        "{% for line in items %}{{ token }}{% endfor %}",
        "{% for line in items %}{% empty %}7{% endfor %}{{ token }}",
        # A clean copy of it does not make up for the other.
        "{{ amount }}{% if 1 %}000{% endif %} {{ item }} {{ token }} ({{ amount }})",
        "{% if amount %}0,00{% endif %}{{ amount }} {{ item }}: {{ token }} {{ amount }}",
        "-{{ amount }} {{ item }} {{ token }}",
    ],
)
def test_what_branches_put_together_is_seen_whichever_is_taken(source: str):
    assert "must stand by itself" in fault(source)


@pytest.mark.parametrize(
    "source",
    [
        "7{% if unit %} {% else %}: {% endif %}{{ token }}",
        "7{% for line in items %} {{ line.name }} {% empty %} {% endfor %}{{ token }}",
        "{% if unit %}{{ token }}{% else %}{{ token }}{% endif %}",
    ],
)
def test_what_something_always_keeps_apart_may_stand_there(source: str):
    assert "must stand by itself" not in fault(source)


@pytest.mark.parametrize(
    "glued", ["1<b>@</b>", "<b>@</b>000", "1&#46;@", "1&zwj;@", "<p>a</p>1<i></i>@", "{{ item }}<b>@</b>"]
)
def test_elements_and_entities_keep_nothing_apart(glued: str):
    source = "<p>" + glued.replace("@", "{{ amount }}") + " {{ item }} {{ token }}</p>"

    assert "must stand by itself" in fault(source, channel="email", part="html")


@pytest.mark.parametrize("apart", ["<p>1</p><p>@</p>", "1<br>@", "<td>1</td><td>@</td>", "1&nbsp;@", "<b>@</b>"])
def test_elements_that_begin_a_line_or_a_cell_do(apart: str):
    source = apart.replace("@", "{{ amount }}") + " {{ item }} {{ token }}"

    assert read(source, channel="email", part="html").shown >= {"amount"}


@pytest.mark.parametrize("around", ["({})", "“{}”.", "{}, ", "R${} ", ": {};", "*{}*", "_{}_"])
def test_signs_that_are_no_part_of_a_word_may_stand_beside_them(around: str):
    amount, token = around.format("{{ amount }}"), around.format("{{ token }}")

    assert read(f"{amount} {{{{ item }}}} {token}", channel="whatsapp").shown >= {"amount", "item", "token"}


def test_fault_is_told_in_the_language_of_its_reader():
    with translation.override("es"), pytest.raises(texts.Fault) as caught:
        read("7{{ token }}")
    assert "must stand by itself" in str(caught.value)
