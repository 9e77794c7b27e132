"""The host's URLs, with all of its OAuth2 server."""

from __future__ import annotations

from django.urls import include, path

from tests.urls import urlpatterns as urls_of_the_suite

urlpatterns = [*urls_of_the_suite, path("o/", include("oauth2_provider.urls"))]
