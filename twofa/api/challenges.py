"""Challenges of any purpose, by their own id."""

from __future__ import annotations

from django.http import HttpResponse
from rest_framework.request import Request

from twofa.api import links, presenters, shapes
from twofa.api.base import Endpoint, parse_id, respond
from twofa.api.operations import operation
from twofa.flows import challenges
from twofa.models import Challenge


class ChallengeEndpoint(Endpoint):
    @operation(
        id="get_challenge",
        summary="Read a challenge",
        responses={200: shapes.ChallengeWithAction},
        errors=("not_found",),
    )
    def get(self, request: Request, challenge_id: str) -> HttpResponse:
        challenge = challenges.get(parse_id(challenge_id), storefront=self.storefront)
        body: shapes.ChallengeWithAction = {
            **presenters.challenge(challenge),
            "next_action": presenters.next_action(presenters.next_of_challenge(challenge), _where(challenge)),
        }
        return respond(200, body)


def _where(challenge: Challenge) -> links.Links:
    if challenge.redemption_id is not None:
        return links.of_redemption(challenge.redemption_id)
    if challenge.batch_id is not None:
        return links.of_batch(challenge.batch_id)
    return links.NOWHERE if challenge.subject is None else links.of_device(challenge.subject.uuid)
