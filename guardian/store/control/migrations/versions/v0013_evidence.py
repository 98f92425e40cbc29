"""Finding few findings among very many, and the newest ledger entry of one tenant."""

import sqlalchemy as sa
from alembic import op

revision = "0013"
down_revision = "0012"

_JUDGED = sa.text("verdict IS NOT NULL")
_KEYS = ["tenant_id", "subject_type", "subject_id"], ["tenant_id", "cause"]


def upgrade() -> None:
    op.drop_index("ix_control_finding_tenant_id_session_id", "control_finding")
    op.create_index("ix_control_finding_session_id_tenant_id", "control_finding", ["session_id", "tenant_id"])
    by_kind = ["kind", "seq", "tenant_id"]
    op.create_index("ix_control_finding_kind_seq_tenant_id", "control_finding", by_kind)
    by_effect = ["effect", "seq", "tenant_id", "kind"]
    op.create_index("ix_control_finding_effect_seq_tenant_id_kind", "control_finding", by_effect)
    op.create_index(
        "ix_control_finding_judged",
        "control_finding",
        ["seq", "tenant_id"],
        sqlite_where=_JUDGED,
        postgresql_where=_JUDGED,
    )
    for key in _KEYS:
        op.drop_index(f"ix_control_ledger_{'_'.join(key)}", "control_ledger")
    for key in (*_KEYS, ["tenant_id"]):
        in_order = [*key, "epoch", "n"]
        op.create_index(f"ix_control_ledger_{'_'.join(in_order)}", "control_ledger", in_order)
