"""What waited in the queue that all channels shared waits for each of them; later, what is urgent goes first."""

import json
from datetime import UTC, datetime

from revisions import go
from sqlalchemy import text

from guardian.store.control.alerts import UNNAMED, QueuedAlert, Turns
from guardian.store.control.rows import ControlRows
from guardian.store.engine import open_engine, writing

NOW = datetime(2026, 5, 12, 12, tzinfo=UTC)
STATES = "pending", "sending", "sent", "parked"


def test_alerts_of_before_go_to_every_channel_that_is_configured_then_and_none_that_was_sent(tmp_path):
    engine = open_engine(f"sqlite:///{tmp_path}/control.db")
    go(engine, "0014")
    with writing(engine) as connection:
        for n, state in enumerate(STATES, start=1):
            told = {"n": n, "key": f"k{n}", "state": state, "tries": n - 1, "at": "2026-05-12 11:00:00.000000"}
            connection.execute(
                text(
                    "INSERT INTO control_alert VALUES"
                    " (:n, 'finding', 'c', :key, :key, :state, :tries, :at, :at, :at, NULL, 'webhook: no')"
                ),
                told,
            )
    go(engine, "head")
    with writing(engine) as connection:
        alerts = ControlRows(connection).alerts
        assert alerts.depth(UNNAMED) == 2
        alerts.deliver_to(["webhook", "email"], NOW, instead="log")
        assert alerts.depth(UNNAMED) == 0
        for channel in ("webhook", "email"):
            assert alerts.recover(channel) == 1
            taken = [alerts.claim(channel, NOW) for _ in range(3)]
            assert taken == [QueuedAlert(1, "k1", 0), QueuedAlert(2, "k2", 1), None]
        refused = [(each.id, each.channel, each.payload, each.why) for each in alerts.refused()]
        assert refused == [(4, "email", "k4", "webhook: no"), (4, "webhook", "k4", "webhook: no")]
        alerts.add(kind="finding", case_key="c", idempotency_key="k5", payload="k5", now=NOW)
        assert alerts.claim("email", NOW) == QueuedAlert(5, "k5", 0)
    engine.dispose()


def test_alerts_of_before_that_are_not_sent_yet_have_their_turn_by_tenant_and_urgency(tmp_path):
    engine = open_engine(f"sqlite:///{tmp_path}/control.db")
    go(engine, "0019")
    told = [("low", "flag"), ("low", "revoke"), ("high", "flag"), ("critical", "flag"), ("medium", "flag")]
    with writing(engine) as connection:
        for n, (severity, wanted) in enumerate(told, start=1):
            finding = {"tenant_id": f"t{n}", "severity": severity, "wanted": wanted}
            alert = {"n": n, "payload": json.dumps({"finding": finding}), "at": "2026-05-12 11:00:00.000000"}
            state = {"state": "sent" if n == 4 else "parked" if n == 3 else "pending"}
            for row in (
                "INTO control_alert VALUES (:n, 'finding', 'c' || :n, 'k' || :n, :payload, :at)",
                "INTO control_delivery VALUES (:n, 'email', :state, 0, :at, NULL, NULL, '')",
            ):
                connection.execute(text(f"INSERT {row}"), alert | state)
    go(engine, "head")
    with writing(engine) as connection:
        rows = connection.execute(text("SELECT rank, lane FROM control_delivery ORDER BY alert_id")).all()
        assert rows == [(1, "t1"), (0, "t2"), (0, "t3"), (1, ""), (1, "t5")]
        alerts = ControlRows(connection).alerts
        assert [alerts.claim("email", NOW).id for _ in range(3)] == [2, 1, 5]
    engine.dispose()


def test_of_a_case_that_became_urgent_before_the_upgrade_what_waits_goes_with_it_in_its_order(tmp_path):
    engine = open_engine(f"sqlite:///{tmp_path}/control.db")
    go(engine, "0019")
    n = 2500  # more than one part; the urgent one is in the last
    with writing(engine) as connection:
        for number in range(1, n + 1):
            finding = {"tenant_id": "t", "severity": "critical" if number == n else "low", "wanted": "flag"}
            alert = {"n": number, "payload": json.dumps({"finding": finding}), "at": "2026-05-12 11:00:00.000000"}
            case = {"case": "grows" if number in (2, 7, n) else f"c{number}"}
            for row in (
                "INTO control_alert VALUES (:n, 'finding', :case, 'k' || :n, :payload, :at)",
                "INTO control_delivery VALUES (:n, 'email', 'pending', 0, :at, NULL, NULL, '')",
                "INTO control_delivery VALUES (:n, 'webhook', 'pending', 0, :at, NULL, NULL, '')",
            ):
                connection.execute(text(f"INSERT {row}"), alert | case)
    go(engine, "head")
    with writing(engine) as connection:
        assert connection.execute(text("SELECT count(*) FROM control_delivery WHERE lane <> 't'")).scalar() == 0
        alerts = ControlRows(connection).alerts
        for name in ("email", "webhook"):
            assert [alerts.claim(name, NOW).id for _ in range(5)] == [2, 7, n, 1, 3]
    engine.dispose()


def test_what_becomes_of_a_finding_that_was_queued_before_the_upgrade_waits_for_its_alert(tmp_path):
    engine = open_engine(f"sqlite:///{tmp_path}/control.db")
    go(engine, "0020")
    payload = json.dumps({"finding": {"tenant_id": "t", "severity": "low", "wanted": "flag"}})
    told = {"payload": payload, "at": "2026-05-12 11:00:00.000000"}
    with writing(engine) as connection:
        connection.execute(text("INSERT INTO control_channel VALUES ('email')"))
        for row in (
            "INTO control_alert VALUES (1, 'finding', 'c', 'k', :payload, :at)",
            "INTO control_delivery VALUES (1, 'email', 'pending', 0, :at, NULL, NULL, '', 1, 't')",
        ):
            connection.execute(text(f"INSERT {row}"), told)
    go(engine, "head")
    with writing(engine) as connection:
        alerts = ControlRows(connection).alerts
        assert alerts.follow_up(1, idempotency_key="k2", payload=payload, now=NOW)
        assert not alerts.follow_up(1, idempotency_key="k2", payload=payload, now=NOW)
        assert alerts.follow_up(1, idempotency_key="k3", payload=payload, now=NOW)
        for number in (1, 2, 3):
            assert alerts.claim("email", NOW).id == number
            assert alerts.claim("email", NOW) is None
            alerts.sent("email", number, "x")
        assert alerts.claim("email", NOW) is None
    engine.dispose()


def test_what_became_of_a_finding_before_acts_were_named_is_told_by_itself(tmp_path):
    engine = open_engine(f"sqlite:///{tmp_path}/control.db")
    go(engine, "0023")
    told = {"at": "2026-05-12 11:00:00.000000"}
    with writing(engine) as connection:
        connection.execute(text("INSERT INTO control_channel VALUES ('email')"))
        for n, follows, state in ((1, "NULL", "sent"), (2, "1", "pending"), (3, "2", "held")):
            for row in (
                f"INTO control_alert VALUES ({n}, 'outcome', 'c', 'k{n}', '{{}}', :at, {follows})",
                f"INTO control_delivery VALUES ({n}, 'email', '{state}', 0, :at, NULL, NULL, '', 1, 't')",
            ):
                connection.execute(text(f"INSERT {row}"), told)
    go(engine, "head")
    with writing(engine) as connection:
        alerts = ControlRows(connection).alerts
        for number in (2, 3):
            assert [each.id for each in alerts.claim_together("email", NOW, Turns())] == [number]
            alerts.sent("email", number, "x", claimed=NOW)
    engine.dispose()
