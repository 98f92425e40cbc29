"""How often an exception, and no person, made a session's evidence start afresh."""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"


def upgrade() -> None:
    with op.batch_alter_table("control_session") as table:
        table.add_column(sa.Column("freshened", sa.Integer(), nullable=False, server_default="0"))
    _remember_exceptions(op.get_bind())


def _remember_exceptions(connection: sa.Connection) -> None:
    """What they did until now: of the words that make evidence start afresh, those that no person said."""
    key = ("tenant_id", "session_id")
    session = sa.table("control_session", *(sa.column(name) for name in (*key, "restarts", "freshened")))
    change = sa.table("control_change", *(sa.column(name) for name in (*key, "word")))
    words = sa.select(change.c.tenant_id, change.c.session_id, sa.func.count().label("times"))
    said = (
        words.where(change.c.word.in_(("reinstated", "false_positive")))
        .group_by(change.c.tenant_id, change.c.session_id)
        .subquery()
    )
    here = sa.and_(session.c.tenant_id == said.c.tenant_id, session.c.session_id == said.c.session_id)
    found = sa.select(session.c.tenant_id, session.c.session_id, said.c.times - session.c.restarts)
    made = connection.execute(found.join(said, here).where(said.c.times > session.c.restarts)).all()
    if made:
        this = sa.and_(session.c.tenant_id == sa.bindparam("t"), session.c.session_id == sa.bindparam("s"))
        change_it = session.update().where(this).values(freshened=sa.bindparam("n"))
        connection.execute(change_it, [{"t": tenant, "s": name, "n": times} for tenant, name, times in made])
