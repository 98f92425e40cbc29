"""The columns. They only ever grow: a reader fills what an older file lacks with null."""

import pyarrow as pa

VERSION = "guardian.archive/v1"
_TEXTS = pa.list_(pa.string())
_AT = pa.timestamp("us", tz="UTC")

IDENTITY = ("tenant_id", "gateway", "decision_id", "digest")
"""What makes two rows the same decision. `digest` is the sha256 of the record's untouched bytes."""

EVENTS = pa.schema(
    [
        # which decision
        ("tenant_id", pa.string()),
        ("gateway", pa.string()),
        ("decision_id", pa.string()),
        ("digest", pa.string()),
        ("at", _AT),  # the believed time: the event's, or its arrival where the clock is suspect
        ("event_time", _AT),  # as the gateway said
        ("clock_suspect", pa.bool_()),
        ("origin", pa.string()),  # live or import
        ("trace_id", pa.string()),
        # the envelope
        ("session_id", pa.string()),
        ("parent_session_id", pa.string()),
        ("task_id", pa.string()),
        ("delegator_id", pa.string()),
        ("agent_id", pa.string()),
        ("agent_version", pa.string()),
        ("purpose", pa.string()),
        ("purpose_family", pa.string()),  # names and numbers left out
        ("allowed_tools", _TEXTS),
        ("constraints", pa.string()),  # resource_constraints, JSON
        ("expires_at", _AT),
        ("envelope_digest", pa.string()),  # of the envelope before redaction
        ("signature", pa.string()),  # absent, unchecked, missing, valid, invalid
        # the action
        ("tool", pa.string()),
        ("arguments", pa.string()),  # JSON, after the archive's redaction rules; null: not logged, or dropped;
        # a text and no object: too long, and cut
        ("bound", _TEXTS),  # argument=constraint, where an argument carries a value of the envelope; null: cut
        ("resource_type", pa.string()),
        ("resource_id", pa.string()),
        ("data_classes", _TEXTS),  # asked for or returned; null: the log did not say
        ("records", pa.int64()),  # the larger of asked for and returned; null: the log did not say
        # the gateway's decision
        ("effect", pa.string()),  # allow or deny
        ("policy_ids", _TEXTS),
        ("reason", pa.string()),
        # guardian's verdict
        ("score", pa.float32()),  # in [0, 1], higher is further from purpose
        ("p_value", pa.float64()),
        ("e_value", pa.float64()),
        ("session_evidence", pa.float64()),
        ("step", pa.float64()),  # by how much it moved session_evidence; null: archived before this was kept
        ("one_in", pa.float64()),
        ("promised", pa.bool_()),
        ("signals", pa.map_(pa.string(), pa.float32())),  # name -> value; silent ones are left out
        ("breaches", _TEXTS),
        ("features_missing", _TEXTS),
        ("finding_id", pa.string()),  # of the drift finding that this decision led to
        ("wanted", pa.string()),  # none, flag, revoke: what that finding asked for
        ("model", pa.string()),
        ("calibration", pa.string()),
        # what the score was made from, where the deployment keeps it: little-endian float16
        ("vector_model", pa.string()),
        ("purpose_vector", pa.binary()),
        ("action_vector", pa.binary()),
        # as the log itself spells tools, where it was adapted; null: not known
        ("tool_spelt", pa.string()),
        ("allowed_tools_spelt", _TEXTS),  # in the order of allowed_tools; empty: the same
        ("act_index", pa.int64()),  # of its session, from 0, as the monitor counted; null: not known, imported
    ],
    metadata={"guardian.schema": VERSION},
)

LABELS = pa.schema(
    [
        ("tenant_id", pa.string()),
        ("session_id", pa.string()),
        # false_positive, confirmed, revoked, reinstated, lapsed; registered: that verdict is withdrawn
        ("word", pa.string()),
        ("at", _AT),
        ("seq", pa.int64()),  # control's order
        ("finding_id", pa.string()),  # what was judged; null: the session as a whole, or not known
    ],
    metadata={"guardian.schema": VERSION},
)
