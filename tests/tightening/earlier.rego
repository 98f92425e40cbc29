# Restrictions proposed by guardian. It only denies: nothing here allows anything.
# input: tenant, purpose, role, parent_role, agent_id, tool, hour, session_age_s, arguments (flat), envelope, and
# where known records and data_classes.
package guardian.tightening

import rego.v1

deny contains restriction.id if {
	some restriction in data.guardian.restrictions
	input.tenant == restriction.scope.tenant_id
	input.purpose == restriction.scope.purpose
	input.role == restriction.scope.role
	input.parent_role == restriction.scope.parent_role
	broken(restriction.rule)
}

broken(rule) if {
	rule.kind == "forbid_tool"
	input.tool == rule.tool
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
	rule.argument
	input.tool == rule.tool
	rule.required
	not rule.argument in object.keys(input.arguments)
}

broken(rule) if {
	rule.argument
	input.tool == rule.tool
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
