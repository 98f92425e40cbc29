# What the monitor may do: it proposes, these policies decide. Written for the day on which its token is stolen or
# its model is wrong.
package guardian

# Telling people is harmless and must never depend on the mode, on a budget or on how sure the monitor is.
permits["monitor-may-flag"] := "the monitor may flag any session of its tenants" if {
	role == "monitor"
	action == "flag"
}

permits["monitor-may-follow-people"] := "the monitor reads what people decided, and its metrics" if {
	role == "monitor"
	action in {"readChanges", "readMetrics"}
}

permits["monitor-may-propose-revocation"] := "the monitor may ask for a person's word" if {
	role == "monitor"
	action == "propose"
	input.action.properties.target in {"revoke", "permitCall"}
}

# A broken rule is a fact, and a task is what one delegation is for; an agent or a delegator is for people.
permits["monitor-may-keep-a-task-from-coming-back"] := "the registered task is kept from coming back" if {
	auto_revoke_subject
	input.action.properties.whom == "task"
	input.action.properties.whom_registered == true
	hard_breach
}

forbids["auto-revoke-subjects-only-in-enforce"] := "neither in mode enforce nor in the canary" if {
	auto_revoke_subject
	not acts_by_itself
}

forbids["auto-revoke-subjects-breaker"] := "the tenant's circuit breaker is open" if {
	auto_revoke_subject
	not input.context.harm.breaker_open == false
}

# Advice before the act: without a reason against it a call goes through.
permits["calls-may-pass"] := "nothing speaks against this call" if {
	role == "monitor"
	action == "permitCall"
}

# A call that breaks its envelope or its delegation is refused, whoever would approve it.
forbids["calls-with-a-hard-breach-are-refused"] := "the call breaks a rule of its envelope or delegation" if {
	action == "permitCall"
	not watches_only
	not input.context.evidence.hard_breach == false
}

# On statistics alone a call is held: a person may let exactly this call through.
forbids["calls-on-strong-evidence-wait-for-a-person"] := "a person must let this call through" if {
	action == "permitCall"
	not watches_only
	not weak_evidence
	not approved
}

# One broken signal, or one odd word, must not take a session away: rare, the session's own evidence, and two signals.
permits["monitor-may-revoke-on-strong-evidence"] := "very strong evidence from two independent signals" if {
	auto_revoke
	input.context.evidence.one_in >= 20000
	input.context.evidence.session_evidence_milli >= 1000
	input.context.evidence.independent_signals >= 2
}

# A hard breach is a fact (an expired envelope is expired); it needs no statistics.
permits["monitor-may-revoke-on-hard-breach"] := "a hard breach of the envelope or of the delegation" if {
	auto_revoke
	hard_breach
}

# Shadow is how trust is earned. Any other mode, also one that this policy does not know, means hands off.
forbids["auto-revoke-only-in-enforce"] := "the tenant is not in mode enforce, nor the session in its canary" if {
	auto_revoke
	not acts_by_itself
}

forbids["auto-revoke-never-protected"] := "the session is protected: a person must decide" if {
	auto_revoke
	not unprotected
	not approved
}

# Revocations far above the usual rate are more likely our mistake, or forged logs, than a tenant of rogue agents.
forbids["auto-revoke-breaker"] := "the tenant's circuit breaker is open" if {
	auto_revoke
	not input.context.harm.breaker_open == false
}

forbids["auto-revoke-blast-radius"] := "a third of the tenant's registered sessions is revoked already" if {
	auto_revoke
	not few_sessions
	not few_revoked
}

forbids["auto-revoke-settles-after-model-change"] := "the model changed within the last hour" if {
	auto_revoke
	not model_settled
	not hard_breach
	not approved
}

forbids["auto-revoke-restricted-data-needs-a-fact"] := "restricted data: only a hard breach revokes by itself" if {
	auto_revoke
	not unrestricted
	not hard_breach
	not approved
}

# The budget bounds the harm of a wrong model, a stolen token or a flood of forged logs.
forbids["auto-revoke-within-budget"] := "the tenant's budget of automatic revocations is spent" if {
	auto_revoke
	not budget_left
}

# Decoys that merely look strange must not spend what a real breach will need.
forbids["auto-revoke-keeps-reserve"] := "what is left of the budget is reserved for hard breaches" if {
	auto_revoke
	not hard_breach
	not general_budget_left
}

auto_revoke if {
	role == "monitor"
	action == "revoke"
}

auto_revoke_subject if {
	role == "monitor"
	action == "revokeSubject"
}

# What touches no call: shadow, and a canary beside this session. A mode that is missing or unknown is neither.
watches_only if input.context.mode == "shadow"

watches_only if {
	input.context.mode == "canary"
	input.context.in_canary == false
}

weak_evidence if input.context.evidence.one_in < 20000

weak_evidence if input.context.evidence.session_evidence_milli < 1000

weak_evidence if input.context.evidence.independent_signals < 2

acts_by_itself if input.context.mode == "enforce"

acts_by_itself if {
	input.context.mode == "canary"
	input.context.in_canary == true
}

# A fact that is missing must not weaken a rule, so every exception asks for a fact that is there.
unprotected if input.resource.properties.protected == false

unrestricted if {
	classes := input.resource.properties.data_classes
	not "restricted" in classes
}

few_sessions if input.context.harm.registered_sessions < 20

few_revoked if input.context.harm.revoked_permille < 333

model_settled if input.context.harm.minutes_since_model_change >= 60

hard_breach if input.context.evidence.hard_breach == true

approved if input.context.act.approved == true

budget_left if input.context.budget.used < input.context.budget.total

general_budget_left if input.context.budget.used_general < input.context.budget.total - input.context.budget.reserved
