"""The demo's decisions in the words of any log format, and what the gateway has to tell besides."""

import dataclasses
import json
from collections.abc import Mapping, Sequence
from typing import Any

from guardian.bootstrap import plugins
from guardian.demo.log import GATEWAY, encode
from guardian.demo.scenario import PlannedSession
from guardian.domain.event import DecisionEvent

OWN = "guardian"


class Writing:
    """Raises ConfigurationError for a format that does not exist."""

    def __init__(self, name: str = OWN) -> None:
        self.name = name
        self._format: Any = plugins.make("sources", name, {})

    @property
    def tells_envelopes(self) -> bool:
        """Whether the log carries them; otherwise they have to be registered."""
        return "envelope" in self._format.carries

    def of(self, line: Mapping[str, Any]) -> bytes:
        """One decision as a gateway of this format logs it. Where its log has no tenant, each has its gateway."""
        if "tenant" not in self._format.carries:
            line = {**line, "gateway": gateway_of(line["envelope"]["tenant_id"])}
        raw = encode(line)
        return raw if self.name == OWN else self._format.write(DecisionEvent.model_validate_json(raw))

    def known_as(self, plan: Sequence[PlannedSession]) -> list[PlannedSession]:
        """The sessions under the names that guardian knows them by. A log without session ids tells them apart by
        agent and user only: each user of the demo then works on one thing at a time."""
        if "session" in self._format.carries:
            return list(plan)
        names: dict[str, str] = {}
        users: dict[str, str] = {}
        made = []
        for session in plan:
            envelope = dict(session.envelope)
            own = f"{envelope['delegator_id']}.{session.session_id.rpartition('_')[2]}"
            users[session.session_id] = envelope["delegator_id"] = users.get(session.parent or "", own)
            name = f"window:{envelope['agent_id']}|{envelope['delegator_id']}"
            names[session.session_id] = name
            parent = names.get(session.parent) if session.parent is not None else None
            envelope |= {"session_id": name, "parent_session_id": parent}
            made.append(dataclasses.replace(session, session_id=name, envelope=envelope, parent=parent))
        return made


def gateway_of(tenant: str) -> str:
    """A gateway that serves this tenant only."""
    return f"{GATEWAY}-{tenant}"


def envelope_body(line: Mapping[str, Any]) -> str:
    """The envelope of a decision as JSON."""
    return json.dumps({name: value for name, value in line["envelope"].items() if value is not None})
