"""What visitors type: read and bounded here, judged by the API."""

from __future__ import annotations

from django import forms

from example_project.shop import words


class TokenForm(forms.Form):
    """The token, however it was typed or pasted: the API takes out spaces and dashes."""

    token = forms.CharField(max_length=64)
    nonce = forms.SlugField(max_length=40)


class PasswordForm(forms.Form):
    """Who signs in, and in the second step the token as well."""

    username = forms.CharField(max_length=254, required=False)
    password = forms.CharField(max_length=1024, strip=False)
    token = forms.CharField(max_length=64, required=False)


class JoiningForm(forms.Form):
    """Who joins: the token that proves their contact, and what they sign in with from then on."""

    token = forms.CharField(max_length=64)
    name = forms.CharField(max_length=150)
    username = forms.CharField(max_length=150)
    password = forms.CharField(max_length=1024, strip=False)


class ContactForm(forms.Form):
    """A phone or an address."""

    channel = forms.ChoiceField(choices=[(name, name) for name in words.CHANNELS])
    address = forms.CharField(max_length=254)
