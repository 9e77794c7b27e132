"""What staff may write into a message, and that no text of theirs loses what it must say."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from twofa import texts
from twofa.models import KINDS, is_token
from twofa.texts.variables import LINE, REQUIRED, VARIABLES

GOOD = "{{ campaign }}: {{ amount }} {{ unit }}, {{ item }}. Token {{ sequence }}: {{ token }}"


def read(source: str, event: str = "redemption.token", channel: str = "sms", part: str = "text") -> texts.Text:
    return texts.read(source, event=event, channel=channel, part=part)


def fault(source: str, event: str = "redemption.token", channel: str = "sms", part: str = "text") -> str:
    with pytest.raises(texts.Fault) as caught:
        read(source, event, channel, part)
    return str(caught.value)


def test_text_with_all_that_it_needs_is_rendered_with_its_values():
    values = {"campaign": "Summer", "amount": "15,000", "unit": "points", "item": "<Mug>", "sequence": 2, "token": "7K"}

    assert read(GOOD).render(values) == "Summer: 15,000 points, <Mug>. Token 2: 7K"
    assert "&lt;Mug&gt;" in read(GOOD, channel="email", part="html").render(values, as_html=True)


@pytest.mark.parametrize(
    ("source", "line", "column"),
    [
        ("{% include 'x' %}", 1, 1),
        ("{% load i18n %}", 1, 1),
        ("ok\n  {% extends 'base.html' %}", 2, 3),
        ("{% debug %}", 1, 1),
        ("{% csrf_token %}", 1, 1),
        ("{% now 'Y' %}", 1, 1),
        ("{% with a=token %}{% endwith %}", 1, 1),
        ("{% verbatim %}{{ token }}{% endverbatim %}", 1, 1),
        ("{% comment %}{{ token }}{% endcomment %}", 1, 1),
        ("{% autoescape off %}{% endautoescape %}", 1, 1),
        ("{% block content %}{% endblock %}", 1, 1),
        ("{% cycle 'a' 'b' %}", 1, 1),
        ("{% filter upper %}{% endfilter %}", 1, 1),
        ("{% url 'admin:index' %}", 1, 1),
        ("{% partialdef x %}{% endpartialdef %}", 1, 1),
        ("{% %}", 1, 1),
    ],
)
def test_tag_that_loads_includes_or_hides_is_refused_with_its_place(source: str, line: int, column: int):
    said = fault(f"{source}{GOOD}")

    assert said.startswith(f"Line {line}, character {column}:")
    assert "is not allowed here" in said


@pytest.mark.parametrize("left_open", ["{{ item", "item }}", "{% if item", "{{ item\n}}", "{# for later"])
def test_brace_that_would_be_sent_as_it_stands_is_refused_with_its_place(left_open: str):
    said = fault(f"{GOOD}\n{left_open}")

    assert said.startswith("Line 2, character ")
    assert "Is something not closed" in said


@pytest.mark.parametrize(
    "name",
    [
        "password",
        "amount.real",
        "campaign.slug",
        "settings",
        "request",
        "items.0",
        "line.name",
        "when",
    ],
)
def test_unknown_variable_is_refused_with_those_that_are_known(name: str):
    said = fault(f"{GOOD} {{{{ {name} }}}}")

    assert f"“{name}” is not known" in said
    for known in texts.known("redemption.token"):
        assert known in said


@pytest.mark.parametrize("name", ["token._x", "token.__class__", "_private", "item.__str__"])
def test_name_with_an_underscore_before_it_reaches_nothing(name: str):
    assert fault(f"{GOOD} {{{{ {name} }}}}").startswith("Line 1")


@pytest.mark.parametrize(
    "expression",
    [
        "item|safe",
        "item|truncatechars:1",
        "item|add:'x'",
        "item|default:token",
        "token|lower",
        "amount|default:'0'",
        "token|upper",
        "'482913'",
        '"text"',
        "482913",
        "_('text')",
        "_(item)",
        "items",
        "item|",
        "",
    ],
)
def test_filter_or_value_that_could_forge_is_refused(expression: str):
    assert fault(f"{GOOD} {{{{ {expression} }}}}").startswith("Line 1, character")


@pytest.mark.parametrize("expression", ["item|upper", "campaign|lower|capfirst", "requester|default:'somebody'"])
def test_words_may_be_cased(expression: str):
    assert read(f"{GOOD} {{{{ {expression} }}}}")


@pytest.mark.parametrize(
    "loop",
    [
        "{% for c in token %}{{ c }}{% endfor %}",
        "{% for token in items %}{{ token }}{% endfor %}",
        "{% for line in items|upper %}{% endfor %}",
        "{% for a, b in items %}{% endfor %}",
        "{% for forloop in items %}{% endfor %}",
        "{% for line in items %}{% for other in items %}{% endfor %}{% endfor %}",
        "{% for line in items %}{{ line.sku }}{% endfor %}",
        "{% for line in items %}{{ forloop.parentloop }}{% endfor %}",
        "{% for line in items %}{% empty %}{{ line.name }}{% endfor %}",
        "{% for line in 'abc' %}{% endfor %}",
        "{% for line in items %}",
        "{% endfor %}",
        "{% if %}{% endif %}",
        "{% if secret %}{% endif %}",
        "{% if item|default:secret %}{% endif %}",
        "{% else %}",
    ],
)
def test_loop_or_condition_beyond_the_items_is_refused(loop: str):
    assert fault(f"{GOOD}{loop}").startswith("Line 1")


def test_items_are_gone_through_by_what_they_have():
    shown = " ".join("{{ line." + name + " }}" for name in LINE)
    text = read(GOOD + " {% for line in items %}" + shown + "{% if not forloop.last %}, {% endif %}{% endfor %}")
    items = [{"name": "Mug", "quantity": 2, "amount": "10"}, {"name": "Pen", "quantity": 1, "amount": "5"}]

    assert text.render({"items": items}).endswith("Mug 2 10, Pen 1 5")


def test_loop_belongs_to_messages_that_have_items():
    assert "Only “items”" in fault("{{ token }}{% for line in items %}{% endfor %}", "login.token")


# --- what is shown in every case --------------------------------------------------------------------------------------

HIDDEN = [
    "{% if minutes %}@{% endif %}",
    "{% if not minutes %}{% else %}@{% endif %}",
    "{% if minutes %}@{% elif sequence %}@{% endif %}",
    "{% if minutes %}@{% elif sequence %}{% else %}@{% endif %}",
    "{% if requester %}@{% endif %}",
    "{% if requester %}{% else %}@{% endif %}",
    "{% for line in items %}@ {% endfor %}",
    "{% for line in items %}{% empty %}@{% endfor %}",
    "{# @ #}",
    "",
]


@pytest.mark.parametrize("hidden", HIDDEN)
@pytest.mark.parametrize("name", ["token", "amount", "item"])
def test_what_some_branch_leaves_out_is_missing(name: str, hidden: str):
    variable = "{{ " + name + " }}"

    said = fault(GOOD.replace(variable, hidden.replace("@", variable)))

    assert f"It must show {variable}" in said


@pytest.mark.parametrize(
    "shown",
    [
        "{% if minutes %}@ a{% else %}@ b{% endif %}",
        "{% if minutes %}@{% elif sequence %}@{% else %}@{% endif %}",
        "{% if requester %}@{% else %}@{% endif %}",
        "{% for line in items %}@ {% empty %}@{% endfor %}",
    ],
)
@pytest.mark.parametrize("name", ["token", "amount", "item"])
def test_what_every_branch_shows_is_there(name: str, shown: str):
    variable = "{{ " + name + " }}"

    assert name in read(GOOD.replace(variable, shown.replace("@", variable))).shown


@pytest.mark.parametrize(
    "source",
    [
        "{{ token }} {{ amount }} {{ item }}",
        "{{ amount }} {{ token }} {{ item }}",
        "{% if minutes %}{{ amount }} {{ item }} {{ token }}{% else %}{{ token }} {{ amount }} {{ item }}{% endif %}",
        "{% if minutes %}{{ token }} {% endif %}{{ amount }} {{ item }} {{ token }}",
    ],
)
def test_what_is_approved_stands_before_the_token(source: str):
    assert "must come before the token" in fault(source)


@pytest.mark.parametrize("event", REQUIRED)
@pytest.mark.parametrize("left_out", range(5))
def test_each_message_needs_what_it_is_about(event: str, left_out: int):
    needed = texts.required(event, part="text")
    if left_out >= len(needed):
        left_out = len(needed) - 1
    whole = " ".join("{{ " + name + " }}" for name in needed)

    assert set(needed) <= read(whole, event).shown
    assert needed[left_out] in fault(whole.replace("{{ " + needed[left_out] + " }}", "-"), event)


def test_every_token_message_needs_its_token_and_no_notice_has_one():
    for event in KINDS:
        assert ("token" in texts.required(event, part="text")) == is_token(event)
        assert ("token" in texts.known(event)) == is_token(event)
    assert set(VARIABLES) <= set(KINDS)
    assert "not known" in fault("{{ token }}", "device.revoked")


def test_subject_never_has_the_token():
    assert read("{{ campaign }}: {{ amount }}", channel="email", part="subject")
    assert "“token” is not known" in fault("{{ token }}", channel="email", part="subject")


def test_text_knows_whether_it_names_who_asks():
    silent = read(GOOD)
    naming = read("{% if requester %}{{ requester }} asks: {% endif %}" + GOOD)
    other = read("{% if not requester %}{{ requester }}{% endif %}" + GOOD)

    assert "requester" not in silent.shown_to_approver
    assert ("requester" in naming.shown, "requester" in naming.shown_to_approver) == (False, True)
    assert "requester" not in other.shown_to_approver


# --- words ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "words", ["see https://evil.example", "www.evil", "go to shop.com", "{{ campaign }}.com", "a.Sure"]
)
@pytest.mark.parametrize("channel", ["sms", "whatsapp"])
def test_message_to_a_phone_has_no_link(channel: str, words: str):
    assert "Links" in fault(f"{words} {GOOD}", channel=channel)
    assert read(f"{words} {GOOD}", channel="email")


@pytest.mark.parametrize(
    "source",
    [
        "{% if item %}" * 9 + "{% endif %}" * 9,
        "{%if item%}" * 400 + "{%endif%}" * 400,
        "{% if " + "not " * 2000 + "item %}{% endif %}",
        "{% if " + "item or " * 1200 + "item %}{% endif %}",
    ],
)
def test_text_that_would_exhaust_the_stack_is_refused(source: str):
    assert "too much at once" in fault(source + GOOD, channel="email", part="html")


def test_text_may_be_as_deep_as_anybody_needs():
    assert read("{% if item %}" * 8 + "{% endif %}" * 8 + GOOD)


@pytest.mark.parametrize("character", ["\u202e", "\u200b", "\u2066", "\x00", "\u00ad", "\ufeff"])
def test_character_that_cannot_be_seen_is_refused_by_its_code(character: str):
    said = fault(f"{GOOD}\nab{character}c")

    assert said.startswith("Line 2, character 3:")
    assert f"U+{ord(character):04X}" in said


def test_text_has_an_end():
    assert "At most 600" in fault(GOOD + "x" * 600)
    assert "At most 2000" in fault(GOOD + "x" * 2000, channel="whatsapp")
    assert "At most 10000" in fault(GOOD + "x" * 10_000, channel="email", part="html")


# --- all that is wrong, at once ---------------------------------------------------------------------------------------


def faults(source: str, event: str = "redemption.token", channel: str = "sms", part: str = "text") -> list[str]:
    return [str(fault) for fault in texts.faults(source, event=event, channel=channel, part=part)]


def test_right_text_has_no_fault():
    assert faults(GOOD) == []


@pytest.mark.parametrize(
    ("source", "told"),
    [
        ("{% load x %}{{ amoun }} {{ ite }}" + GOOD, ["{% load x %}", "amoun", "ite"]),
        ("{{ item|safe }} {{ secret }} {{ amount|upper }}" + GOOD, ["item|safe", "secret", "“amount” stands"]),
        ("\u202e item }} {% if secret %}{{ x }}{% endif %}" + GOOD, ["U+202E", "closed", "“secret”", "“x”"]),
        ("go to evil.example {{ x }}" + GOOD, ["“x”", "Links"]),
        ("{{ tokn }} {{ amount }}", ["“tokn”", "It must show {{ item }}, {{ token }}"]),
        ("{{ token }} {{ amount }}", ["It must show {{ item }}", "{{ amount }} must come before"]),
    ],
)
def test_faults_of_one_text_are_told_together(source: str, told: list[str]):
    found = faults(source)

    assert len(found) == len(told)
    assert all(word in said for word, said in zip(told, found, strict=True))


@pytest.mark.parametrize(
    "source",
    [
        "{% with a=1 %}{{ a }}{% endwith %}" + GOOD,
        "{% ifchanged %}{{ a }}{% endif %}" + GOOD,
        "{% for a, b in items %}{% endfor %}{{ a }}" + GOOD,
        "{% if item %}{% elif secret %}{% endif %}" + GOOD,
    ],
)
def test_what_comes_of_the_gap_of_a_fault_is_not_told(source: str):
    assert all("closed" not in said for said in faults(source))
    assert len(faults(source)) == len(set(faults(source))) > 0


def test_place_of_a_fault_is_that_of_the_text_as_it_was_typed():
    places = [said.partition(":")[0] for said in faults("{% load x %}\n  {{ a }}{{ b }}" + GOOD)]

    assert places == ["Line 1, character 1", "Line 2, character 3", "Line 2, character 10"]


def test_faults_have_an_end():
    assert len(faults("{{ a }}" * 60 + GOOD)) == 8
    assert faults("{{ a }}" * 200)[0].startswith("At most 600")
    assert "too much at once" in faults("{%if item%}" * 400 + GOOD, channel="email", part="html")[0]


LEAVES = st.sampled_from(
    ["{{ token }}", "{{ amount }}", "{{ item }}", "{{ amount }} {{ item }}", "{{ requester }}", "x"]
)


def _branched(inner: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    shapes = st.sampled_from(
        [
            "{{% if requester %}}{0}{{% else %}}{1}{{% endif %}}",
            "{{% if minutes %}}{0}{{% elif requester %}}{1}{{% else %}}{0}{{% endif %}}",
            "{{% if not minutes %}}{0}{{% endif %}}{1}",
            "{{% for line in items %}}{0}{{% empty %}}{1}{{% endfor %}}",
            "{0} {1}",
        ]
    )
    return st.builds(lambda shape, one, other: str(shape.format(one, other)), shapes, inner, inner)


@given(st.recursive(LEAVES, _branched, max_leaves=12), st.booleans(), st.booleans(), st.booleans())
def test_no_text_that_is_taken_loses_token_amount_or_item(source: str, asks: bool, soon: bool, several: bool):
    """Whatever is put together: it is refused, or it shows all of them in this case too, the token last."""
    found = faults(source)
    try:
        text = read(source)
    except texts.Fault:
        assert found
        return
    assert found == []
    values = {"token": "TOK", "amount": "AMO", "item": "ITE", "requester": "REQ" if asks else "", "minutes": int(soon)}
    shown = text.render({**values, "items": [{"name": "N", "quantity": 1, "amount": "1"}] if several else []})

    assert all(word in shown for word in ("TOK", "AMO", "ITE"))
    assert max(shown.index("AMO"), shown.index("ITE")) < shown.index("TOK")
    assert "REQ" in shown or not (asks and "requester" in text.shown_to_approver)


def test_texts_of_that_kind_are_taken_where_they_are_right():
    """So that the property above is not one of refusals alone."""
    assert read("{% if requester %}{{ amount }}{% else %}x {{ amount }}{% endif %} {{ item }} {{ token }}")
