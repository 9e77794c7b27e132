"""Texts of others that want to be more than text, in every column that staff see, on every page, judged by the tree."""

from __future__ import annotations

import re
from itertools import zip_longest

import pytest
from django.apps import apps
from django.contrib.auth.models import User
from django.db import IntegrityError, models, transaction
from django.test import Client
from django.utils.html import escape

from tests.admin.conftest import World, make_world, page
from tests.admin.sites import HIDDEN, SUPERUSER, pages, populate, readers, text_columns
from tests.admin.trees import ADDRESSES, Tree
from twofa.models import STEP_UP, Campaign, Event, Redemption

MARK = "twofaxss"
SUM = "70014"
HARMLESS = "a harmless text, as long as one that is not, so that both are cut at the same place"
# Each begins with another one, because a short column holds no more than the beginning.
CORPUS = {
    "element": f"<script>{MARK}()</script><img src=x onerror={MARK}()><iframe srcdoc='<b {MARK}>'>"
    f"{{{{ 7|add:70007 }}}}{{% now 'Y' %}}{{% debug %}} %(name)s %s %d {{0}} {{x.__class__}} %%",
    "quote": f'"><svg/onload={MARK}()>" onfocus="{MARK}()" autofocus '
    f"x=' onmouseover='{MARK}()' y='><b {MARK}>`${{{MARK}()}}`",
    "address": f"javascript:{MARK}()//\"><a href='javascript:{MARK}()'>data:text/html,<b {MARK}>"
    f"</title></textarea></script></style>--><!--]]><b {MARK}>",
    "disguise": f"\u202e{MARK}\u2066\u200b\x1b[31m{MARK}\x07\r\nSet-Cookie: {MARK}=1"
    f"&lt;b {MARK}&gt;&#60;b {MARK}&#62;&amp;lt;",
}
# What the engine reads itself: it would fall over such a text before a page could show it.
NOT_OF_OTHERS = {"kid", "slug", "password", "two_factor_reason"}
# What such a column must begin with, to be one at all.
BEGINNINGS = {"purpose": STEP_UP, "type": "shop."}


def fill(world: World, text: str) -> set[str]:
    """Put the text into every column of every row; return the columns that hold it."""
    filled = set()
    for model in apps.get_app_config("twofa").get_models():
        for column in text_columns(model):
            if column.choices or column.name in HIDDEN | NOT_OF_OTHERS:
                continue
            if _put(model, column.name, f"{BEGINNINGS.get(column.name, '')}{text}"[: column.max_length]):
                filled.add(f"{model._meta.model_name}.{column.name}")
    items = [{"sku": text, "name": text, "quantity": text, "amount": "1.00"}]
    Redemption._base_manager.update(items=items, two_factor_inputs={text: text, "reason": text})
    data = {text: text, "reason": text, "before": {text: text}, "after": {text: text}, "columns": [text]}
    Event._base_manager.update(data=data)
    Campaign._base_manager.update(required_documents=[text])
    owner = User.objects.exclude(username__startswith="chief").order_by("pk")
    for user in owner:
        User.objects.filter(pk=user.pk).update(
            first_name=text[:150], email=text[:254], username=f"{user.pk}{text}"[:150]
        )
    return filled


def _put(model: type[models.Model], name: str, text: str) -> bool:
    """Write past all that validates; where a row's column must be unique, into one row of them."""
    rows = model._base_manager.order_by("pk")
    for chosen in (rows, model._base_manager.filter(pk__in=rows.values("pk")[:1])):
        try:
            with transaction.atomic():
                chosen.update(**{name: text})
        except IntegrityError:
            continue
        return True
    return False


def faults(tree: Tree) -> list[str]:
    """Where the text became more than text."""
    found = []
    for element in tree.elements:
        for name, value in element.attributes.items():
            plain = re.sub(r"[\x00-\x20]", "", value).lower()
            if MARK in name or (name.startswith("on") and MARK in value):
                found.append(f"<{element.name} {name}>")
            if name in ADDRESSES and plain.startswith(("javascript:", "vbscript:", "data:")):
                found.append(f"<{element.name} {name}={value!r}>")
            if name in ("srcdoc", "style") and MARK in value:
                found.append(f"<{element.name} {name}>")
        if MARK in element.name or (element.name in ("script", "style") and MARK in element.text):
            found.append(f"<{element.name}>")
    return found + [f"comment {comment!r}" for comment in tree.comments if MARK in comment]


def reshaped(harmless: Tree, tree: Tree) -> list[tuple[object, object]]:
    """Where the text changed the page's elements: the first place."""
    pairs = zip_longest(harmless.skeleton, tree.skeleton)
    return [(before, after) for before, after in pairs if before != after][:1]


def opened(world: World, browser: Client, text: str) -> dict[str, Tree]:
    """Every page of ours as this reader finds it, and the pages that repeat what was typed."""
    known = {name: address for name, address in pages(world).items() if name.startswith("twofa_") or name == "index"}
    # A look at a picture is an event, and so one row more; nothing of it is a page.
    del known["twofa_identitydocument_page"]
    known["user"] = pages(world)["auth_user_change"]
    answers = {name: browser.get(address) for name, address in known.items()}
    for model in ("redemption", "event", "campaign"):
        listed = known[f"twofa_{model}_changelist"]
        answers[f"{model}, searched"] = browser.get(listed, {"q": text})
        answers[f"{model}, popup"] = browser.get(listed, {"_popup": "1"})
        answers[f"{model}, unknown"] = browser.get(f"{listed}{MARK}<b>/change/", follow=True)
    for name in ("campaign_change", "storefront_change", "redemption_cancel", "device_show-contact"):
        sent = {"name": text * 20, "reason": text * 20, "slug": text, "unit": text}
        answers[f"{name}, sent back"] = browser.post(known[f"twofa_{name}"], sent)
    return {
        name: Tree(answer.content.decode())
        for name, answer in answers.items()
        if answer.status_code == 200 and "text/html" in answer["Content-Type"]
    }


@pytest.fixture
def town(db: None) -> World:
    # Of a test campaign, so that the sandbox has something to show.
    world = make_world(test=True)
    populate(world)
    return world


def test_text_of_others_stays_text_on_every_page(town: World):
    browser = readers()[SUPERUSER]
    browser.post(page("identitydocument", "review", town.shop.participant.pk), {"do": "claim"})
    fill(town, HARMLESS)
    harmless = opened(town, browser, HARMLESS)
    assert len(harmless) > 50
    for kind, text in CORPUS.items():
        filled = fill(town, text)
        trees = opened(town, browser, text)
        assert trees.keys() == harmless.keys(), kind
        assert {name: faults(tree) for name, tree in trees.items() if faults(tree)} == {}, kind
        # How many rows a search finds depends on its words.
        same_rows = {name: tree for name, tree in trees.items() if not name.endswith("searched")}
        assert {name: found for name, tree in same_rows.items() if (found := reshaped(harmless[name], tree))} == {}, (
            kind
        )
        assert [name for name, tree in trees.items() if SUM in tree.texts] == [], kind
        assert len([name for name, tree in trees.items() if MARK in tree.texts]) > 30, kind
    assert {
        "participant.name",
        "participant.external_id",
        "redemption.order_id",
        "event.actor",
        "delivery.reason",
    } <= filled
    assert {"identitydocument.comment", "identitydocument.internal_comment"} <= filled
    assert {"campaign.name", "storefront.name", "device.name", "delivery.provider_message_id", "event.type"} <= filled


def test_judge_sees_what_it_is_there_for():
    """Each breaker, printed raw where it would work, is found: by the tree's elements, or by its shape."""
    places = [
        ("element", "<p>", "</p>"),
        ("quote", '<input value="', '">'),
        ("quote", "<input value='", "'>"),
        ("quote", "<p>", "</p>"),
        ("address", '<a href="', '">x</a>'),
        ("address", "<textarea>", "</textarea>"),
        ("address", "<script>", "</script>"),
    ]
    for kind, before, after in places:
        assert faults(Tree(before + CORPUS[kind] + after)), (kind, before)
        assert reshaped(Tree(before + HARMLESS + after), Tree(before + CORPUS[kind] + after)), (kind, before)
        assert not faults(Tree(before + HARMLESS + after)), before
        assert not faults(Tree(before + escape(CORPUS[kind]) + after)) or before.startswith(("<a", "<script")), before
