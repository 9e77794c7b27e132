from __future__ import annotations
import json
from tests import factories
from tests.api.client import *

def test_story(api, shop):
    for p in ("/campaigns/", f"/campaigns/{shop.campaign.slug}/", member(shop), member(shop)+"onboarding/", member(shop)+"devices/", f"/devices/{shop.device.uuid}/"):
        r = api.get(p); print(p, r.status_code, json.dumps(r.json(), indent=1)[:1500])
    r = api.post(checkouts(shop), order(shop)); print(r.status_code, r.content.decode())
    rid = r.json()["id"]
    ch = Challenge.objects.get(redemption_id=rid)
    r = api.post(f"/redemptions/{rid}/confirm/", {"token": factories.wrong_token(ch)}); print(r.status_code, r.content.decode())
    r = api.get(f"/challenges/{ch.pk}/"); print(r.status_code, r.content.decode())
    r = api.post(f"/redemptions/{rid}/resend/"); print(r.status_code, r.content.decode())
    r = api.get(checkouts(shop)); print(r.status_code, r.content.decode())
    r = api.post(f"/redemptions/{rid}/confirm/", {"token": factories.token_of(ch)}, idempotency_key="k"); print(r.status_code, r.content.decode(), r.headers)
    r = api.post(f"/redemptions/{rid}/confirm/", {"token": factories.wrong_token(ch)}, idempotency_key="k"); print(r.status_code, r.content.decode(), r.headers)
    r = api.post(f"/redemptions/{rid}/cancel/", b"{"); print(r.status_code, r.content.decode(), r.headers)
    r = api.get("/nope"); print(r.status_code, r.content.decode(), r.headers)
    r = Api().get("/campaigns/"); print(r.status_code, r.content.decode(), r.headers)
    for p in ("/schema/", "/docs/", "/docs/assets/start.js", "/docs/assets/swagger-ui.css"):
        r = Api().get(p); print(r.status_code, r["content-type"], len(r.content))
