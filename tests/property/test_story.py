"""Any order of events: the engine does what the reference model says, and what must stay true stays true."""

from __future__ import annotations

import time
from datetime import timedelta
from typing import Any

import pytest
from django.apps import apps
from django.conf import settings as django_settings
from django.db import connection
from django.test import override_settings
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from tests import factories
from tests.canary import disguises
from tests.fulfillment import RecordingBackend
from tests.property.model import Story
from tests.stories import cancel, confirm, resend, stored, tamper, travel
from twofa import jobs
from twofa.channels.memory import outbox
from twofa.exceptions import TwoFactorError
from twofa.flows import deliveries, redemptions, sweeps
from twofa.models import Campaign, Challenge, Delivery, Event, Redemption
from twofa.tokens import UnknownKey

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.postgres]

KEYS = {f"k{number}": bytes([number] * 32) for number in range(6)}
UNHEARD = "the process died before its answer"
SHOWN = {"approved": {"approved", "completed", "failed"}, "pending": {"pending_2fa_approval"}}


class Vanished(BaseException):
    """A process that dies in the host's code."""


class Telling(RuleBasedStateMachine):
    """One redemption, and everything that may happen to it."""

    @initialize()
    def checkout(self) -> None:
        RecordingBackend.reset()
        outbox.clear()
        self.compared = 0
        self.tokens: list[str] = []
        self.final: tuple[str, ...] = ()
        self.keys = override_settings(TWOFA_TOKEN_KEYS={"k0": KEYS["k0"]})
        self.keys.enable()
        self.shop = factories.Shop()
        self.redemption = self.shop.open()
        self.started, self.jumped = time.monotonic(), 0.0
        self.story = Story()
        self.remember()

    # --- what happens -------------------------------------------------------------------------------------------------

    @rule(kind=st.sampled_from(["right", "right", "wrong", "wrong", "old", "malformed"]))
    def confirm(self, kind: str) -> None:
        tokens = {
            "right": self.tokens[-1],
            "wrong": ("0" if self.tokens[-1][0] != "0" else "1") + self.tokens[-1][1:],
            "old": self.tokens[max(len(self.tokens) - 2, 0)],
            "malformed": "７Ｋ２Ｍ９Ｑ",
        }
        if kind == "old" and len(set(self.tokens)) == 1:
            kind = "right"
        expected = self.story.confirm(self.clock(), kind)
        told = self.tell(lambda: confirm(self.shop, self.redemption, tokens[kind]))
        assert told in (expected, UNHEARD)

    @rule()
    def resend(self) -> None:
        expected = self.story.resend(self.clock())
        assert self.tell(lambda: resend(self.shop, self.redemption)) in (expected, UNHEARD)
        self.remember()

    @rule()
    def cancel(self) -> None:
        expected = self.story.cancel(self.clock())
        assert self.tell(lambda: cancel(self.shop, self.redemption)) in (expected, UNHEARD)

    @rule(times=st.integers(1, 3))
    def deliver(self, times: int) -> None:
        row = Delivery.objects.latest("id")
        self.story.deliver(self.clock())
        for _ in range(times):
            deliveries.deliver(row.pk)
        self.remember()

    @rule()
    def expire(self) -> None:
        self.story.expire(self.clock())
        redemptions.expire(self.redemption.pk)

    @rule()
    def sweep(self) -> None:
        at = self.clock()
        self.story.expire(at)
        self.story.deliver(at)
        sweeps.sweep()
        self.remember()

    @rule(seconds=st.sampled_from([31, 31, 70, 240, 310, 540, 1750]))
    def let_time_pass(self, seconds: int) -> None:
        self.jump(seconds)

    @rule(mode=st.sampled_from(["off", "optional", "required"]), attempts=st.integers(1, 5))
    def change_the_policy(self, mode: str, attempts: int) -> None:
        changes: dict[str, Any] = {"two_factor_mode": mode, "max_attempts": attempts, "token_ttl": timedelta(seconds=9)}
        Campaign.objects.filter(pk=self.shop.campaign.pk).update(**changes, max_resends=0, allowed_channels=["sms"])

    @precondition(lambda self: len(self.story.ring) < len(KEYS))
    @rule(keep=st.booleans())
    def rotate_the_key(self, keep: bool) -> None:
        newest = f"k{int(max(self.story.ring)[1:]) + 1}"
        if newest not in KEYS:
            return
        self.story.ring = {newest, *(self.story.ring if keep else set())}
        ring = {kid: KEYS[kid] for kid in sorted(self.story.ring, reverse=True)}
        django_settings.TWOFA_TOKEN_KEYS = ring

    @rule(error=st.sampled_from([TimeoutError(), Vanished()]), call=st.sampled_from(["complete", "release"]))
    def let_the_host_fail_next(self, error: BaseException, call: str) -> None:
        RecordingBackend.failures[call] = iter([error])

    @precondition(lambda self: self.story.status == "pending")
    @rule(rare=st.integers(0, 3))
    def write_to_the_row(self, rare: int) -> None:
        if rare == 0:
            tamper(self.redemption, amount="0.01")
            self.story.tampered = True

    # --- what must stay true ------------------------------------------------------------------------------------------

    @invariant()
    def engine_agrees_with_the_model(self) -> None:
        row = Challenge.objects.get(redemption=self.redemption)
        story = self.story
        counted = (row.status, row.attempts, row.resends, row.generation)
        assert counted == (story.status, story.attempts, story.resends, story.generation)
        status, spent = Redemption.objects.values_list("status", "points").get(pk=self.redemption.pk)
        assert status in SHOWN.get(story.status, {story.status})
        assert (status == "completed") is (spent == "completed")

    @invariant()
    def what_must_stay_true_stays_true(self) -> None:
        row = Challenge.objects.get(redemption=self.redemption)
        events = Event.objects.filter(redemption=self.redemption)
        compared = Event.objects.filter(
            challenge=row, type__in=["challenge.attempt_failed", "challenge.approved"]
        ).count()
        assert compared == row.attempts <= 5, "I2"
        assert events.filter(type="redemption.completed").count() <= 1, "I1"
        assert not events.filter(type="redemption.completed").exists() or self.story.status == "approved", "I3"
        assert not (self.story.tampered and self.status() == "completed") or self.final == ("completed",), "I4"
        assert Delivery.objects.open().count() <= 1, "I6"
        assert (row.seed is None) is (row.status != "pending"), "I6"
        if self.final:
            assert self.final == (self.status(),), "I7"
        if self.status() in Redemption.FINAL:
            self.final = (self.status(),)

    def teardown(self) -> None:
        if not hasattr(self, "story"):
            return  # the checkout itself failed
        RecordingBackend.failures.clear()
        for _ in range(3):
            travel(timedelta(hours=2))
            sweeps.sweep()
        status, spent = Redemption.objects.values_list("status", "points").get(pk=self.redemption.pk)
        assert status in Redemption.FINAL, "I5"
        assert spent == ("completed" if status == "completed" else "released"), "I5"
        assert RecordingBackend.count("reserve") == 1
        assert len({(message.idempotency_key, message.text) for message in outbox}) == len(outbox), "I14"
        dump = str(stored())
        assert not [form for token in self.tokens for form in disguises(token) if form in dump], "I8"
        self.keys.disable()
        tables = ", ".join(model._meta.db_table for model in apps.get_app_config("twofa").get_models())
        with connection.cursor() as cursor:
            cursor.execute(f"TRUNCATE {tables} CASCADE")

    # --- how it is told -----------------------------------------------------------------------------------------------

    def clock(self) -> float:
        """Seconds since the checkout, away from every border."""
        while self.story.is_close_to_a_border(self.at()):
            self.jump(4)
        return self.at()

    def at(self) -> float:
        return time.monotonic() - self.started + self.jumped

    def jump(self, seconds: float) -> None:
        travel(timedelta(seconds=seconds))
        self.jumped += seconds

    def status(self) -> str:
        status: str = Redemption.objects.values_list("status", flat=True).get(pk=self.redemption.pk)
        return status

    def tell(self, call: Any) -> str:
        try:
            call()
        except TwoFactorError as error:
            return error.code
        except Vanished:
            return UNHEARD
        return "ok"

    def remember(self) -> None:
        """Keep the token of each generation, as its owner would have received it."""
        row = Challenge.objects.get(redemption=self.redemption)
        if row.seed is not None and row.generation > len(self.tokens):
            try:
                self.tokens.append(row.derive_token())
            except UnknownKey:
                self.tokens.append(self.tokens[-1])


def test_any_story_ends_as_the_model_says(monkeypatch, transactional_db):
    monkeypatch.setattr(jobs, "publish", lambda *_args, **_options: True)
    run_state_machine_as_test(
        Telling,
        settings=settings(
            phases=[Phase.generate],
            max_examples=25,
            stateful_step_count=20,
            deadline=None,
            suppress_health_check=list(HealthCheck),
        ),
    )
