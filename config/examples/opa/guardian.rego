# Guardian's own policies in Rego, for teams whose policies live in OPA (1.0 or newer).
#
#   opa run --server --addr 127.0.0.1:8181 config/examples/opa
#
#   policy:
#     language: opa
#     options: {url: "http://127.0.0.1:8181", path: guardian/decision}
#
# `monitor.rego` says what config/policies/monitor.cedar says; `people.rego` has the roles and the four eyes of the
# Cedar set without all of its relations. Keep `policy.floor: true` (the default) and the Cedar policies stay in
# force beneath: what they refuse stays refused, whatever is written here. guardian/policy/facts.py describes `input`.
# Nothing is permitted unless some rule in `permits` says so and none in `forbids` objects. Both map the id of a
# policy to its sentence.
package guardian

decision := {"allow": true, "policy_ids": object.keys(permits), "reasons": permits} if {
	count(permits) > 0
	count(forbids) == 0
} else := {"allow": false, "policy_ids": object.keys(forbids), "reasons": forbids}

# A stolen or over-broad token must not reach across customers, whatever else permits the act.
forbids["tenant-isolation"] := "the caller's token does not cover this tenant" if not reaches

reaches if input.resource.type == "deployment"

reaches if input.subject.properties.every_tenant == true

reaches if input.resource.properties.tenant in input.subject.properties.tenants

role := input.subject.properties.role

action := input.action.name
