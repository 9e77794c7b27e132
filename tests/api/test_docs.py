from __future__ import annotations

import pytest

from tests.api.client import Api, refused
from twofa.api import docs, schema


@pytest.fixture
def anyone(db):
    return Api()


def test_document_is_public_and_names_its_own_mount(anyone):
    response = anyone.get("/schema/")

    assert (response.status_code, response["Content-Type"]) == (200, "application/json")
    assert response.json() == schema.document("/api/v1")
    assert response.json()["servers"] == [{"url": "/api/v1"}]


def test_page_and_all_that_it_loads_come_from_here(anyone):
    page = anyone.get("/docs/", accept="text/html")

    assert page["Content-Type"] == "text/html; charset=utf-8"
    assert "//" not in page.content.decode().replace("<!doctype", "")
    for name in (*docs.ASSETS, "start.js"):
        assert f"assets/{name}" in page.content.decode()
        asset = anyone.get(f"/docs/assets/{name}")
        assert (asset.status_code, len(asset.content) > 100) == (200, True)
    assert "dark-mode" in anyone.get("/docs/assets/start.js").content.decode()
    assert "html.dark-mode" in anyone.get("/docs/assets/swagger-ui.css").content.decode()
    assert anyone.get("/docs/assets/swagger-ui-bundle.js")["Content-Type"] == "text/javascript"


@pytest.mark.parametrize("name", ["nothing.js", "..%2f..%2fpy.typed", "oauth2-redirect.html", "%00"])
def test_other_files_are_not_served(anyone, name):
    refused(anyone.get(f"/docs/assets/{name}"), 404, "not_found")


def test_public_pages_need_no_database(anyone, sql):
    with sql() as statements:
        for path in ("/schema/", "/docs/", "/nothing/"):
            anyone.get(path)

    assert len(statements) == 0
