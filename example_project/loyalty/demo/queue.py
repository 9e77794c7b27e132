"""Documents that wait for staff: so that whoever opens the admin for the first time finds something to decide."""

from __future__ import annotations

from dataclasses import dataclass

from example_project.loyalty.demo import seed, specimens
from twofa import correlation
from twofa.flows import documents, participants
from twofa.flows.history import Actor
from twofa.models import Campaign, Participant, Storefront


@dataclass(frozen=True)
class Applicant:
    """Somebody who waits; what is on the pictures may be another name than the one that they declared."""

    external_id: str
    name: str
    number: str
    files: tuple[tuple[str, str, bytes], ...]


def _applicants() -> tuple[Applicant, ...]:
    carla = ("Carla Nunes", "104.938.572-14")
    front = specimens.licence_front(*carla, look=1)
    diego = ("Diego Prado", "318.264.907-87")
    elisa = ("Elisa Moraes", "476.120.583-08")
    return (
        Applicant(
            "carla",
            *carla,
            (
                ("cnh", "front", front),
                ("cnh", "back", specimens.licence_back(carla[1], look=1)),
                ("selfie", "single", specimens.selfie(look=1)),
            ),
        ),
        # The picture that Carla sent, which is hers: staff are told, and say what that means.
        Applicant("diego", *diego, (("cnh", "front", front), ("selfie", "single", specimens.selfie(look=2)))),
        Applicant("elisa", *elisa, (("cnh", "front", specimens.licence_file(*elisa, look=3)),)),
        Applicant(
            "fabio",
            "Fabio Teixeira",
            "285.731.946-00",
            (("cnh", "front", specimens.licence_front("F. Texeira", "285.731.946-00", look=2)),),
        ),
    )


def fill() -> None:
    """Have four people send documents to the campaign that asks for them, by the flow that the API uses."""
    campaign = Campaign.objects.get(slug=seed.VERIFIED)
    storefront = Storefront.objects.get(name=seed.STOREFRONT)
    actor = Actor.storefront(storefront)
    with correlation.bound("demo-queue"):
        for applicant in _applicants():
            participant = _enroll(campaign, applicant, actor)
            for kind, side, data in applicant.files:
                documents.submit(participant, storefront=storefront, kind=kind, side=side, data=data, actor=actor)


def _enroll(campaign: Campaign, applicant: Applicant, actor: Actor) -> Participant:
    participant, _created = participants.enroll(
        campaign=campaign,
        external_id=applicant.external_id,
        name=applicant.name,
        document_number=applicant.number,
        locale="en",
        actor=actor,
    )
    return participant
