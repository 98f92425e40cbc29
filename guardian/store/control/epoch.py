"""Noticing a restored backup: a small file beside the database remembers how far it had come.

A database that is behind its own file was taken back in time. Gateways hold revisions that it no longer
knows, so it starts a new epoch: they replace what they hold instead of rejecting or rolling back. And checkpoints
were signed that its audit trail no longer fulfils, so those to come are another log's. So are they where the trail
was rewritten, whatever became of the checkpoints that are stored with it, and where its end is lost: as when a
backup was put back beside a later write-ahead log, and SQLite made one of the two.
"""

import json
from dataclasses import asdict, astuple, dataclass, replace
from pathlib import Path
from threading import Lock

from sqlalchemy.engine import make_url

from guardian.disk import write_atomically
from guardian.errors import StoreError

_FAR = 10**8
"""Further than a feed comes between a backup and its restore."""
_FURTHER = 10**6
"""Further than a feed comes while its file trails it; each start without the file, and each failover that loses a
commit, takes as much of its 2**31."""


@dataclass(frozen=True, slots=True)
class Mark:
    """How far a database has come; `trail`, the hash of its first audit entry, says which one it is.

    signed, signed_as  as many entries of the trail were signed, and the hash of the last of them
    """

    epoch: int
    n: int
    change_seq: int
    audit_seq: int = 0
    trail: str = ""  # not known: its trail was empty, or an older version wrote this
    signed: int = 0
    signed_as: str = ""

    @property
    def ledger(self) -> tuple[int, int]:
        return self.epoch, self.n


class EpochFile:
    """Written when ledger or feed have moved, and when the audit trail was signed, each time after the commit.

    It may trail the database, never lead it.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._lock = Lock()
        self._last: Mark | None = None
        self._anew = False  # until it is written: what the file says was signed is of another trail
        self._signed = 0, ""  # what the disk refused to keep

    def read(self) -> Mark | None:
        """None when there is no file yet. Raises StoreError for one that cannot be read, or is not ours."""
        try:
            raw = json.loads(self.path.read_bytes())
            far = int(raw["epoch"]), int(raw["n"]), int(raw["change_seq"]), int(raw.get("audit_seq", 0))
            trail, signed_as = str(raw.get("trail", "")), str(raw.get("signed_as", ""))
            bytes.fromhex(signed_as)
            mark = Mark(*far, trail=trail, signed=int(raw.get("signed", 0)), signed_as=signed_as)
        except FileNotFoundError:
            return None
        except OSError as error:
            raise StoreError(
                f"{self.path} cannot be read: {error.strerror}; it must belong to who runs `guardian serve`"
            ) from error
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise StoreError(
                f"{self.path} is not readable as an epoch file ({type(error).__name__}); write "
                '{"epoch": 1000, "n": 0, "change_seq": 0} into it, with an epoch that no gateway has seen: '
                "they then fetch the list afresh"
            ) from error
        return mark

    def advance(self, mark: Mark, *, anew: bool = False) -> None:
        """Write `mark` unless this process already wrote a later one. What was signed is never less than the file
        says already, unless an epoch began `anew`, with another trail."""
        with self._lock:
            last, self._anew = self._last, anew or self._anew
            signed, signed_as = (0, "") if anew else self._signed
            if signed > mark.signed:
                mark = replace(mark, signed=signed, signed_as=signed_as)
            self._signed = mark.signed, mark.signed_as
            if last is not None and astuple(last) >= astuple(mark):
                if last.signed >= mark.signed:
                    self._signed = 0, ""
                    return
                mark = replace(last, signed=mark.signed, signed_as=mark.signed_as)
            there = None if self._anew else self.read()
            if there is not None and there.signed > mark.signed:
                mark = replace(mark, signed=there.signed, signed_as=there.signed_as)
            with write_atomically(self.path, mode=0o600) as file:
                file.write(json.dumps(asdict(mark)).encode())
            self._last, self._anew, self._signed = mark, False, (0, "")


def epoch_file_of(url: str, named: Path | None) -> EpochFile | None:
    """The one that is named, or lies beside the database; None for a server's, or one in memory, that has none."""
    target = make_url(url)
    if named is None and target.get_backend_name() == "sqlite" and target.database not in (None, "", ":memory:"):
        named = Path(f"{target.database}.epoch")
    return None if named is None else EpochFile(named)


def restored_mark(stored: Mark, remembered: Mark | None, *, ends: bool = True) -> Mark | None:
    """The mark to go on from when `stored` is older than `remembered`, or another trail than the one signed; None
    when all is well. `stored` has the hash that now stands where the signed trail ended. Its own trail `ends` with
    the entry that its head row names, or it is cut off.

    A mark that was written by hand does not know how far the feed had come: then it goes on further than any
    monitor can have read. One that knows may trail what monitors had read by then.
    """
    if remembered is None:
        return None
    told = stored.ledger >= remembered.ledger and stored.change_seq >= remembered.change_seq
    if ends and told and stored.audit_seq >= remembered.audit_seq and stored.signed_as == remembered.signed_as:
        return None
    by_hand = not (remembered.change_seq or remembered.trail or remembered.signed)
    return Mark(
        epoch=max(stored.epoch, remembered.epoch) + 1,
        n=0,
        change_seq=max(stored.change_seq, remembered.change_seq) + (_FAR if by_hand else _FURTHER),
        audit_seq=stored.audit_seq,
    )


def lost_mark(stored: Mark) -> Mark | None:
    """What to assume where the file is not there: that ledger and feed had come further. None where neither has
    ever moved, so that nothing is lost."""
    if (stored.ledger, stored.change_seq) == ((1, 0), 0):
        return None
    return Mark(stored.epoch, stored.n + 1, stored.change_seq + _FURTHER)
