"""A schema of what the Cedar policies read of a request: to validate them, and requests cut down to it."""

import json
from collections.abc import Callable, Iterable, Sequence

from guardian.domain.restriction import Restriction
from guardian.domain.rules import ROOT, ArgumentAtMost, ArgumentIn, ArgumentLike, PinArgument, Rule, Scalar
from guardian.tightening.wording import quoted

_HEAD = """\
// What the policies beside this file expect of a request. They refuse nothing where purpose, role and parent_role
// are others than guardian/gateway/facts.py makes. When deciding, treat an error of a policy as a refusal:
// Cedar skips that policy. Send the text "[number]" in the place of one with a fraction or beyond 64 bits, which
// Cedar cannot hold. Records are closed, and all tools share them: to validate requests against this too, leave
// out of `envelope` what is not listed below, and out of `arguments` what is not listed here:
"""


def batches(restrictions: Iterable[Restriction]) -> list[list[Restriction]]:
    """Groups that one schema can type: an argument may be text for one tool and a number for another."""
    made: list[tuple[dict[str, str], list[Restriction]]] = []
    for restriction in restrictions:
        told = _typed(restriction.rule)
        for types, batch in made:
            if all(types.get(name, kind) == kind for name, kind in told.items()):
                types |= told
                batch.append(restriction)
                break
        else:
            made.append((told, [restriction]))
    return [batch for _, batch in made]


def generated_schema(restrictions: Sequence[Restriction], own: Callable[[Restriction], Sequence[str]]) -> str:
    """A schema to start from. Everything that a gateway may not know is optional. `own` gives the names that
    gateways have for a restriction's tool."""
    rules = [restriction.rule for restriction in restrictions]
    arguments: dict[str, str] = {}
    by_tool: dict[str, set[str]] = {}
    for restriction in restrictions:
        for name, kind in _typed(restriction.rule).items():
            arguments[name] = kind
            for tool in own(restriction):
                by_tool.setdefault(tool, set()).add(name)
    constraints = {rule.constraint for rule in rules if isinstance(rule, PinArgument)}
    held = "".join(f"      {quoted(name)}?: Set<String>,\n" for name in sorted(constraints))
    carried = "".join(f"      {quoted(name)}?: {kind},\n" for name, kind in sorted(arguments.items()))
    listed = "".join(
        f"//   {json.dumps(tool)}: {json.dumps(sorted(of))}\n" for tool, of in sorted(by_tool.items())
    )
    return (
        f"{_HEAD}{listed}//   of any other tool: none\n"
        "entity Agent;\nentity Tool;\n\n"
        "action call appliesTo {\n  principal: [Agent],\n  resource: [Tool],\n  context: {\n"
        "    tenant: String,\n    purpose: String,        // the family: names and numbers left out\n"
        "    role: String,           // the agent without its instance number\n"
        f'    parent_role: String,    // "{ROOT}" for a root session\n'
        "    agent_id: String,\n    tool: String,\n    hour: Long,             // UTC\n    session_age_s: Long,\n"
        "    records?: Long,\n    data_classes?: Set<String>,\n"
        f"    arguments: {{\n{carried}    }},\n    envelope: {{\n{held}    }},\n  }},\n}};\n"
    )


def _typed(rule: Rule) -> dict[str, str]:
    """The argument that a rule reads, and its Cedar type."""
    match rule:
        case PinArgument() | ArgumentLike():
            return {rule.argument: "String"}
        case ArgumentAtMost():
            return {rule.argument: "Long"}
        case ArgumentIn():
            return {rule.argument: _type(rule.values[0])}
        case _:
            return {}


def _type(value: Scalar) -> str:
    match value:
        case bool():
            return "Bool"
        case int():
            return "Long"
        case _:
            return "String"
