# What people, and machines other than the monitor, may do, by role.
package guardian

may := {
	"gateway": {"readRevocations", "registerEnvelope"},
	"delegation": {"registerEnvelope"},
	"metrics": {"readMetrics"},
	"auditor": {"read", "readRevocations", "readChanges", "readMetrics", "readAudit"},
	"analyst": {"read", "readRevocations", "dismiss", "confirm", "snooze", "take", "note", "endException"},
	"responder": {
		"read", "readRevocations", "dismiss", "confirm", "snooze", "take", "note", "endException", "revoke", "reinstate",
		"revokeSubject", "breakGlass",
	},
	"approver": {
		"read", "readRevocations", "dismiss", "confirm", "snooze", "take", "note", "endException", "revoke", "reinstate",
		"revokeSubject", "reinstateSubject", "breakGlass", "setMode", "protect", "resetBreaker", "makeException",
	},
	"admin": {
		"read", "readRevocations", "dismiss", "confirm", "snooze", "take", "note", "endException", "revoke", "reinstate",
		"revokeSubject", "reinstateSubject", "breakGlass", "setMode", "protect", "resetBreaker", "makeException",
		"readChanges", "readMetrics", "readAudit",
	},
}

permits["by-role"] := "the role includes this act" if action in may[role]

permits["people-may-propose"] := "people who may act ask for a second person's word" if {
	role in {"responder", "approver", "admin"}
	action == "propose"
	target in {"reinstate", "setMode"}
}

permits["approvers-may-approve"] := "approvers give the second person's word" if {
	role in {"approver", "admin"}
	action == "approve"
	target in {"revoke", "reinstate", "setMode", "permitCall"}
}

permits["responders-may-approve-revocations"] := "responders and who is on call decide what the monitor may not" if {
	responds
	action == "approve"
	target == "revoke"
}

permits["responders-may-let-calls-through"] := "responders let a held call through" if {
	role == "responder"
	action == "approve"
	target == "permitCall"
}

# The person on whose behalf an agent acts, the owner of its purpose, and whoever is on call may always stop it.
permits["related-people-may-revoke"] := "the session acts for this person, or is theirs to watch" if {
	person
	action == "revoke"
	related
}

permits["purpose-owners-may-make-exceptions"] := "the owner of the purpose says what belongs to it" if {
	role in {"analyst", "responder"}
	action == "makeException"
	input.subject.id in input.resource.properties.purpose_owners
}

# Four eyes: two people, not one person twice.
forbids["nobody-approves-their-own"] := "the second person must be another one" if {
	action == "approve"
	not input.context.act.own == false
	not solo
}

forbids["reinstating-takes-two"] := "a second person must approve the reinstatement" if {
	action == "reinstate"
	not approved
	not solo
	not input.context.act.break_glass == true
}

forbids["nobody-reinstates-their-own-subject"] := "whoever revoked it, or is stopped by it, must not be the one to give it back" if {
	action == "reinstateSubject"
	not input.context.act.own == false
	not solo
	not input.context.act.break_glass == true
}

forbids["delegators-give-nothing-back"] := "it acts on this person's behalf: somebody else must give it back" if {
	action == "reinstateSubject"
	input.action.properties.whom_delegated == true
	not solo
}

forbids["leaving-shadow-takes-two"] := "a second person must approve that guardian gets more power" if {
	action == "setMode"
	not input.context.act.widens == false
	not approved
	not solo
}

# A person may always stop the agent that acts for them, and never clear it.
forbids["delegators-clear-nothing"] := "the session acts on this person's behalf: somebody else must clear it" if {
	action in {"dismiss", "reinstate", "protect", "snooze", "take", "note", "makeException", "approve"}
	input.resource.properties.delegator == input.subject.id
	not solo
	not approves_a_stop
}

approves_a_stop if {
	target == "revoke"
	input.context.act.denies == false
}

target := input.action.properties.target

responds if role == "responder"

responds if {
	role == "analyst"
	input.context.on_call == true
}

# Machines name delegators and purposes, so a relation to a session must never give a machine anything.
person if role in {"analyst", "responder", "approver", "admin"}

related if input.resource.properties.delegator == input.subject.id

related if input.subject.id in input.resource.properties.purpose_owners

related if input.context.on_call == true

solo if input.context.solo == true
