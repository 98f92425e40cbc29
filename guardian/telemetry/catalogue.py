"""Every metric by name, each with what to do when it moves.

Names are a Literal type, so that a misspelt metric does not type-check. No label carries a session, agent
or argument: cardinality stays bounded, and what agents write never reaches a metrics page.
"""

from collections.abc import Mapping, Sequence
from itertools import product
from typing import Literal, NamedTuple, get_args

Metric = Literal[
    "guardian_events_total",
    "guardian_verdicts_total",
    "guardian_dead_letters_total",
    "guardian_time_lag_seconds",
    "guardian_scoring_seconds",
    "guardian_outbox_depth",
    "guardian_outbox_parked",
    "guardian_outbox_failures_total",
    "guardian_embedding_cache_total",
    "guardian_vector_cache_total",
    "guardian_departure_evidence",
    "guardian_findings_total",
    "guardian_policy_decisions_total",
    "guardian_revocations_total",
    "guardian_ledger_revision",
    "guardian_ledger_epoch",
    "guardian_alerts_total",
    "guardian_alert_queue_depth",
    "guardian_alerts_held",
    "guardian_auth_failures_total",
    "guardian_request_seconds",
    "guardian_gateway_revision",
    "guardian_approvals_total",
    "guardian_breakers_open",
    "guardian_break_glass_total",
    "guardian_policy_reloads_total",
    "guardian_policy_seconds",
    "guardian_audit_checkpoint_size",
    "guardian_audit_unsigned_seconds",
    "guardian_envelopes_total",
    "guardian_gateways",
    "guardian_gateway_lag_seconds",
    "guardian_unprotected_seconds",
    "guardian_self_tests_total",
    "guardian_ledger_unread",
    "guardian_pushes_total",
    "guardian_push_lag_seconds",
    "guardian_advice_total",
    "guardian_advice_seconds",
    "guardian_adviser_given_up",
    "guardian_slack_clicks_total",
    "guardian_sign_ins_total",
    "guardian_purposes_total",
    "guardian_waiting_records",
    "guardian_archive_waiting",
    "guardian_archive_skipped_total",
    "guardian_loop_failures_total",
]


_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)


class Spec(NamedTuple):
    """`known` are values of the labels of a counter, one by label: it shows 0 for them from the start. Prometheus
    sees a growth from 0 to 1, and none from nothing to 1."""

    kind: Literal["counter", "gauge", "histogram"]
    help: str
    labels: tuple[str, ...] = ()
    known: Sequence[tuple[str, ...]] = ()
    buckets: tuple[float, ...] = _SECONDS


def _each(*values: str) -> list[tuple[str, ...]]:
    return [(value,) for value in values]


METRICS: Mapping[Metric, Spec] = {
    "guardian_events_total": Spec(
        "counter",
        "Records read, by outcome. Flat while gateways are busy: check the topic.",
        ("outcome",),
        _each("judged", "duplicate", "redelivered", "skipped", "waits", "dead_letter"),
    ),
    "guardian_verdicts_total": Spec(
        "counter",
        "Judged decisions by the stage of their session. A jump in flagged: look at the findings first.",
        ("stage",),
    ),
    "guardian_dead_letters_total": Spec(
        "counter", "Unreadable records by reason code. Any growth: `guardian dlq list`.", ("code",)
    ),
    "guardian_time_lag_seconds": Spec(
        "gauge",
        "How far behind its topic the monitor is at least, by the partitions that it has read of; NaN while of "
        "none. Above your revocation objective: add one.",
    ),
    "guardian_scoring_seconds": Spec(
        "histogram", "Time to judge one batch. Rising with a flat cache hit rate: purposes got more varied."
    ),
    "guardian_outbox_depth": Spec(
        "gauge",
        "Findings not yet delivered to control. Growing: control is away, or more is found than it takes.",
    ),
    "guardian_outbox_parked": Spec(
        "gauge",
        "Findings that control refused, or that this version cannot read. Above 0: `guardian outbox list`, "
        "mend it, `guardian outbox release`.",
    ),
    "guardian_outbox_failures_total": Spec(
        "counter", "Deliveries that failed, by reason. See the log line with the same correlation id.", ("reason",)
    ),
    "guardian_embedding_cache_total": Spec(
        "counter", "Drift-model cache look-ups by result. Many misses: raise model.cache_size.", ("result",)
    ),
    "guardian_vector_cache_total": Spec(
        "counter",
        "Look-ups of text vectors by result. Many misses while traffic repeats: raise model.cache_size.",
        ("result",),
    ),
    "guardian_departure_evidence": Spec(
        "gauge",
        "Most evidence so far that traffic has left the calibration, by direction. Further out, from"
        " `monitor.departure_one_in` on, promises do not hold: `guardian calibrate` on recent traffic.",
        ("direction",),
    ),
    "guardian_findings_total": Spec(
        "counter", "Findings received by control, by kind and what policy made of them.", ("kind", "effect")
    ),
    "guardian_policy_decisions_total": Spec(
        "counter",
        "Policy answers by action and decision. Denied revokes: read the findings' notes. Bridged: a decision"
        " point gives no answer, and a gateway reads the list by its last permit.",
        ("action", "decision"),
    ),
    "guardian_revocations_total": Spec(
        "counter",
        "Revocations, reinstatements and lapses by reason. Not counted: renewals, followers handed over to another"
        " cause, tests of the switch. A spike: switch to shadow and look.",
        ("status", "reason"),
        (
            *(("revoked", why) for why in ("drift", "hard_breach", "manual", "approved")),
            *(("revoked", why) for why in ("parent_revoked", "comes_back")),
            *(("reinstated", why) for why in ("manual", "approved", "parent_reinstated")),
            ("lapsed", "expired"),
        ),
    ),
    "guardian_ledger_revision": Spec("gauge", "Newest revision of the revocation ledger."),
    "guardian_ledger_epoch": Spec("gauge", "Epoch of the ledger; it changes only when a backup was restored."),
    "guardian_alerts_total": Spec(
        "counter",
        "Alerts by channel and outcome. Any parked: `guardian alerts list`.",
        ("channel", "outcome"),
    ),
    "guardian_alert_queue_depth": Spec(
        "gauge",
        "Alerts waiting, by channel. Growing: the channel is down or rate-limits; `guardian alerts list`.",
        ("channel",),
    ),
    "guardian_alerts_held": Spec(
        "gauge",
        "Alerts of what became of findings that wait for an earlier one, by channel. For long: that was refused, "
        "or the channel is down; `guardian alerts list`, mend it, `release` or `drop` what was refused.",
        ("channel",),
    ),
    "guardian_auth_failures_total": Spec(
        "counter",
        "Refused credentials by reason. Growing: the log of control (`token_refused`) says from where.",
        ("reason",),
        _each(
            *("missing", "certificate", "malformed", "algorithm", "type", "unknown_key", "signature", "expired"),
            *("claim_aud", "claim_iss", "claim_nbf", "claim_iat", "claims", "revoked"),
        ),
    ),
    "guardian_request_seconds": Spec("histogram", "Control API latency by route.", ("route",)),
    "guardian_gateway_revision": Spec(
        "gauge",
        "Revision up to which all processes of a gateway have what concerns them; NaN out of service. Behind the "
        "ledger: one enforces old news.",
        ("gateway",),
    ),
    "guardian_approvals_total": Spec(
        "counter",
        "Acts that wait for a second person, by what became of them. Many expired: nobody looks. Any no_room: "
        "too many wait for people to be asked about another.",
        ("state",),
    ),
    "guardian_breakers_open": Spec(
        "gauge",
        "Tenants whose breaker keeps the monitor from revoking. Above 0: the alert names it and why.",
    ),
    "guardian_break_glass_total": Spec("counter", "Break-glass grants taken. Each deserves a review afterwards."),
    "guardian_policy_reloads_total": Spec(
        "counter",
        "Policy reloads by result. Any refused one: `guardian policy check`.",
        ("result",),
        _each("swapped", "unchanged", "refused"),
    ),
    "guardian_policy_seconds": Spec(
        "histogram",
        "Time for one policy answer. Slow: look at the external PDP.",
        buckets=(0.0001, 0.00025, 0.0005, *_SECONDS),
    ),
    "guardian_audit_checkpoint_size": Spec(
        "gauge", "Audit entries under the newest signed checkpoint. Standing still: exports fail, see the log."
    ),
    "guardian_audit_unsigned_seconds": Spec(
        "gauge",
        "Age of the oldest audit entry that lacks a checkpoint in any sink. Above half an hour: see the log.",
    ),
    "guardian_gateways": Spec(
        "gauge", "Gateway processes by state. Any silent or lagging: `guardian gateways`.", ("state",)
    ),
    "guardian_gateway_lag_seconds": Spec(
        "gauge",
        "How long a gateway has held old news, up to 2 s too much. Above 5: it lets revoked sessions act.",
        ("gateway",),
    ),
    "guardian_unprotected_seconds": Spec(
        "gauge",
        "How long calls have not been watched; after an orderly stop 0 for an hour, NaN while no monitor is known."
        " Above a minute: look at the monitor and its topic.",
    ),
    "guardian_self_tests_total": Spec(
        "counter",
        "Tests of the switch by kind and result. Any failed: people were paged.",
        ("kind", "result"),
        tuple(product(["canary", "planted_breach", "planted_drift"], ["passed", "failed"])),
    ),
    "guardian_ledger_unread": Spec(
        "gauge", "1 while the ledger cannot be read, so that no gateway gets news. Page: the log says which entry."
    ),
    "guardian_pushes_total": Spec(
        "counter", "Entries brought to receivers, by face and outcome. Failed: see the log.", ("face", "outcome")
    ),
    "guardian_push_lag_seconds": Spec(
        "gauge",
        "Age of the oldest entry that a receiver does not have, or how long it takes no flag. Growing: the log"
        " says why, under its name.",
        ("face", "receiver"),
    ),
    "guardian_advice_total": Spec(
        "counter", "Advice by answer. Many fallbacks: the adviser is slow or away.", ("answer",)
    ),
    "guardian_advice_seconds": Spec("histogram", "Time for one advice, as the gateway waits for it."),
    "guardian_adviser_given_up": Spec(
        "gauge",
        "1 while the adviser was always late, so that the fall-back answers at once, until it answers a question"
        " in time. Look at the monitor.",
    ),
    "guardian_slack_clicks_total": Spec(
        "counter",
        "Clicks and commands in Slack by what became of them. Many unmapped or forged: somebody is trying.",
        ("outcome",),
    ),
    "guardian_sign_ins_total": Spec(
        "counter",
        "Sign-ins to the evidence pages, by way. Many refused: people are not mapped, or somebody is trying.",
        ("how",),
    ),
    "guardian_purposes_total": Spec(
        "counter",
        "Judged decisions by who told their purpose. Many unknown: register envelopes, or map agents to purposes.",
        ("source",),
    ),
    "guardian_waiting_records": Spec(
        "gauge", "Records that wait for their session's envelope. Near the limit: envelopes come late or never."
    ),
    "guardian_envelopes_total": Spec(
        "counter",
        "Envelopes registered, by result. Many new versions: grants are re-issued often.",
        ("result",),
        _each("registered", "reissued", "unchanged", "heard", "refused"),
    ),
    "guardian_archive_waiting": Spec(
        "gauge", "Decisions and words not yet in a file. Growing: the archive's disk refuses, see the log."
    ),
    "guardian_archive_skipped_total": Spec(
        "counter", "Decisions the archive lacks. Any growth: `guardian archive import kafka` back-fills them."
    ),
    "guardian_loop_failures_total": Spec(
        "counter",
        "Times that one of guardian's loops failed and began again. Any growth: the log says why.",
        ("loop",),
    ),
}
assert set(METRICS) == set(get_args(Metric))  # noqa: S101 - the Literal and the table are one list
