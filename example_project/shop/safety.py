"""What a member does for the safety of their account, by the API's calls: method, app, recovery codes, sessions."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any
from uuid import UUID

from django.http import Http404
from django.views.decorators.debug import sensitive_variables

from example_project.shop.client import Refused
from example_project.shop.storefront import APP, Row, Storefront

ADD, REMOVE, CODES = "authenticator_add", "authenticator_remove", "recovery_codes"
OFF = "off"
"""What is asked of a contact where two-factor is to be switched off."""
CHANGES = (ADD, REMOVE, CODES)
"""What the member's present factor agrees to first, by a challenge ``step_up:<name>``."""


@dataclass(frozen=True)
class Safety:
    """The API's calls for one member."""

    api: Storefront

    def switch(self, method: str) -> Row:
        """Choose how a token reaches the member, or none; ``authorization`` is there where that waits for a token."""
        return self._call("patch_participant", "PATCH", "", {"two_factor_method": method})

    def app(self, status: str) -> Row | None:
        """Return the member's authenticator app in that state."""
        return next((row for row in self.api.apps() if row["status"] == status), None)

    # --- agreed to first ---

    def ask(self, change: str, *, key: str | None) -> Row | None:
        """Ask the member's factor for a change; None where there is no factor yet. Raises: Refused."""
        if not self.api.usable_devices() and self.app("active") is None:
            return None
        return self._call("open_challenge", "POST", "challenges/", {"purpose": f"step_up:{change}"}, key=key)

    @sensitive_variables("token")
    def agree(self, pk: str, token: str) -> Row:
        """Type the token of a challenge. Raises: Refused."""
        return self.api.client.call("verify_challenge", "POST", f"/challenges/{pk}/verify/", {"token": token})

    # --- the app and the codes ---

    @sensitive_variables()
    def enrol(self, authorization: str | None) -> Row:
        """Return a new app with what it reads, this once. Raises: Refused."""
        return self._call("register_device", "POST", "devices/", {"channel": APP, "authorization": authorization})

    @sensitive_variables("token")
    def confirm_app(self, pk: UUID, token: str) -> Row:
        """Type the first code of an app; ``recovery_codes`` are there this once. Raises: Refused."""
        if all(row["id"] != str(pk) for row in self.api.apps()):
            raise Http404
        return self.api.client.call("verify_device", "POST", f"/devices/{pk}/verify/", {"token": token})

    def remove_app(self, authorization: str | None) -> None:
        """Remove the member's app. Raises: Refused; Http404 where there is none."""
        app = self.app("active")
        if app is None:
            raise Http404
        query = f"?authorization={authorization}" if authorization else ""
        self.api.client.call("revoke_device", "DELETE", f"/devices/{app['id']}/{query}")

    def codes_left(self) -> int:
        """Return how many recovery codes are unused."""
        left: int = self._call("count_recovery_codes", "GET", "recovery-codes/")["left"]
        return left

    @sensitive_variables()
    def new_codes(self, authorization: str | None) -> list[str]:
        """Return ten new recovery codes, this once. Raises: Refused."""
        body = {"authorization": authorization}
        codes: list[str] = self._call("issue_recovery_codes", "POST", "recovery-codes/", body)["codes"]
        return codes

    # --- sessions ---

    def sessions(self) -> list[Row]:
        """Return where the member is signed in."""
        rows: list[Row] = self._call("list_sessions", "GET", "sessions/?page_size=200")["results"]
        return rows

    def end_session(self, pk: str) -> None:
        """End one session; one that is not there has ended."""
        try:
            self._call("end_session", "DELETE", f"sessions/{pk}/")
        except Refused as refused:
            if refused.code != "not_found":
                raise

    def end_sessions(self) -> None:
        """End every session of the member."""
        self._call("end_sessions", "DELETE", "sessions/")

    def _call(self, operation: str, method: str, path: str, body: Any = None, *, key: str | None = None) -> Row:
        return self.api.client.call(operation, method, f"{self.api.participant_path}{path}", body, key=key)
