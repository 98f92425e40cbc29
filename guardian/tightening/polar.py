"""Polar: `guardian_denies(id, call)` succeeds once for each restriction that refuses the call."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, assert_never

from guardian.domain.restriction import Restriction
from guardian.domain.rules import (
    ArgumentAtMost,
    ArgumentIn,
    ArgumentLike,
    ForbidDataClass,
    ForbidTool,
    MaxLifetime,
    MaxRecords,
    OnlyHours,
    PinArgument,
    Scalar,
)
from guardian.tightening.proposal import Proposal

FILE = "polar/guardian_tightening.polar"
_HEAD = """# Restrictions proposed by guardian. It only denies: nothing here allows anything.
# In your own rules: allow(...) if ... and not guardian_denies(_, call);
# `call` is a dictionary: tenant, purpose, role, parent_role, agent_id, tool, hour, session_age_s, arguments
# (flat), envelope, argument_names and envelope_names (their keys), and where known records and data_classes.
# purpose, role and parent_role as guardian/gateway/facts.py makes them: asked about other ones, or where one is
# missing, this denies nothing. So refuse a call of which you do not know them all.
"""


@dataclass(frozen=True)
class PolarDenials:
    """No options. The host is Python: text methods are its own."""

    def files(self, proposal: Proposal) -> dict[str, str]:
        if not proposal.restrictions:
            return {}
        made = (rule for each in proposal.restrictions for rule in rules(each, proposal.own(each)))
        return {FILE: _HEAD + "".join(made)}

    def check(self, proposal: Proposal, files: Mapping[str, str]) -> list[str]:
        """Loads in oso, where it is installed."""
        if FILE not in files:
            return []
        absent = sorted(each.id for each in proposal.restrictions if text(each.id) not in files[FILE])
        if absent:
            return [f"{each}: has no rule" for each in absent]
        try:
            PolarEvaluator(files)
        except ImportError:
            return ["unchecked: the oso package is not installed here"]
        except Exception as error:  # oso's errors share no base class with a stable name
            return [f"polar: {' '.join(str(error).split())[:300]}"]
        return []


plugin = PolarDenials


def rules(restriction: Restriction, own: Sequence[str]) -> list[str]:
    """The rules that refuse what breaks the restriction: a second one if a required argument may be missing. `own`
    are the names that gateways have for its tool, if it is about one."""
    scope, rule = restriction.scope, restriction.rule
    head = f"guardian_denies({text(restriction.id)}, call) if\n"
    where = [
        f"call.tenant = {text(scope.tenant_id)}",
        f"call.purpose = {text(scope.purpose)}",
        f"call.role = {text(scope.role)}",
        f"call.parent_role = {text(scope.parent_role)}",
    ]
    if own:
        where.append(f"call.tool = {text(own[0])}" if len(own) == 1 else f"call.tool in {listed(tuple(own))}")

    def made(*conditions: str) -> str:
        return head + " and\n".join(f"  {each}" for each in (*where, *conditions)) + ";\n"

    match rule:
        case ForbidTool(_, exempt):
            return [made(*([f"not call.agent_id in {listed(exempt)}"] if exempt else []))]
        case ForbidDataClass(name):
            return [made(f"{text(name)} in call.data_classes")]
        case MaxRecords(limit):
            return [made(f"call.records > {limit}")]
        case OnlyHours(hours):
            return [made(f"not call.hour in {listed(hours)}")]
        case MaxLifetime(seconds):
            return [made(f"call.session_age_s > {seconds}")]
        case PinArgument(_, name, required, constraint):
            refused = [
                made(*_argument(name), f"held = call.envelope.({text(constraint)})", "not value in held"),
                made(*_argument(name), "value = value", f"not {text(constraint)} in call.envelope_names"),
            ]
        case ArgumentIn(_, name, required, values):
            refused = [made(*_argument(name), f"not value in {listed(values)}")]
        case ArgumentAtMost(_, name, required, limit):
            whole = "value matches Integer and not value matches Boolean"
            refused = [made(*_argument(name), f"not ({whole} and value <= {limit})")]
        case ArgumentLike(_, name, required, prefix, suffix):
            ends = f"value.startswith({text(prefix)}) and value.endswith({text(suffix)})"
            form = f"{ends} and value.__len__() >= {len(prefix) + len(suffix)}"  # or the two might overlap
            refused = [made(*_argument(name), f"not (value matches String and {form})")]
        case _:  # pragma: no cover
            assert_never(rule)
    missing = [made(f"not {text(name)} in call.argument_names")] if required else []
    return refused + missing


def request(facts: Mapping[str, Any]) -> dict[str, Any]:
    """The facts with the names of keys added, because Polar cannot ask a dictionary whether it has a key."""
    return {
        **facts,
        "argument_names": sorted(facts.get("arguments", ())),
        "envelope_names": sorted(facts.get("envelope", ())),
    }


class PolarEvaluator:
    """The rendered file in oso. Raises ImportError where it is not installed."""

    def __init__(self, files: Mapping[str, str]) -> None:
        from oso import Oso

        self._oso: Any = Oso()
        self._oso.load_str(files[FILE] + "allow(_, _, _) if false;\n")

    def denied_by(self, facts: Mapping[str, Any]) -> list[str]:
        from polar import Variable

        found = self._oso.query_rule("guardian_denies", Variable("id"), request(facts))
        return sorted({each["bindings"]["id"] for each in found})


def text(value: str) -> str:
    """A Polar string literal."""
    escaped = (
        value.replace("\\", "\\\\")
        .replace('"', '\\"')
        .replace("\n", "\\n")
        .replace("\r", "\\r")
        .replace("\0", "\\0")
    )
    return f'"{escaped}"'


def listed(values: tuple[Scalar, ...]) -> str:
    return "[" + ", ".join(text(v) if isinstance(v, str) else str(v).lower() for v in values) + "]"


def _argument(name: str) -> tuple[str, str]:
    return f"{text(name)} in call.argument_names", f"value = call.arguments.({text(name)})"
