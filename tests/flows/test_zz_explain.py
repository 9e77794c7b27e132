from __future__ import annotations
import time
import pytest
from django.db import connection
from tests import factories
from twofa.flows import facts, prefixes, costs
from twofa.models.clock import now
from tests.statements import record_statements

@pytest.mark.django_db(transaction=True)
def test_explain():
    shop = factories.Shop(sms_per_day=10**6, sends_per_prefix_per_day=10**6)
    shop.open()
    with connection.cursor() as c:
        c.execute("""INSERT INTO twofa_delivery (challenge_id, campaign_id, participant_id, generation, context, event, channel, address, destination, prefix, status, reason, reminted, tries, due_at, provider, provider_message_id, correlation_id, created_at, sent_at)
        SELECT NULL, d.campaign_id, d.participant_id, 0, '{}', 'redemption.token', 'sms', '+5511' || lpad((n*7919 %% 100000000)::text, 9, '9'), 'x', '+5511' || lpad((n*7919 %% 100000000 / 10000)::text, 5, '9'), 'sent','',false,1, now(), '', '', 'x', now() - (n || ' seconds')::interval * 5, now() - (n || ' seconds')::interval * 5
        FROM twofa_delivery d, generate_series(1, 1000000) n""".replace("%%","%"))
        c.execute("UPDATE twofa_delivery SET challenge_id=(select id from twofa_challenge limit 1), generation=pk FROM (select id, row_number() over () %30000 as pk from twofa_delivery where generation=0 limit 0) x WHERE false")
        c.execute("INSERT INTO twofa_prefixpause (prefix, sends, confirmations, paused_at, paused_until, ended_at, lifted_by) SELECT '+39' || n, 20, 0, now(), now(), now(), '' FROM generate_series(1,5000) n")
        c.execute("VACUUM ANALYZE twofa_delivery"); c.execute("ANALYZE twofa_prefixpause")
        c.execute("select count(distinct prefix), pg_size_pretty(pg_relation_size('twofa_delivery_prefix')), pg_size_pretty(pg_relation_size('twofa_delivery_dialled')) from twofa_delivery"); print(c.fetchall())
    for name, call in {"watch": lambda: prefixes.watch(now()), "budgets": lambda: facts.budgets(participant=shop.participant, campaign=shop.campaign, contact=shop.device), "costs": lambda: costs.of_campaign(shop.campaign, days=30)}.items():
        for _ in range(3):
            t=time.perf_counter(); call(); print(name, round((time.perf_counter()-t)*1000,1), "ms")
    from twofa.conf import conf
    import twofa.flows.prefixes as p
    from django.db.models import query
    captured=[]
    def wrap(execute, sql, params, many, context):
        captured.append((sql, params)); return execute(sql, params, many, context)
    with connection.execute_wrapper(wrap):
        prefixes.watch(now())
        facts.budgets(participant=shop.participant, campaign=shop.campaign, contact=shop.device)
    with connection.cursor() as c:
        for sql, params in captured:
            for part in sql.split(";\n")[-1:]:
                if not part.startswith("SELECT") or "clock_timestamp()"==part[7:]: continue
                c.execute("EXPLAIN (ANALYZE, BUFFERS OFF, COSTS OFF) " + part, params)
                print("\n".join(r[0] for r in c.fetchall())); print("-----")
