"""Rego: one rule that reads the restrictions as data, so that the next proposal only changes a JSON file.

`data.guardian.tightening.deny` is the set of restriction ids that refuse the input; add it to your own deny.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from guardian.domain.restriction import Restriction
from guardian.tightening.proposal import Proposal

RULES_FILE, DATA_FILE = "rego/guardian_tightening.rego", "rego/data.json"

MODULE = """# Restrictions proposed by guardian. It only denies: nothing here allows anything.
# input: tenant, purpose, role, parent_role, agent_id, tool, hour, session_age_s, arguments (flat), envelope, and
# where known records and data_classes. purpose, role and parent_role as guardian/gateway/facts.py makes them:
# asked about other ones, this denies nothing. One that is missing may be any: what would then be denied is.
package guardian.tightening

import rego.v1

deny contains restriction.id if {
	some restriction in data.guardian.restrictions
	may_be("tenant", restriction.scope.tenant_id)
	may_be("purpose", restriction.scope.purpose)
	may_be("role", restriction.scope.role)
	may_be("parent_role", restriction.scope.parent_role)
	broken(restriction.rule)
}

may_be(fact, value) if input[fact] == value

may_be(fact, _) if object.get(input, fact, null) == null

broken(rule) if {
	rule.kind == "forbid_tool"
	may_be("tool", rule.tool)
	not input.agent_id in rule.except_agents
}

broken(rule) if {
	rule.kind == "forbid_data_class"
	rule.data_class in input.data_classes
}

broken(rule) if {
	rule.kind == "max_records"
	input.records > rule.limit
}

broken(rule) if {
	rule.kind == "only_hours"
	not input.hour in rule.hours
}

broken(rule) if {
	rule.kind == "max_lifetime"
	input.session_age_s > rule.seconds
}

broken(rule) if {
	rule.kind == "max_lifetime"
	object.get(input, "session_age_s", null) == null
}

broken(rule) if {
	rule.argument
	may_be("tool", rule.tool)
	rule.required
	not rule.argument in object.keys(input.arguments)
}

broken(rule) if {
	rule.argument
	may_be("tool", rule.tool)
	object.get(input, "arguments", null) == null
}

broken(rule) if {
	rule.argument
	may_be("tool", rule.tool)
	value := input.arguments[rule.argument]
	not permitted(rule, value)
}

permitted(rule, value) if {
	rule.kind == "pin_argument"
	value in input.envelope[rule.constraint]
}

permitted(rule, value) if {
	rule.kind == "argument_in"
	value in rule.values
}

permitted(rule, value) if {
	rule.kind == "argument_at_most"
	regex.match(`^-?[0-9]+$`, json.marshal(value))
	value <= rule.limit
}

permitted(rule, value) if {
	rule.kind == "argument_like"
	is_string(value)
	startswith(value, rule.prefix)
	endswith(value, rule.suffix)
	count(value) >= count(rule.prefix) + count(rule.suffix)
}
"""


@dataclass(frozen=True)
class RegoDenials:
    """No options: the path is `data.guardian.tightening.deny`, the data `data.guardian.restrictions`."""

    def files(self, proposal: Proposal) -> dict[str, str]:
        if not proposal.restrictions:
            return {}
        restrictions = [
            {"id": r.id, "scope": asdict(r.scope), "rule": rule, "why": r.why}
            for r in proposal.restrictions
            for rule in _rules(r, proposal.own(r))
        ]
        data = json.dumps(
            {"guardian": {"restrictions": restrictions}}, indent=2, sort_keys=True, ensure_ascii=False
        )
        return {RULES_FILE: MODULE, DATA_FILE: data + "\n"}

    def check(self, proposal: Proposal, files: Mapping[str, str]) -> list[str]:
        """That the module compiles and answers: asked about nobody, it must deny nothing."""
        if RULES_FILE not in files:
            return []
        absent = sorted(each.id for each in proposal.restrictions if json.dumps(each.id) not in files[DATA_FILE])
        if absent:
            return [f"{each}: is not in the data" for each in absent]
        try:
            nobody = {"tenant": "", "purpose": "", "role": "", "parent_role": "", "arguments": {}}
            found = RegoEvaluator(files).denied_by(nobody)
        except ImportError:
            return ["unchecked: no Rego evaluator here; install intent-guardian[rego], or `opa check` the folder"]
        except (ValueError, RuntimeError) as error:
            return [f"rego: {' '.join(str(error).split())[:300]}"]
        return [f"{each}: denies a request that is outside its scope" for each in found]


plugin = RegoDenials


def _rules(restriction: Restriction, own: Sequence[str]) -> list[dict[str, Any]]:
    """The rule as data, once for each name that gateways have for its tool."""
    rule = {"kind": restriction.rule.kind, **asdict(restriction.rule)}
    return [rule | {"tool": name} for name in own] or [rule]


class RegoEvaluator:
    """The rendered files in rego-cpp. Raises ImportError if it is not installed."""

    def __init__(self, files: Mapping[str, str]) -> None:
        from regopy import Interpreter

        self._interpreter: Any = Interpreter()
        self._interpreter.add_module("guardian_tightening", files[RULES_FILE])
        self._interpreter.add_data_json(files[DATA_FILE])

    def denied_by(self, facts: Mapping[str, Any]) -> list[str]:
        """The ids of the restrictions that refuse a request.

        Raises ValueError or RuntimeError if the module is wrong.
        """
        # as a term: rego-cpp compares the escapes of a JSON input as they are written, not what they stand for
        self._interpreter.set_input_term(json.dumps(dict(facts), ensure_ascii=False))
        answer = json.loads(str(self._interpreter.query("data.guardian.tightening.deny")))
        if "expressions" not in answer:
            raise ValueError(f"no answer: {str(answer)[:300]}")
        return sorted(answer["expressions"][0])
