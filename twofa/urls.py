"""The API's paths, and the page for participants. A host includes this module at any prefix.

Ids are plain texts here and judged by the views: so a malformed one is answered like one that does not exist, after
the key was asked for, and not by the host's own page.
"""

from __future__ import annotations

from django.urls import path, re_path

from twofa.api import (
    batches,
    campaigns,
    challenges,
    contact_verifications,
    devices,
    docs,
    documents,
    logins,
    participants,
    receipts,
    recovery_codes,
    redemptions,
    sessions,
)
from twofa.pages import not_me

app_name = "twofa"

_PARTICIPANT = "campaigns/<str:campaign>/participants/<str:external_id>/"
_DEVICE = "devices/<str:device_id>/"
_CHALLENGE = "challenges/<str:challenge_id>/"
_BATCH = "redemption-batches/<str:batch_id>/"
_REDEMPTION = "redemptions/<str:redemption_id>/"

urlpatterns = [
    path("campaigns/", campaigns.CampaignsEndpoint.as_view(), name="campaigns"),
    path("campaigns/<str:campaign>/", campaigns.CampaignEndpoint.as_view(), name="campaign"),
    path(_PARTICIPANT, participants.ParticipantEndpoint.as_view(), name="participant"),
    path(f"{_PARTICIPANT}onboarding/", participants.OnboardingEndpoint.as_view(), name="onboarding"),
    path(f"{_PARTICIPANT}devices/", devices.DevicesEndpoint.as_view(), name="devices"),
    path(f"{_PARTICIPANT}documents/", documents.DocumentsEndpoint.as_view(), name="documents"),
    path("documents/<str:document_id>/", documents.DocumentEndpoint.as_view(), name="document"),
    path(_DEVICE, devices.DeviceEndpoint.as_view(), name="device"),
    path(f"{_DEVICE}verify/", devices.DeviceVerificationEndpoint.as_view(), name="device-verify"),
    path(f"{_DEVICE}resend/", devices.DeviceResendEndpoint.as_view(), name="device-resend"),
    path(f"{_DEVICE}authorize/", devices.DeviceAuthorizationEndpoint.as_view(), name="device-authorize"),
    path(f"{_DEVICE}make-default/", devices.DeviceDefaultEndpoint.as_view(), name="device-make-default"),
    path("campaigns/<str:campaign>/redemptions/", redemptions.RedemptionsEndpoint.as_view(), name="redemptions"),
    path(_REDEMPTION, redemptions.RedemptionEndpoint.as_view(), name="redemption"),
    path(f"{_REDEMPTION}confirm/", redemptions.ConfirmationEndpoint.as_view(), name="redemption-confirm"),
    path(f"{_REDEMPTION}resend/", redemptions.RedemptionResendEndpoint.as_view(), name="redemption-resend"),
    path(f"{_REDEMPTION}cancel/", redemptions.RedemptionCancellationEndpoint.as_view(), name="redemption-cancel"),
    path("campaigns/<str:campaign>/redemption-batches/", batches.BatchesEndpoint.as_view(), name="batches"),
    path(_BATCH, batches.BatchEndpoint.as_view(), name="batch"),
    path(f"{_BATCH}confirm/", batches.BatchConfirmationEndpoint.as_view(), name="batch-confirm"),
    path(f"{_BATCH}resend/", batches.BatchResendEndpoint.as_view(), name="batch-resend"),
    path(f"{_BATCH}cancel/", batches.BatchCancellationEndpoint.as_view(), name="batch-cancel"),
    path(_CHALLENGE, challenges.ChallengeEndpoint.as_view(), name="challenge"),
    path(f"{_CHALLENGE}verify/", challenges.ChallengeVerificationEndpoint.as_view(), name="challenge-verify"),
    path(f"{_CHALLENGE}resend/", challenges.ChallengeResendEndpoint.as_view(), name="challenge-resend"),
    path(f"{_CHALLENGE}cancel/", challenges.ChallengeCancellationEndpoint.as_view(), name="challenge-cancel"),
    path(f"{_PARTICIPANT}recovery-codes/", recovery_codes.RecoveryCodesEndpoint.as_view(), name="recovery-codes"),
    path(f"{_PARTICIPANT}sessions/", sessions.SessionsEndpoint.as_view(), name="sessions"),
    path(f"{_PARTICIPANT}sessions/<str:session_id>/", sessions.SessionEndpoint.as_view(), name="session"),
    path(f"{_PARTICIPANT}challenges/", challenges.ChallengesEndpoint.as_view(), name="challenges"),
    path(
        "campaigns/<str:campaign>/contact-verifications/",
        contact_verifications.ContactVerificationsEndpoint.as_view(),
        name="contact-verifications",
    ),
    path("campaigns/<str:campaign>/login/", logins.LoginEndpoint.as_view(), name="login"),
    path("receipts/<str:alias>/", receipts.ReceiptsEndpoint.as_view(), name="receipts"),
    path("receipts/<str:alias>/<str:provider>/", receipts.ReceiptsEndpoint.as_view(), name="provider-receipts"),
    path("not-me/style.css", not_me.StylePage.as_view(), name="pages-style"),
    path("not-me/<str:challenge_id>/<str:seal>/", not_me.NotMePage.as_view(), name="not-me"),
    path("schema/", docs.SchemaEndpoint.as_view(), name="schema"),
    path("docs/", docs.DocsEndpoint.as_view(), name="docs"),
    path("docs/assets/<str:name>", docs.AssetEndpoint.as_view(), name="docs-asset"),
    # Last. Not a dot, which a line break in a path would slip past, to the host's own 404; nor a flag for it, which
    # Django cannot reverse: it would break `reverse` for every path of the host.
    re_path(r"^[\s\S]*\Z", docs.NothingHereEndpoint.as_view(), name="nothing-here"),
]
