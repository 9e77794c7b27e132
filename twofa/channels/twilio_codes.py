"""Twilio's error codes, in words of ours (https://www.twilio.com/docs/api/errors)."""

from __future__ import annotations

from typing import Any

from twofa.exceptions import DeliveryError

_TEMPORARY: dict[str, tuple[int, ...]] = {
    # 14107, 20429, 63018: rate limits. 21611, 30001: a full queue. 30017, 30022: the carriers' limits.
    "provider_busy": (14107, 20429, 21611, 30001, 30017, 30022, 63018),
    # 20500, 20503, 30008, 30410, 30500, 63009, 63010, 63012, 63023: somebody's server failed.
    "provider_unavailable": (20500, 20503, 30008, 30410, 30500, 63009, 63010, 63012, 63023),
    "recipient_unreachable": (30003,),
}
_PERMANENT: dict[str, tuple[int, ...]] = {
    # No such number, none that takes messages, a landline, nobody on WhatsApp.
    "recipient_refused": (21211, 21214, 21217, 21421, 21612, 21614, 21635, 30005, 30006, 63003, 63015, 63024, 63031),
    "recipient_opted_out": (21610, 30004, 63014, 63033),
    "region_not_allowed": (21408,),
    # 63016: more than 24 hours after the participant's last message, WhatsApp takes templates only.
    "template_required": (63016,),
    "message_filtered": (30007, 30038, 30039, 63013, 63032, 63049),
    "message_refused": (21602, 21617, 21619, 30019, 63005, 63021),
    "too_late": (30036,),
    # The account's fault: credentials, suspension, trial, credit, registration of the sender, daily limits.
    "provider_denied": (
        *(20003, 20005, 20006, 20008, 21608, 30002, 30010, 30018, 30023, 30024, 30027, 30032, 30034, 30035, 30040),
        *(63001, 63020, 63022, 63038, 63051, 90010),
    ),
    # The fault of OPTIONS: the sender, the service, the callback or the template is not what Twilio knows.
    "provider_misconfigured": (
        *(20404, 21212, 21603, 21606, 21609, 21655, 21656, 21659, 21660, 21661, 21701, 21702, 21703, 21705, 21710),
        *(63002, 63007, 63008, 63027, 63028, 63029, 63030, 63040, 63041, 63042, 90007, 90014),
    ),
}
_MEANINGS = {
    **{str(code): (reason, True) for reason, codes in _TEMPORARY.items() for code in codes},
    **{str(code): (reason, False) for reason, codes in _PERMANENT.items() for code in codes},
}


def error(code: Any) -> DeliveryError | None:
    """Return what a code means for a message that was not taken, or None where it is not known."""
    meaning = _MEANINGS.get(str(code))
    return None if meaning is None else DeliveryError(meaning[0], retryable=meaning[1])


def word(code: Any, otherwise: str) -> str:
    """Return the reason of a failure that was reported later."""
    meaning = _MEANINGS.get(str(code))
    # A report comes after the server's failure: that the message did not arrive is what matters then.
    return otherwise if meaning is None or meaning[0] == "provider_unavailable" else meaning[0]
