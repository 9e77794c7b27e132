"""Storefronts that authenticate by client credentials of OAuth2, where the host has django-oauth-toolkit."""

from __future__ import annotations
