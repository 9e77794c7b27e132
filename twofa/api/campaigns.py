"""Campaigns: read-only; staff change them in the admin."""

from __future__ import annotations

from django.http import HttpResponse
from rest_framework.request import Request

from twofa.api import presenters, shapes
from twofa.api.base import Endpoint, respond
from twofa.api.lookups import campaign_of
from twofa.api.operations import ANY, Parameter, operation
from twofa.api.pagination import paginate
from twofa.models import Campaign

PAGING = (
    Parameter("cursor", {"type": "string"}, "From `next` or `previous` of a page."),
    Parameter("page_size", {"type": "integer", "minimum": 1, "maximum": 200, "default": 50}),
)


class CampaignsEndpoint(Endpoint):
    scope = ANY

    @operation(
        id="list_campaigns",
        summary="List the campaigns that you serve",
        responses={200: shapes.CampaignPage},
        query=PAGING,
    )
    def get(self, request: Request) -> HttpResponse:
        page = paginate(Campaign.objects.filter(storefronts=self.storefront), request._request)
        shown = [presenters.campaign(row, self.storefront) for row in page.rows]
        return respond(200, presenters.page(shown, page))


class CampaignEndpoint(Endpoint):
    scope = ANY

    @operation(id="get_campaign", summary="Read a campaign", responses={200: shapes.Campaign}, errors=("not_found",))
    def get(self, request: Request, campaign: str) -> HttpResponse:
        row = campaign_of(self.caller, campaign)
        return respond(200, presenters.campaign(row, self.storefront))
