from __future__ import annotations

import pytest

from tests.api.client import refused


@pytest.mark.parametrize(
    "accept",
    [
        "",
        "*/*",
        "application/json",
        "APPLICATION/JSON; indent=4",
        "application/*;q=0.1",
        "application/problem+json",
        "text/html, */*;q=0.8",
    ],
)
def test_json_is_written_for_whoever_takes_it(api, accept):
    response = api.get("/campaigns/", accept=accept)

    assert (response.status_code, response["Content-Type"]) == (200, "application/json")


@pytest.mark.parametrize("accept", ["text/html", "application/xml", "application/json;q=0", "json", ";", "x" * 9000])
def test_who_takes_no_json_is_told_so(api, accept):
    refused(api.get("/campaigns/", accept=accept), 406, "not_acceptable")
