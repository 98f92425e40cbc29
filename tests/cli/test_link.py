"""guardian link, against a real `guardian serve` that has evidence pages."""

import re
import socket
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
from ports import port_of, reserve
from served_control import served_control
from typer.testing import CliRunner

from guardian.bootstrap.control import Control
from guardian.cli import app
from guardian.commands.doctor_control import control_checked
from guardian.commands.doctor_pages import pages_checked
from guardian.commands.tokens import issue
from guardian.config import load
from guardian.errors import ConfigurationError, ControlError
from guardian.telemetry import Metrics


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    with served_control(tmp_path, "console: {enabled: true}\n") as (control, settings, file):
        made = issue(settings, "maya", role="responder", tenants={"acme"}, ttl=timedelta(hours=1))
        monkeypatch.setenv("GUARDIAN_TOKEN", made.text)
        yield control, file


def test_it_prints_a_link_to_this_very_control(place: Any) -> None:
    control, file = place
    done = CliRunner().invoke(app, ["link", "-c", str(file)])
    assert done.exit_code == 0, done.output
    assert re.match(rf"{control.url}/console/link\?code=[\w-]{{43}}\n", done.stdout)
    assert "opens once" in done.stderr


def test_it_leads_to_a_session_however_that_is_called(place: Any) -> None:
    _, file = place
    done = CliRunner().invoke(app, ["link", "acme", "a/b &#é", "-c", str(file)])
    assert done.exit_code == 0, done.output
    assert "&next=%2Fconsole%2Fsession%3Ftenant%3Dacme%26id%3Da%252Fb%2B%2526%2523%25C3%25A9" in done.stdout


def test_it_opens_the_browser_when_asked_and_prints_no_secret_then(place: Any, monkeypatch: Any) -> None:
    _, file = place
    opened: list[str] = []
    monkeypatch.setattr("webbrowser.open", lambda url: opened.append(url) or pages.append(read(url)) or True)
    monkeypatch.setattr("guardian.cli.console._BROWSER_READS_S", 0)
    pages: list[str] = []

    def read(url: str) -> str:
        page = Path(url.removeprefix("file://"))
        assert page.stat().st_mode & 0o077 == 0
        return page.read_text()

    done = CliRunner().invoke(app, ["link", "--open", "-c", str(file)])
    assert done.exit_code == 0, done.output
    assert len(opened) == len(pages) == 1
    assert "code=" not in opened[0], "nor do those who list the processes of this machine"
    assert "/console/link?code=" in pages[0]
    assert not Path(opened[0].removeprefix("file://")).exists()
    assert "code=" not in done.output


def test_pages_that_cannot_be_put_together_leave_no_port_taken(place: Any) -> None:
    _, file = place
    people = "people: {maya: {sub: '1', role: analyst, tenants: [acme]}}"
    oidc = "oidc: {issuer: 'http://idp.example', client_id: g}"
    file.write_text(f"console: {{enabled: true, {oidc}, {people}}}\nstore: {{control: 'sqlite:///control.db'}}\n")
    with reserve() as held:
        with pytest.raises(ConfigurationError, match="https"):
            Control(load(file), metrics=Metrics(), port=port_of(held))
        socket.create_server(("127.0.0.1", port_of(held))).close()


def test_half_a_name_is_a_mistake(place: Any) -> None:
    _, file = place
    done = CliRunner().invoke(app, ["link", "acme", "-c", str(file)])
    assert "neither" in str(done.exception)


def test_a_control_that_began_without_the_pages_is_told(place: Any) -> None:
    control, file = place
    assert pages_checked(load(file)).startswith("at http://127.0.0.1:")
    bare = Control(load(file, overrides={"console": {"enabled": False}}), metrics=Metrics(), port=0)
    bare.start()
    try:
        file.write_text(file.read_text().replace(control.url, bare.url))
        done = CliRunner().invoke(app, ["link", "-c", str(file)])
        assert "set console.enabled on its machine and start it again" in str(done.exception)
        with pytest.raises(ControlError, match=f"{bare.url} runs without the pages; start it again"):
            pages_checked(load(file))
    finally:
        bare.stop()


def test_a_proxy_that_asks_for_a_password_of_its_own_hides_no_pages(place: Any, monkeypatch: Any) -> None:
    _, file = place
    monkeypatch.setattr(
        "guardian.wire.deadline.BoundedClient.get", lambda *_, **__: httpx.Response(401, text="<h1>401</h1>")
    )
    assert pages_checked(load(file)).startswith("at http://127.0.0.1:")


def test_an_address_of_control_that_ends_in_a_slash_has_its_pages(place: Any) -> None:
    control, file = place
    file.write_text(file.read_text().replace(control.url, f"{control.url}/"))
    assert " answers, " in control_checked(load(file))
    assert pages_checked(load(file)).startswith("at http://127.0.0.1:")
