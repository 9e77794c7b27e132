"""What visitors type: read and bounded here, judged by the API."""

from __future__ import annotations

from django import forms

from example_project.shop import words


class TokenForm(forms.Form):
    """The token, however it was typed or pasted: the API takes out spaces and dashes."""

    token = forms.CharField(max_length=64)
    nonce = forms.SlugField(max_length=40)


class ContactForm(forms.Form):
    """A phone or an address."""

    channel = forms.ChoiceField(choices=[(name, name) for name in words.CHANNELS])
    address = forms.CharField(max_length=254)
