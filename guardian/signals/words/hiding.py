"""What redaction hides from the checks: a hidden value is neither inside nor outside its envelope. Pure.

The rules are a deployment's own, path by path (`action.arguments.customer.*`); a mark stands where a credential
was. A hidden value is reported as missing and is no breach, or a rule for privacy would accuse honest sessions.
"""

from collections.abc import Mapping

from guardian.domain.redacted import Rule, below

__all__ = ["AGENT", "DELEGATOR", "PURPOSE", "Rule", "below", "dropped", "hides", "marked", "under"]

DELEGATOR, AGENT, PURPOSE = "envelope.delegator_id", "envelope.agent_id", "envelope.purpose"
_MARK = "[redacted:"


def under(redacted: Mapping[str, str], area: str) -> tuple[Rule, ...]:
    """The rules that lie in an area of the event, `action.arguments`."""
    if not redacted:
        return ()
    above = tuple(area.split("."))
    paths = (tuple(path.split(".")) for path in redacted)
    return tuple(path[len(above) :] for path in paths if path[: len(above)] == above)


def dropped(redacted: Mapping[str, str], area: str) -> tuple[Rule, ...]:
    """The rules that leave nothing behind: nobody can tell whether something stood there."""
    return under({path: way for path, way in redacted.items() if way == "drop"}, area)


def hides(rules: tuple[Rule, ...], value: object) -> bool:
    """Whether the value is hidden here; of a list, whether any item is or was."""
    if isinstance(value, (list, tuple)) and any(len(r) == 1 and (r[0] == "*" or r[0].isdigit()) for r in rules):
        return True
    return () in rules


def marked(value: object) -> bool:
    """Whether a credential was taken out of a text. Anybody may write a mark, so ask only where one was found."""
    return isinstance(value, str) and _MARK in value
