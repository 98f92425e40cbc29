"""The error tree. Every error a person can meet names the thing, the value and the way out.

GuardianError
├── ConfigurationError   a setting is missing, unknown or impossible; raised at start, never later
│   └── PlaceAway        the address or folder that it names is not there now: a disk or a network may come late
├── DecodeError          one record could not be read; it goes to the dead-letter queue with `reason`
├── ModelError           the drift model is absent, altered or of another format
│   └── ModelAway        it is there, and this machine cannot load it now: memory or a device may be short
├── PolicyError          policies do not parse, do not validate, or the decision point failed
├── StoreError           the database is absent, locked or of another schema version
│   ├── StaleMember      a consumer was evicted from its group, or what it stored is lost
│   ├── Conflict         somebody else wrote first: load again, judge again; in `store/monitor/values.py`
│   ├── SchemaAway       the schema registry cannot be asked now; the batch waits as for a store
│   └── Unstorable       the database is there and refuses a value: too long, too wide, or no text to it
├── ArchiveError         the archive's disk refuses, or a file of it is not what it must be
├── BusError             the broker cannot be reached or refused
│   ├── RecordRefused    the broker takes others, but not this record: too large, too old, without the key it needs
│   └── FuseBlown        most records of one gateway are unreadable: the consumer stops on purpose
├── ControlError         the control API cannot be reached or refused; carries `status` and control's `code`
├── AlertError           an alert channel refused for good (bad token, unknown channel)
│   └── NeverTaken       it refuses this alone, whatever anybody mends; in `alerting/port.py`
│       └── Gone         the message that was to be changed is not there; in `alerting/slack_calls.py`
├── BadClick             what came from Slack is no button, form or command of ours; in `alerting/clicks.py`
├── AdviserError         nobody could weigh a proposed call in time; the configured fall-back answers
├── ProposalError        a folder or file is not a proposal, or was edited into something else
├── TokenError           a bearer token is malformed, expired, revoked or for somebody else
│   └── RefusedToken     it is not believed, and its bearer is not told why; in `keys/tokens.py`
├── SignInRefused        the identity provider's answer is not believed, or is about somebody whom nobody listed
│   ├── AnotherSignIn    the answer is not to what this browser asked last
│   └── ProviderAway     the identity provider cannot be asked, or what it publishes is of no use
├── SessionFileError     a line of a file is no labelled session; in `evaluation/sessions.py`
├── ProofError           a printed proof of the audit trail does not show what it says
└── NoteError            a checkpoint is not one, or nobody known signed it; in `audit/note.py`

Outside of it are flow signals. Each lies at the port that raises it, and who calls that catches it:

alerting/port.py         RetryLater
alerting/slack_calls.py  NoAnswer, Unshowable
commands/checks.py       Unknown, Unwell
console/asked.py         Unreadable
gateway/asgi.py          Unnamed
gateway/reading.py       Refused; the client's own, as it knows nothing of this tree
policy/http_line.py      NoAnswer, Away
revocation/port.py       NeverTaken, Apart
"""


class GuardianError(Exception):
    """Root of everything guardian raises on purpose."""


class ConfigurationError(GuardianError):
    """A setting is missing, unknown or impossible."""


class PlaceAway(ConfigurationError):
    """The address or folder that a setting names is not there now; it may be when a disk or a network has come."""


class DecodeError(GuardianError):
    """One record could not be read.

    `code` is a stable word for metrics and filters, `reason` one line for people. `tenant_id`, `session_id` and
    `gateway` are what could still be read of it, so that silence is never a hiding place.
    """

    def __init__(
        self,
        code: str,
        reason: str,
        *,
        tenant_id: str | None = None,
        session_id: str | None = None,
        gateway: str | None = None,
    ) -> None:
        super().__init__(f"{code}: {reason}")
        self.code = code
        self.reason = reason
        self.tenant_id = tenant_id
        self.session_id = session_id
        self.gateway = gateway


class ModelError(GuardianError):
    """The drift model is absent, altered or of another format."""


class ModelAway(ModelError):
    """The model is there, and this machine cannot load it now; it may when memory or a device is free again."""


class PolicyError(GuardianError):
    """Policies do not parse or validate, or the decision point failed."""


class StoreError(GuardianError):
    """The database is absent, locked or of another schema version."""


class StaleMember(StoreError):
    """A consumer was evicted from its group, or what it stored is lost; its batch is discarded and re-read."""


class SchemaAway(StoreError):
    """The schema registry cannot be asked now. The batch is not decoded, and nothing of it is lost."""


class Unstorable(StoreError):
    """The database refuses a value of what it was given, and will do so again: waiting does not help."""


class ArchiveError(GuardianError):
    """The archive's disk refuses, or one of its files is altered."""


class BusError(GuardianError):
    """The broker cannot be reached or refused."""


class RecordRefused(BusError):
    """The broker refuses this one record, and will do so again; others of its topic may be taken."""


class FuseBlown(BusError):
    """Most recent records of one gateway are unreadable; stopping beats draining the topic."""


class ControlError(GuardianError):
    """The control API cannot be reached (`status` 0) or refused (its HTTP status).

    `code` is the stable word of control's own refusal; empty where something else answered in its place.
    """

    def __init__(self, message: str, *, status: int = 0, code: str = "") -> None:
        super().__init__(message)
        self.status = status
        self.code = code


class AlertError(GuardianError):
    """An alert channel refused for good."""


class ProposalError(GuardianError):
    """A folder or file is not a proposal of policy, or was edited into something else."""


class TokenError(GuardianError):
    """A bearer token is malformed, expired, revoked or for somebody else."""


class AdviserError(GuardianError):
    """Nobody could weigh a proposed call in time, or the answer made no sense."""


class SignInRefused(GuardianError):
    """The identity provider's answer is not believed, or it is about somebody whom nobody listed."""


class AnotherSignIn(SignInRefused):
    """The answer is not to what this browser asked last."""


class ProviderAway(SignInRefused):
    """The identity provider cannot be asked, or what it publishes of itself is of no use."""


class ProofError(GuardianError):
    """A printed proof of the audit trail does not show what it says, or is none."""

    def __init__(self, why: str) -> None:
        super().__init__(f"the proof does not hold: {why}")
