"""LOG-3: whatever others send, one record stays one; and what is personal is in none."""

from __future__ import annotations

import io
import json
import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from types import SimpleNamespace
from typing import Any

import pytest
from django.core.exceptions import ImproperlyConfigured
from django.db import IntegrityError, connection, transaction
from django.http import HttpRequest, HttpResponse
from django.test import Client
from django.urls import path
from gunicorn.config import Config

from example_project import logs
from example_project.server import AccessLogger
from tests import factories
from tests.urls import urlpatterns as host_urls
from twofa import correlation
from twofa.models import Participant

# A break and a forged record; a terminal that is told to hide, recolour, retitle; breaks of Unicode; and a NUL.
HOSTILE = [
    "x\n2026-01-01T00:00:00.000Z INFO twofa [forged] all is well",
    'x\r\n{"time": "2026-01-01T00:00:00.000Z", "level": "INFO", "message": "forged"}',
    "x\r\x1b[2K\x1b[1A forged",
    "x\x1b]0;title\x07\x9b31m",
    "x\u2028forged\u2029forged\x85forged\x0bforged\x0cforged\x1cforged",
    "x\x00\x7f\x08\x08",
]


@contextmanager
def written(style: str) -> Iterator[io.StringIO]:
    """What the example writes to its console in one of its styles."""
    stream = io.StringIO()
    handler = logging.StreamHandler(stream)
    handler.addFilter(logs.ContextFilter())
    handler.setFormatter({"json": logs.JsonLines, "line": logs.Lines}[style]())
    root = logging.getLogger()
    before = root.level
    root.addHandler(handler)
    root.setLevel(logging.INFO)
    try:
        yield stream
    finally:
        root.removeHandler(handler)
        root.setLevel(before)


def records_of(style: str, stream: io.StringIO) -> list[Any]:
    """The records as their readers split them: at line breaks of every kind."""
    text = stream.getvalue()
    assert not [control for control in text if control != "\n" and ord(control) in {*range(32), *range(127, 160)}]
    lines = text.splitlines()
    if style == "json":
        return [json.loads(line) for line in lines]
    return [line for line in lines if not line.startswith("  | ")]


def fail(text: str) -> None:
    raise ValueError(text)


@pytest.mark.parametrize("style", ["json", "line"])
@pytest.mark.parametrize("text", HOSTILE)
def test_hostile_text_stays_in_its_record(style: str, text: str):
    logger = logging.getLogger(f"shop.{text}")
    with written(style) as stream, correlation.bound("of-this-test"):
        logger.warning("user agent %s", text)
        logger.warning("path " + text.replace("%", ""))  # noqa: G003 - as a careless library does
        try:
            fail(text)
        except ValueError:
            logger.exception("order %s failed", text)

    found = records_of(style, stream)

    assert len(found) == 3
    if style == "json":
        assert [record["correlation_id"] for record in found] == ["of-this-test"] * 3
        assert found[0]["message"] == f"user agent {text}"
        assert text in found[2]["exception"]
    else:
        assert all("[of-this-test]" in line for line in found)


def test_json_has_a_closed_set_of_members():
    with written("json") as stream:
        logging.getLogger("shop").info("hello", extra={"phone": "+5511999990034", "token": "7K2M9Q"})

    (record,) = records_of("json", stream)
    assert list(record) == ["time", "level", "logger", "message", "correlation_id"]
    assert record["level"] == "INFO"
    assert record["time"].endswith("Z")


def test_style_that_is_none_is_refused():
    with pytest.raises(ImproperlyConfigured, match="LOG_FORMAT is json or line"):
        logs.configured(style="xml", level="INFO")


@pytest.mark.django_db
@pytest.mark.parametrize("style", ["json", "line"])
def test_row_that_the_database_refuses_is_not_quoted(style: str):
    """PostgreSQL's message has the values in it: of a unique key, or the whole row."""
    participant = factories.participant(factories.campaign(), external_id="529.982.247-25")
    with written(style) as stream:
        try:
            with transaction.atomic():
                Participant.objects.bulk_create([Participant(**values_of(participant))])
        except IntegrityError:
            logging.getLogger("shop").exception("not stored")

    (_record,) = records_of(style, stream)
    assert "IntegrityError" in stream.getvalue()
    assert "529.982.247-25" not in stream.getvalue()
    if connection.vendor == "postgresql":
        assert "DETAIL: left out" in stream.getvalue()


def values_of(participant: Participant) -> dict[str, Any]:
    fields = [field for field in participant._meta.concrete_fields if not field.primary_key]
    return {field.attname: getattr(participant, field.attname) for field in fields}


# --- requests --------------------------------------------------------------------------------------------------------


def look(request: HttpRequest, who: str) -> HttpResponse:
    logging.getLogger("shop").info("looking")
    return HttpResponse(status=404)


def crash(request: HttpRequest, who: str) -> HttpResponse:
    raise RuntimeError("on purpose")


urlpatterns = [*host_urls, path("members/<str:who>/", look), path("crash/<str:who>/", crash)]


@pytest.fixture
def browser(settings: Any) -> Client:
    settings.ROOT_URLCONF = __name__
    settings.MIDDLEWARE = ["example_project.logs.CorrelationMiddleware", *settings.MIDDLEWARE]
    return Client(raise_request_exception=False)


@pytest.mark.parametrize("style", ["json", "line"])
@pytest.mark.parametrize("view", ["members", "crash"])
def test_request_is_logged_by_its_route_and_under_its_id(style: str, view: str, browser: Client):
    with written(style) as stream:
        response = browser.get(f"/{view}/529.982.247-25/?q=%2B5511999990034", headers={"x-correlation-id": "of-7"})

    assert response["X-Correlation-Id"] == "of-7"
    found = records_of(style, stream)
    assert found, "Django logs what was refused and what failed"
    text = stream.getvalue()
    assert f"{view}/<str:who>/" in text
    assert "529.982" not in text
    assert "5511999990034" not in text
    assert text.count("of-7") == len(found)


@pytest.mark.parametrize("offered", ["", "a b", "x" * 129, 'a"b', "ä", "a;b"])
def test_id_that_is_not_well_formed_is_replaced(offered: str, browser: Client):
    response = browser.get("/members/ana/", headers={"x-correlation-id": offered})

    assert len(response["X-Correlation-Id"]) == 32


@pytest.mark.django_db
def test_api_answers_under_the_same_id(browser: Client):
    with written("json") as stream:
        response = browser.get("/api/v1/campaigns/", headers={"x-correlation-id": "of-7"})

    assert response["X-Correlation-Id"] == "of-7"
    assert {record["correlation_id"] for record in records_of("json", stream)} == {"of-7"}


# --- the server's access log -----------------------------------------------------------------------------------------


@pytest.fixture
def access() -> Iterator[Callable[..., None]]:
    config = Config()
    config.set("accesslog", "-")
    logger = AccessLogger(config)
    logger.access_log.handlers.clear()
    logger.access_log.propagate = True

    def log(**environ: str) -> None:
        answer = SimpleNamespace(status="200 OK", headers=[("x-correlation-id", "of-7")], sent=2)
        logger.access(answer, SimpleNamespace(headers=[]), environ, timedelta(milliseconds=12))

    yield log
    logger.access_log.propagate = False


@pytest.mark.parametrize("style", ["json", "line"])
@pytest.mark.parametrize("text", HOSTILE)
def test_access_log_has_one_record_for_each_request(style: str, text: str, access: Callable[..., None]):
    with written(style) as stream:
        access(
            REQUEST_METHOD="GET",
            RAW_URI="/staff/enroll/half-of-a-secret/?q=%2B5511999990034",
            PATH_INFO="/staff/enroll/half-of-a-secret/",
            QUERY_STRING="q=%2B5511999990034",
            HTTP_REFERER="https://points.example.com/admin/?q=ana",
            HTTP_USER_AGENT=text,
            REMOTE_ADDR="10.0.0.7",
            **{logs.ROUTE: "staff/enroll/<str:token>/"},
        )

    (record,) = records_of(style, stream)
    line = record if style == "line" else f"[{record['correlation_id']}] {record['message']}"
    assert "[of-7] GET staff/enroll/<str:token>/ 200 12 ms 10.0.0.7 x" in line
    assert "half-of-a-secret" not in stream.getvalue()
    assert "5511999990034" not in stream.getvalue()
    assert "q=ana" not in stream.getvalue()


def test_access_log_of_what_met_no_route_does_not_repeat_it(access: Callable[..., None]):
    with written("line") as stream:
        access(REQUEST_METHOD="GET", RAW_URI="/529.982.247-25/", PATH_INFO="/529.982.247-25/")

    assert "GET - 200 12 ms - -" in stream.getvalue()
    assert "529.982" not in stream.getvalue()
