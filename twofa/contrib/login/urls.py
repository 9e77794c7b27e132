"""The pages of a sign-in, for the host's URLs: ``path("accounts/", include("twofa.contrib.login.urls"))``."""

from __future__ import annotations

from django.urls import path

from twofa.contrib.login import views

app_name = "twofa_login"
urlpatterns = [
    path("login/", views.TwoFactorLoginView.as_view(), name="login"),
    path("login/token/", views.TokenView.as_view(), name="token"),
    path("login/token/resend/", views.ResendView.as_view(), name="resend"),
    path("login/token/cancel/", views.CancelView.as_view(), name="cancel"),
    path("login/style.css", views.StyleView.as_view(), name="style"),
]
