"""The list of exceptions, of a control API that really runs."""

from datetime import timedelta
from pathlib import Path

import typer
import yaml
from typer.testing import CliRunner

from guardian.bootstrap.clock import utc_now
from guardian.bootstrap.control import Control
from guardian.cli import exceptions
from guardian.commands import tokens
from guardian.commands.initialise import initialise
from guardian.config import load
from guardian.telemetry import Metrics
from guardian.wire.exceptions import ExceptionView


def test_the_list_marks_owners_of_whom_a_token_was_withdrawn_since(tmp_path: Path) -> None:
    path = initialise(tmp_path)
    settings, life, now = load(path), timedelta(days=1), utc_now()
    root, ann, _ = (
        tokens.issue(settings, who, role="admin", tenants=["*"], ttl=life) for who in ("root", "ann", "ben")
    )
    app = typer.Typer()
    exceptions.register(app)
    control = Control(settings, metrics=Metrics(), port=0)
    control.start()
    try:
        with control.store.write() as rows:
            for owner in ("ann", "ben"):
                made = {"tenant_id": "acme", "purpose": "review", "tool": "crm.read", "reason": "ours"}
                view = ExceptionView(id=f"exc_{owner}", owner=owner, created_at=now, expires_at=now + life, **made)
                rows.exceptions.add(view)
            rows.tokens.revoke(ann.principal.jti, by="root", now=now + timedelta(seconds=1))
        body = yaml.safe_load(path.read_text(encoding="utf-8"))
        body["control"]["url"] = control.url
        path.write_text(yaml.safe_dump(body), encoding="utf-8")
        env = {"GUARDIAN_TOKEN": root.text, "COLUMNS": "250", "NO_COLOR": "1"}
        done = CliRunner().invoke(app, ["exceptions", "list", "-c", str(path)], env=env, catch_exceptions=False)
    finally:
        control.stop()
    assert "ann (token withdrawn)" in done.stdout
    assert "ben (token withdrawn)" not in done.stdout
