"""What auditors do with control's own database."""

import base64
import os
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import replace
from datetime import datetime
from pathlib import Path

from guardian.audit.checking import Proof
from guardian.audit.checkpoint import Checkpoint, epoch_of, origin_base
from guardian.audit.claims import given_claims, stored_claims
from guardian.audit.making import check_trail, make_checkpoint
from guardian.audit.note import NoteError, NoteKey, note_keys, note_keys_from, parse
from guardian.audit.proofs import consistency_ranges, inclusion_ranges, leaves_of, prove, verify_inclusion
from guardian.audit.report import Claim, Fault, Report
from guardian.audit.verify import verify_trail
from guardian.bootstrap.checkpoints import checkpoints_are_kept
from guardian.bootstrap.clock import utc_now
from guardian.bootstrap.control_store import named_epoch_file, open_control_store
from guardian.bootstrap.databases import control_url, is_there
from guardian.bootstrap.secrets import SecretFiles
from guardian.config import Settings
from guardian.errors import ConfigurationError, ProofError
from guardian.keys.signing import SigningKeys
from guardian.store.control.audit import RawEntry, stored_json
from guardian.store.control.epoch import epoch_file_of
from guardian.store.control.rows import ControlRows
from guardian.store.control.store import ControlStore
from guardian.store.engine import open_engine


def checkpoints_checked(settings: Settings) -> str:
    """For the doctor: they are kept, and the trail can be signed. Raises ConfigurationError, BusError and
    StoreError."""
    kept, topic = checkpoints_are_kept(settings), settings.audit.checkpoint_topic
    if topic is not None:
        _check_topic(settings, topic)
    if is_there(settings, settings.store.control):
        with closing(open_control_store(settings)) as store:
            keys = SigningKeys(SecretFiles.of(settings).signing).current()
            check_trail(store, keys)
    return kept


def _check_topic(settings: Settings, topic: str) -> None:
    from guardian.bootstrap.kafka import kafka_settings  # only those who export pay for it
    from guardian.bus.admin import topic_partitions

    broker = kafka_settings(settings)
    if topic_partitions(broker, topic) is None:
        raise ConfigurationError(
            f"audit.checkpoint_topic: {broker.bootstrap_servers} has no topic {topic!r}; create it"
        )


def verify(
    settings: Settings,
    checkpoints: Sequence[Path],
    key_files: Sequence[Path],
    restored: Collection[int] = (),
    progress: Callable[[int, int], None] = lambda _done, _total: None,
) -> Report:
    """The whole trail, changing nothing. `key_files` are believed instead of the deployment's own keys; `restored`
    as of `verify_trail`.

    The configured checkpoint file is compared as well, and what control's epoch file remembers where it can be
    read: a database can lose its checkpoints with what they were signed over. Where that checkpoint file is not
    there although there were checkpoints to put into it, and nobody names another, that is a fault.
    """
    url = control_url(settings, makes=False)  # said first: where it is not, the keys are not either
    keys = _public_keys(settings, key_files)
    files = {path.absolute(): path for path in checkpoints}
    named = settings.audit.checkpoint_file
    own = settings.resolve(named).absolute() if named is not None else None
    if own is not None and os.path.isfile(own):
        files.setdefault(own, own)
    given = sorted((*_remembered(settings, url), *given_claims(files.values(), keys)), key=_size)
    # only now: the trail grows meanwhile, and what was read before is no longer than it
    with _reading(settings) as rows:
        stored = stored_claims(rows.checkpoints.raw(), keys)
        report = verify_trail(
            rows.audit.raw(), rows.audit.end(), stored=stored, given=given, restored=restored, progress=progress
        )
        exported = rows.checkpoints.progress().exported
        made = any(exported.values()) or next(rows.checkpoints.raw(), None) is not None
    if own is None or files or not made:
        return report
    says = (
        f"the exported checkpoints, {own}, are not there or cannot be seen, and nothing else would show that the"
        " whole database was rewritten: mount their disk, let this user read them, or name a copy by --checkpoint"
    )
    return replace(report, faults=(*report.faults, Fault("gone", None, says, str(own))))


def unread_epoch_file(settings: Settings) -> Path | None:
    """The epoch file, where there is one to compare with by the settings and it cannot be read."""
    file = epoch_file_of(control_url(settings, makes=False), named_epoch_file(settings))
    return None if file is None or os.access(file.path, os.R_OK) else file.path


def _size(claim: Claim) -> int:
    return claim.size


def _remembered(settings: Settings, url: str) -> Iterator[Claim]:
    file = epoch_file_of(url, named_epoch_file(settings))
    if file is None or not os.access(file.path, os.R_OK):
        return
    mark = file.read()
    if mark is not None and mark.signed:
        where = f"the signed trail that {file.path} remembers"
        yield Claim(mark.signed, None, bytes.fromhex(mark.signed_as), mark.epoch, where, str(file.path))
    if mark is not None and mark.audit_seq > mark.signed:  # it never leads the database
        yield Claim(
            mark.audit_seq, None, None, mark.epoch, f"the trail as remembered by {file.path}", str(file.path)
        )


def export(settings: Settings, after: int) -> Iterator[dict[str, object]]:
    """Every entry after `after`. RFC 8785 over `record` gives back the text that `hash` covers."""
    with _reading(settings) as rows:
        for entry in rows.audit.raw(after or None):
            yield _exported(entry)


def newest(
    settings: Settings,
    count: int,
    *,
    actor: str | None = None,
    tenant_id: str | None = None,
    action: str | None = None,
    since: datetime | None = None,
    until: datetime | None = None,
) -> list[dict[str, object]]:
    """The last `count` entries, the newest last; or only those by this actor and so on, as they are indexed.

    Raises ConfigurationError for a time that ends before it begins: that nothing was found would read as if
    nothing had been done.
    """
    if since is not None and until is not None and since >= until:
        raise ConfigurationError("--until: there is no time from --since on that is before it")
    with _reading(settings) as rows:
        if not (actor or tenant_id or action or since or until):
            return [_exported(entry) for entry in rows.audit.newest(count)]
        scope = None if tenant_id is None else {tenant_id}
        found = rows.audit.told(scope, limit=count, actor=actor, action=action, since=since, until=until)
        return [_exported(entry) for entry in reversed(found)]


def checkpoint(settings: Settings) -> str | None:
    """Make a checkpoint now, or where there is nothing new take the last one; None for an empty trail.

    The running control API exports it with its next one.
    """
    with closing(open_control_store(settings)) as store:
        keys = SigningKeys(SecretFiles.of(settings).signing).current()
        made = make_checkpoint(store, keys, base=origin_base(settings.control.issuer), now=utc_now())
        if made is None:
            with store.read() as rows:
                made = rows.checkpoints.latest()
        return made.note if made is not None else None


def proof(settings: Settings, seq: int, since: int | None) -> dict[str, object]:
    """That entry `seq` is under the newest checkpoint, and that this one extends that of `since` entries.

    Raises ProofError where the trail is no longer the one that was signed.
    """
    with _reading(settings) as rows:
        latest = rows.checkpoints.latest()
        if latest is None or not 1 <= seq <= latest.size:
            size = latest.size if latest is not None else 0
            raise ConfigurationError(
                f"the newest checkpoint covers the entries 1 to {size}; name one of them, or make a checkpoint"
                " first: `guardian audit checkpoint`"
            )
        if since is not None and not 1 <= since <= latest.size:
            raise ConfigurationError(
                f"--since {since} is no size of an earlier checkpoint; give one from 1 to {latest.size}"
            )
        try:
            entry, signed = next(rows.audit.raw(seq - 1)), Checkpoint.parse(parse(latest.note).text)
            included = prove(leaves_of(rows.audit.raw()), inclusion_ranges(seq - 1, latest.size))
            [leaf] = leaves_of([entry])
            holds = verify_inclusion(index=seq - 1, size=latest.size, leaf=leaf, proof=included, root=signed.root)
        except (StopIteration, ValueError, NoteError):  # entries are gone, a hash or the note is none
            holds = False
        if not holds:
            raise ProofError(
                f"the trail is not the one under the newest checkpoint, of {latest.size} entries: one of the two"
                " was altered; `guardian audit verify` says where"
            )
        made: dict[str, object] = {
            **_exported(entry),
            "leaf_index": seq - 1,
            "inclusion": [node.hex() for node in included],
            "checkpoint": latest.note,
        }
        if since is not None:
            extended = prove(leaves_of(rows.audit.raw()), consistency_ranges(since, latest.size))
            made |= {"since": since, "consistency": [node.hex() for node in extended]}
        return made


def check_proof(
    settings: Settings | None, text: bytes, checkpoints: Sequence[Path], key_files: Sequence[Path], *, name: str
) -> tuple[Proof, bool]:
    """A proof that holds, and whether it was held against an earlier checkpoint too. Raises ProofError.

    `text` is from the file called `name`. `checkpoints` are files that hold the one which it is said to extend.
    Without `settings` only `key_files` are believed.
    """
    made = Proof.parse(text, name=name)
    keys = _public_keys(settings, key_files)
    origin = made.checkpoint.origin
    if epoch_of(origin) is None:
        raise ProofError(f"its checkpoint is of {origin[:100]!r}, and a trail's are of '<issuer>/audit/<epoch>'")
    made.check(keys)
    if not checkpoints:
        return made, False
    if made.since is None:
        raise ConfigurationError(
            "the proof does not speak of an earlier checkpoint; make one that does: `guardian audit prove ENTRY"
            " --since SIZE`"
        )
    claims = [claim for claim in given_claims(checkpoints, keys) if claim.size == made.since]
    roots = {claim.root for claim in claims if claim.root is not None}
    if not roots:
        raise ConfigurationError(f"no checkpoint of {made.since} entries with a known signature is in the files")
    made.check_extends(roots)
    return made, True


def _exported(entry: RawEntry) -> dict[str, object]:
    digest = (entry.hash or b"").decode(errors="replace")
    try:
        return {"seq": entry.seq, "hash": digest, "record": stored_json(entry.record)}
    except ValueError:
        return {"seq": entry.seq, "hash": digest, "damaged": base64.b64encode(entry.record or b"").decode()}


def _public_keys(settings: Settings | None, files: Sequence[Path]) -> tuple[NoteKey, ...]:
    if files or settings is None:
        return tuple(key for path in files for key in note_keys_from(path))
    return note_keys(SigningKeys(SecretFiles.of(settings).signing).current().jwks())


@contextmanager
def _reading(settings: Settings) -> Iterator[ControlRows]:
    """One unchanging view; nothing is migrated, and no epoch begun, by looking."""
    url = control_url(settings, makes=False)
    with closing(ControlStore(open_engine(url, reads=True), None, utc_now)) as store, store.read() as rows:
        yield rows
