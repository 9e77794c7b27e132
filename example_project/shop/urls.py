"""The shop's addresses. What is sent by POST has one of its own, which leads to its page when it is read."""

from __future__ import annotations

from typing import Any

from django.http import HttpRequest, HttpResponse
from django.urls import path

from example_project.shop.uploads import takes_file
from example_project.shop.views import batches, contacts, entrance, front, onboarding, orders, products, safety

app_name = "shop"


def by_method(get: Any, post: Any) -> Any:
    """Return a view that is ``post`` for what is sent, and ``get`` for everything else."""

    def choose(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        answer: HttpResponse = (post if request.method == "POST" else get)(request, *args, **kwargs)
        return answer

    return choose


_ORDER = "orders/<uuid:order_id>/"
_BATCH = "several/<uuid:batch_id>/"
_CHANGE = "safety/agree/<slug:change>/"
_CONTACT = "contacts/<uuid:device_id>/"
_show_or_take_document = takes_file(
    by_method(onboarding.show_step, onboarding.send_document), refuse=onboarding.refuse_large
)

urlpatterns = [
    path("", front.show_front, name="front"),
    path("sign-in/", by_method(front.show_sign_in, front.sign_in), name="sign-in"),
    path("sign-in/password/", entrance.begin_sign_in, name="sign-in-password"),
    path("sign-in/token/", by_method(entrance.show_sign_in_token, entrance.finish_sign_in), name="sign-in-token"),
    path("sign-up/", by_method(entrance.show_sign_up, entrance.prove_contact), name="sign-up"),
    path("sign-up/token/", by_method(entrance.show_sign_up_token, entrance.sign_up), name="sign-up-token"),
    path("sign-in/delivery/", entrance.show_delivery, name="sign-in-delivery"),
    path("sign-in/resend/", entrance.resend_token, name="sign-in-resend"),
    path("sign-out/", front.sign_out, name="sign-out"),
    path("products/<slug:slug>/", products.show_product, name="product"),
    path("products/<slug:slug>/order/", products.place_order, name="place-order"),
    path("orders/", orders.show_orders, name="orders"),
    path(_ORDER, orders.show_order, name="order"),
    path(f"{_ORDER}delivery/", orders.show_delivery, name="order-delivery"),
    path(f"{_ORDER}confirm/", orders.confirm_order, name="order-confirm"),
    path(f"{_ORDER}resend/", orders.resend_token, name="order-resend"),
    path(f"{_ORDER}cancel/", orders.cancel_order, name="order-cancel"),
    path("approvals/", orders.show_approvals, name="approvals"),
    path("several/", by_method(batches.show_basket, batches.place_batch), name="basket"),
    path(_BATCH, batches.show_batch, name="batch"),
    path(f"{_BATCH}delivery/", batches.show_delivery, name="batch-delivery"),
    path(f"{_BATCH}confirm/", batches.confirm_batch, name="batch-confirm"),
    path(f"{_BATCH}resend/", batches.resend_token, name="batch-resend"),
    path(f"{_BATCH}cancel/", batches.cancel_batch, name="batch-cancel"),
    path("onboarding/", onboarding.show_onboarding, name="onboarding"),
    path("onboarding/status/", onboarding.show_status, name="onboarding-status"),
    path("onboarding/<str:wanted>/", _show_or_take_document, name="onboarding-step"),
    path("safety/", by_method(safety.show_safety, safety.choose_method), name="safety"),
    path(f"{_CHANGE}ask/", safety.ask, name="ask"),
    path(_CHANGE, by_method(safety.show_agree, safety.agree), name="agree"),
    path(f"{_CHANGE}delivery/", safety.show_delivery, name="agree-delivery"),
    path(f"{_CHANGE}resend/", safety.resend_token, name="agree-resend"),
    path("safety/app/<uuid:device_id>/", by_method(safety.show_app, safety.confirm_app), name="app"),
    path("safety/sessions/end/", safety.end_sessions, name="end-sessions"),
    path("safety/sessions/<slug:session_id>/end/", safety.end_session, name="end-session"),
    path("privacy/", front.show_privacy, name="privacy"),
    path("contacts/", by_method(contacts.show_contacts, contacts.add_contact), name="contacts"),
    path(_CONTACT, contacts.show_contact, name="contact"),
    path(f"{_CONTACT}delivery/", contacts.show_delivery, name="contact-delivery"),
    path(f"{_CONTACT}verify/", contacts.verify_contact, name="contact-verify"),
    path(f"{_CONTACT}authorize/", contacts.authorize_contact, name="contact-authorize"),
    path(f"{_CONTACT}resend/", contacts.resend_token, name="contact-resend"),
    path(f"{_CONTACT}make-default/", contacts.make_default, name="contact-default"),
    path(f"{_CONTACT}remove/", contacts.remove_contact, name="contact-remove"),
]
