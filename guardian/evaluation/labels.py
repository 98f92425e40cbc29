"""What people said of sessions, as lines of a file: `TENANT/SESSION[/INDEX] [LABEL]`, as `guardian labels` prints.

The label is `drift` (or `confirmed`, or nothing), `benign` (or `false_positive`), or `rule`: confirmed for a
broken rule alone, so the session is not honest, and nobody said that the act left its purpose. With an index, from
0, it speaks of one action, as the monitor counts them. A session's own name may hold slashes and end in a number:
which of the two is meant is settled by the sessions that there are; where both are there nobody knows: what
was confirmed leaves both out, what was dismissed counts for neither. A name with a space in it needs its label;
one in which something hides is written as a JSON string. Blank lines and lines that begin with # are passed over.
"""

import json
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Literal

from guardian.domain.breach import NOTED
from guardian.domain.drift import PURPOSE_FIT
from guardian.domain.finding import Finding, Kind
from guardian.domain.identity import SessionKey
from guardian.domain.text import visible
from guardian.errors import ConfigurationError
from guardian.evaluation.sessions import Label, LabelledAction, LabelledSession
from guardian.signals.envelope_hygiene import EnvelopeHygiene
from guardian.telemetry import logger

Word = Literal["benign", "rule", "drift"]
_WORDS: Mapping[str, Label] = {
    "drift": "drift",
    "confirmed": "drift",
    "benign": "benign",
    "false_positive": "benign",
    "rule": "unknown",
}
ASKS_NOTHING = NOTED.union(EnvelopeHygiene.breaches)
"""Rules that flag no session by themselves, as shipped."""
_OF_THE_PURPOSE = frozenset({PURPOSE_FIT, "purpose_baseline", "object_mismatch", "chain_exposure"})
_SPEAKS = 0.5
"""From here on a signal is a voice of its own."""

_DIGITS = 9
_NAMED_MOST = 10
_log = logger("evaluation")


@dataclass(frozen=True)
class Labels:
    """By the name as it was written, TENANT/SESSION or TENANT/SESSION/INDEX; the last word of a name counts. What
    was confirmed for a rule alone is `unknown`.
    `whole` are names that are a session's own, and so mean no act of another one; `either` those that may be both:
    no dismissal counts there, and what was confirmed is `unknown` of both."""

    words: Mapping[str, Label]
    whole: frozenset[str] = frozenset()
    either: frozenset[str] = frozenset()

    def among(self, sessions: Iterable[SessionKey]) -> "Labels":
        """The same labels, where these sessions are those that there are."""
        own = frozenset(f"{key.tenant_id}/{key.session_id}" for key in sessions)
        named = own.intersection(self.words)
        either = frozenset(name for name in named if _acts_session(name) in own)
        words: dict[str, Label] = {
            name: "unknown" if name in either else label
            for name, label in self.words.items()
            if name not in either or label != "benign"
        }
        return Labels(words, named - either, either)

    def speaks_of(self, key: SessionKey) -> bool:
        """Whether anything was said of the session or of an action of it."""
        return f"{key.tenant_id}/{key.session_id}" in self._sessions

    def drifts_in(self, key: SessionKey) -> bool:
        """Whether people confirmed a finding of the session or of whichever of its actions, be it for a rule."""
        return f"{key.tenant_id}/{key.session_id}" in self._drifting

    @cached_property
    def _sessions(self) -> frozenset[str]:
        return _named(self.words, self.whole)

    @cached_property
    def _drifting(self) -> frozenset[str]:
        return _named((name for name, label in self.words.items() if label != "benign"), self.whole)

    def astray(self, acts: Mapping[SessionKey, Collection[int]]) -> Mapping[str, SessionKey]:
        """The names that mean an act which a session, of these acts, has not; a name that is a session's own
        means that session."""
        sessions = {f"{key.tenant_id}/{key.session_id}": key for key in acts}
        found = {}
        for name in self.words:
            session, _, index = name.rpartition("/")
            if name in sessions or session not in sessions or not index.isdecimal():
                continue
            if len(index) > _DIGITS or index != str(int(index)) or int(index) not in acts[sessions[session]]:
                found[name] = sessions[session]
        return found

    def unmet(self, sessions: Iterable[SessionKey]) -> list[str]:
        """The names that mean none of the sessions and no act of theirs, in order."""
        met = {f"{key.tenant_id}/{key.session_id}" for key in sessions}

        def means_one(name: str) -> bool:
            return name in met or _acts_session(name) in met

        return sorted(name for name in self.words if not means_one(name))

    def of_session(self, key: SessionKey) -> Label | None:
        """What was said of the whole session, None where nothing was."""
        return self.words.get(f"{key.tenant_id}/{key.session_id}")

    def of_action(self, key: SessionKey, index: int | None) -> Label | None:
        """What was said of one action; nothing of one whose number is not known."""
        name = f"{key.tenant_id}/{key.session_id}/{index}"
        return self.words.get(name) if name not in self.whole else None

    def for_rules(self, key: SessionKey, acts: Iterable[int | None]) -> int:
        """How many of these actions were confirmed for a rule alone."""
        known = (act for act in acts if f"{key.tenant_id}/{key.session_id}/{act}" not in self.either)
        return sum(self.of_action(key, act) == "unknown" for act in known)


def _acts_session(name: str) -> str | None:
    """The session of which a name may be an action; None where it can be none."""
    session, _, index = name.rpartition("/")
    return session if index.isdecimal() else None


def _named(names: Iterable[str], whole: frozenset[str]) -> frozenset[str]:
    """The names, and those of whose actions they may be."""
    told = frozenset(names)
    return told | {session for name in told - whole if (session := _acts_session(name)) is not None}


def for_a_rule_alone(signals: Mapping[str, float], breaches: Collection[str]) -> bool:
    """Whether a finding of these signals and asking breaches says that a rule was broken, and no signal about the
    purpose spoke: who confirms it does not say that the act left its purpose."""
    return bool(breaches) and all(signals.get(name, 0.0) < _SPEAKS for name in _OF_THE_PURPOSE)


def of_a_rule_alone(finding: Finding) -> bool:
    """The same of a finding as control has it: a drift that says only that a rule was broken."""
    asking = [breach.name for breach in finding.breaches if breach.asks]
    signals = {each.signal: each.value for each in finding.reasons}
    return finding.kind is Kind.DRIFT and for_a_rule_alone(signals, asking)


def label_line(name: str, label: Word) -> str:
    """The line of a name, fit for a terminal, from which `read_labels` has the same name."""
    told = name == visible(name) == name.strip() and not name.startswith(('"', "#"))
    return f"{name if told else json.dumps(name)} {label}"


def read_labels(path: Path | None) -> Labels:
    """Raises ConfigurationError naming the line that is none."""
    words: dict[str, Label] = {}
    for number, line in enumerate(_lines(path) if path else (), 1):
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        text = line.strip()
        name, _, said = text.rpartition(" ") if " " in text else (text, "", "drift")
        name, label = _unquoted(name.rstrip()), _WORDS.get(said)
        tenant, _, session = name.partition("/")
        if not tenant or not session or label is None:
            raise ConfigurationError(
                f"{path}: line {number} is no TENANT/SESSION[/INDEX] {'|'.join(_WORDS)}: {text[:80]!r}"
            )
        words[name] = label
    return Labels(words)


def _unquoted(name: str) -> str:
    if not (name.startswith('"') and name.endswith('"')):
        return name
    try:
        return str(json.loads(name))
    except ValueError:  # a name of its own
        return name


def _lines(path: Path) -> list[str]:
    """A line ends where a file's lines end; names may hold what else Unicode calls the end of one."""
    try:
        return path.read_text(encoding="utf-8-sig").split("\n")
    except UnicodeDecodeError as error:
        raise ConfigurationError(f"{path} is not UTF-8; save it as that") from error


def unlearnable(labels: Labels, acts: Mapping[SessionKey, Collection[int]]) -> frozenset[SessionKey]:
    """Sessions of which people confirmed a drift in an act that is not there: they are not honest, and where they
    drifted is not known. Labels that meet no act of their session are told."""
    astray = labels.astray(acts)
    drifted = frozenset(key for name, key in astray.items() if labels.words[name] != "benign")
    if astray:
        names = ", ".join(sorted(astray)[:_NAMED_MOST])
        _log.warning("labels_meet_no_act", labels=len(astray), first=names, sessions_left_out=len(drifted))
    return drifted


def tell_unmet(labels: Labels, sessions: Collection[SessionKey]) -> None:
    """Tell which labels meet none of the sessions that a label can name, or two of them: those of logs and
    archives, and for a calibration those of session lines."""
    if either := labels.among(sessions).either:
        _log.warning(
            "labels_mean_two",
            labels=len(either),
            first=", ".join(sorted(either)[:_NAMED_MOST]),
            effect="a session's name or an act of another's: what they confirm leaves both out, what they dismiss"
            " counts for neither",
        )
    if unmet := labels.unmet(sessions):
        (_log.error if len(unmet) == len(labels.words) else _log.warning)(
            "labels_meet_no_session",
            labels=f"{len(unmet)} of {len(labels.words)}",
            first=", ".join(unmet[:_NAMED_MOST]),
            effect="passed over: a drift that they confirm is taken for honest if its session is there",
        )


def label_session(
    key: SessionKey,
    purpose: str,
    calls: Sequence[tuple[int | None, str, Mapping[str, object] | None]],
    labels: Labels,
    *,
    dataset: str,
) -> LabelledSession | None:
    """A session of a log with what people said of it; unlabelled traffic is taken for honest. `calls` are those of
    which something can be learnt: number among all of the session, tool, arguments (None: not logged).

    Where an action was called drift, those that no word covers are unknown: they may be part of it. What comes
    after the last word is left away. A session that was called drift in none of the calls, or for a rule alone, is
    None: nothing can be learnt of its acts.
    """
    said, whole = [labels.of_action(key, index) for index, _, _ in calls], labels.of_session(key)
    drifted = "drift" in said
    if not drifted and labels.drifts_in(key):
        return None
    rest: Label = "unknown" if drifted and whole != "benign" else "benign"
    told = [label or rest for label in said]
    while told and told[-1] == "unknown":
        told.pop()
    actions = tuple(
        LabelledAction(tool, arguments, label, counted=label != "unknown")
        for (_, tool, arguments), label in zip(calls, told, strict=False)
    )
    name = f"{key.tenant_id}/{key.session_id}"
    return LabelledSession(dataset, name, key.tenant_id, purpose, actions)


def split_by_tenant(sessions: Iterable[LabelledSession]) -> list[LabelledSession]:
    """The same sessions, each tenant a data set of its own: a fold is judged on tenants it has not seen."""
    return [replace(session, dataset=f"{session.dataset}/{session.domain}") for session in sessions]
