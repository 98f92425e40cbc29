"""Whatever Slack, or somebody who pretends to be Slack, sends is a click or a refusal, never a crash."""

import contextlib
import json

from hypothesis import given
from hypothesis import strategies as st

from guardian.alerting.clicks import (
    BadClick,
    Click,
    form_fields,
    from_command,
    from_form_body,
    from_interaction,
)

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=12), inner, max_size=4),
    max_leaves=12,
)
KEYS = (
    "type",
    "actions",
    "user",
    "view",
    "state",
    "values",
    "id",
    "action_id",
    "value",
    "private_metadata",
    "callback_id",
)
SHAPED = st.dictionaries(
    st.sampled_from(KEYS),
    JSON
    | st.sampled_from(["block_actions", "view_submission", "guardian:snooze", "U0A"])
    | st.lists(st.dictionaries(st.sampled_from(KEYS), JSON, max_size=5), max_size=2)
    | st.dictionaries(st.sampled_from(KEYS), JSON, max_size=5),
)


@given(JSON | SHAPED)
def test_any_json_is_a_click_or_a_refusal(payload: object) -> None:
    for read in (from_interaction, from_command):
        with contextlib.suppress(BadClick):
            assert isinstance(read(payload), Click)


@given(st.binary(max_size=200) | st.text(max_size=200).map(str.encode))
def test_any_body_is_read_or_refused(body: bytes) -> None:
    for read in (from_form_body, form_fields):
        with contextlib.suppress(BadClick):
            read(body)


def test_a_command_is_read_as_it_was_typed() -> None:
    fields = {"user_id": "U0A", "channel_id": "C0A", "text": "revoke `R&amp;D &lt;Bot&gt;` says &amp;amp;"}
    assert from_command(fields).text == "revoke `R&D <Bot>` says &amp;"


def test_a_form_keeps_what_stood_on_the_button() -> None:
    kept = json.dumps({"value": f"{'a' * 64}.{'b' * 32}.apr_1", "channel": "C0A"})
    values = {"reason": {"it": {"type": "plain_text_input", "value": "because"}}}
    view = {"id": "V1", "callback_id": "guardian:approve", "private_metadata": kept, "state": {"values": values}}
    click = from_interaction({"type": "view_submission", "user": {"id": "U0A", "team_id": "T0A"}, "view": view})
    assert (click.verb, click.case, click.seen, click.approval) == ("approve", "a" * 64, "b" * 32, "apr_1")
    assert (click.channel, click.fields) == ("C0A", {"reason": "because"})
