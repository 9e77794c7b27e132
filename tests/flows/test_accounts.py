from __future__ import annotations

import pytest
from django.contrib.auth import get_user_model

from tests import factories
from tests.canary import texts_of
from tests.factories import PASSWORD
from tests.stories import refused
from twofa.exceptions import Invalid, Unavailable
from twofa.flows import participants
from twofa.flows.accounts import Account
from twofa.models import Participant

pytestmark = pytest.mark.django_db

VALIDATORS = [{"NAME": "django.contrib.auth.password_validation.MinimumLengthValidator", "OPTIONS": {"min_length": 12}}]


def enroll(shop, username="ana@example.com", password=PASSWORD, external_id="ana"):
    account = Account(username, password)
    return participants.enroll(
        campaign=shop.campaign, external_id=external_id, actor=shop.actor, name="Ana", account=account
    )[0]


def codes(error) -> list[tuple[str, str]]:
    return [(one["field"], one["code"]) for one in error.value.params["errors"]]


def test_new_participant_gets_a_user_with_that_name_and_password(shop):
    user = get_user_model().objects.get(pk=enroll(shop).user_id)
    assert (user.username, user.check_password(PASSWORD)) == ("ana@example.com", True)


def test_participant_without_an_account_cannot_log_in(shop):
    assert not shop.participant.user.has_usable_password()


def test_name_that_somebody_has_is_refused(shop):
    enroll(shop)
    with refused(Invalid) as error:
        enroll(shop, external_id="eve")
    assert codes(error) == [("username", "not_unique")]


def test_rules_of_the_host_are_kept_for_names_and_passwords(shop, settings):
    settings.AUTH_PASSWORD_VALIDATORS = VALIDATORS
    with refused(Invalid) as error:
        enroll(shop, username="a b", password="short")
    assert codes(error) == [("username", "invalid"), ("password", "password_too_short")]


def test_account_of_somebody_who_exists_is_refused(shop):
    with refused(Invalid) as error:
        enroll(shop, external_id=shop.participant.external_id)
    assert codes(error) == [("username", "only_on_creation")]
    assert not Participant.objects.get().user.has_usable_password()


def old_resolver(*, campaign, external_id, name, locale):
    return participants.create_user(campaign=campaign, external_id=external_id, name=name, locale=locale)


def test_resolver_that_takes_no_names_refuses_them(shop, settings):
    settings.TWOFA_USER_RESOLVER = f"{__name__}.old_resolver"
    with refused(Invalid) as error:
        enroll(shop)
    assert codes(error) == [("username", "not_supported")]
    assert factories.participant(shop.campaign)


def failing_resolver(*, campaign, external_id, name, locale, username=None, password=None):
    raise RuntimeError(f"no room for {username}, {password}")


def test_resolver_that_fails_is_told_without_the_password(shop, settings, caplog):
    settings.TWOFA_USER_RESOLVER = f"{__name__}.failing_resolver"
    with refused(Unavailable):
        enroll(shop)
    with pytest.raises(Unavailable):
        factories.participant(shop.campaign)
    of_account, of_nobody = caplog.records
    assert (of_account.exc_info, of_account.args) == (None, ("RuntimeError",))
    assert PASSWORD not in "".join(texts_of([of_account]))
    assert of_nobody.exc_info is not None


def test_password_is_in_no_repr():
    assert PASSWORD not in repr(Account("ana", PASSWORD))
