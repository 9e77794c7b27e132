"""Where to go next: paths below the prefix at which the host mounted us, so never with a host name in them."""

from __future__ import annotations

from dataclasses import dataclass, field
from uuid import UUID


@dataclass(frozen=True)
class Links:
    """The paths of the resource at hand, by the type of the next action that leads there."""

    paths: dict[str, str] = field(default_factory=dict)

    def path(self, action: str) -> str | None:
        """Return the path for an action, or None where it has none here."""
        return self.paths.get(action)


NOWHERE = Links()


def of_redemption(
    pk: UUID, *, campaign: str | None = None, participant: str | None = None, batch: UUID | None = None
) -> Links:
    """Return the links of a redemption, and of its participant where that is known; a line is answered at its batch."""
    base = f"/redemptions/{pk}/"
    answered = _answered_at(base if batch is None else f"/redemption-batches/{batch}/")
    return Links({**answered, "wait": base, **_participant_paths(campaign, participant)})


def of_batch(pk: UUID, *, campaign: str | None = None, participant: str | None = None) -> Links:
    """Return the links of a batch, and of its participant where that is known."""
    base = f"/redemption-batches/{pk}/"
    return Links({**_answered_at(base), "wait": base, **_participant_paths(campaign, participant)})


def _answered_at(base: str, verb: str = "confirm") -> dict[str, str]:
    return {"confirm_token": f"{base}{verb}/", "resend_token": f"{base}resend/"}


def _participant_paths(campaign: str | None, external_id: str | None) -> dict[str, str]:
    if campaign is None or external_id is None:
        return {}
    return of_participant(campaign, external_id).paths


def of_participant(campaign: str, external_id: str) -> Links:
    """Return the links of a participant."""
    return Links({"onboarding": f"/campaigns/{campaign}/participants/{external_id}/onboarding/"})


def of_challenge(pk: UUID, *, campaign: str | None = None, participant: str | None = None) -> Links:
    """Return the links of a challenge that stands alone, and of its participant where that is known."""
    base = f"/challenges/{pk}/"
    return Links({**_answered_at(base, "verify"), "wait": base, **_participant_paths(campaign, participant)})


def of_device(uuid: UUID, *, campaign: str | None = None, participant: str | None = None) -> Links:
    """Return the links of a device: its own token, the one that lets something happen to it, and its participant's."""
    base = f"/devices/{uuid}/"
    return Links(
        {
            "confirm_token": f"{base}verify/",
            "resend_token": f"{base}resend/",
            "authorize_device": f"{base}authorize/",
            "wait": base,
            **_participant_paths(campaign, participant),
        }
    )
