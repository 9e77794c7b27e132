"""What one redemption must do, in the fewest words: the reference that the engine is compared with.

Times are seconds since the checkout. Policy: 5 attempts, 3 resends, 30 s of pause, 5 min of life from the hand-off,
10 min from the issue at most, 30 min to confirm.
"""

from __future__ import annotations

from dataclasses import dataclass, field

ATTEMPTS, RESENDS, PAUSE, LIFE, CAP, DEADLINE, USEFUL = 5, 3, 30, 300, 600, 1800, 60


@dataclass
class Story:
    status: str = "pending"
    attempts: int = 0
    resends: int = 0
    generation: int = 1
    issued: float = 0
    expires: float | None = None
    delivery: str = "queued"
    reminted: bool = False
    tampered: bool = False
    known_old: bool = True  # whether the replaced token could be sealed when it was replaced
    kids: list[str] = field(default_factory=lambda: ["k0"])  # of each generation
    ring: set[str] = field(default_factory=lambda: {"k0"})

    @property
    def live_until(self) -> float:
        return min(self.issued + CAP if self.expires is None else self.expires, DEADLINE)

    def confirm(self, at: float, kind: str) -> str:
        if self.status != "pending":
            return self.replay(kind)
        if at >= DEADLINE:
            return self.end("expired", "challenge_closed")
        if self.tampered:
            return self.end("cancelled", "transaction_changed")
        if kind == "malformed":
            return "token_malformed"
        if at >= self.live_until or self.kids[-1] not in self.ring:
            return "token_expired"
        self.attempts += 1
        if kind == "right":
            return self.end("approved", "ok")
        if self.attempts == ATTEMPTS:
            return self.end("rejected", "attempts_exhausted")
        return "token_superseded" if kind == "old" and self.known_old else "token_invalid"

    def replay(self, kind: str) -> str:
        if kind == "malformed":
            return "token_malformed"
        accepted = self.status == "approved" and kind == "right" and self.kids[-1] in self.ring
        return "ok" if accepted else "challenge_closed"

    def resend(self, at: float) -> str:
        if self.status == "pending" and at >= DEADLINE:
            self.end("expired", "")
        if self.status != "pending":
            return "challenge_closed"
        free = self.delivery in ("failed", "expired")
        if not free and self.resends == RESENDS:
            return "resends_exhausted"
        if not free and at < self.issued + PAUSE:
            return "resend_cooldown"
        self.resends += not free
        return self.rotate(at, reminted=False)

    def rotate(self, at: float, *, reminted: bool) -> str:
        self.generation, self.issued, self.expires = self.generation + 1, at, None
        self.delivery, self.reminted = "queued", reminted
        self.known_old = self.kids[-1] in self.ring
        self.kids.append(max(self.ring))  # the newest issues
        return "ok"

    def deliver(self, at: float) -> None:
        if self.delivery != "queued":
            return
        if self.status != "pending":
            self.delivery = "superseded"
        elif min(LIFE, self.live_until - at) < USEFUL:
            if self.reminted or DEADLINE - at < USEFUL:
                self.delivery = "expired"
            else:
                self.rotate(at, reminted=True)
        elif self.tampered or self.kids[-1] not in self.ring:
            self.delivery = "failed"
        else:
            self.delivery, self.expires = "sent", min(at + LIFE, self.issued + CAP, DEADLINE)

    def cancel(self, at: float) -> str:
        if self.status == "pending" and at >= DEADLINE:
            self.end("expired", "")
        if self.status == "cancelled":
            return "ok"
        return self.end("cancelled", "ok") if self.status == "pending" else "wrong_state"

    def expire(self, at: float) -> None:
        if self.status == "pending" and at >= DEADLINE:
            self.end("expired", "")

    def end(self, status: str, answer: str) -> str:
        self.status = status
        return answer

    def is_close_to_a_border(self, at: float) -> bool:
        """Whether a second more or less would matter: then nobody can say what should happen."""
        near = [self.issued + PAUSE, self.live_until, self.live_until - USEFUL, DEADLINE, DEADLINE - USEFUL]
        return any(abs(at - border) < 3 for border in near)
