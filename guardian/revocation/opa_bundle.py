"""The OPA face: a bundle that an OPA-based gateway or decision point polls, verifies and consults natively.

`data.guardian.revocations.live[tenant][kind][id]` holds the live revocations, `data.guardian.revocations.reach`
the tenants whose they are ("*": every one's). `data.guardian.revocations.refused` is true for an input that names
a revoked subject, nobody at all, or a tenant beyond that reach. Otherwise `passes` is, which is undefined while no
bundle is loaded. The bundle owns the root `guardian/revocations` only. It is signed as OPA expects
(`.signatures.json`, ES256); two renderings of the same list differ only in the signature.
"""

import gzip
import hashlib
import io
import json
import tarfile
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from guardian.domain.revocation import LedgerEntry, Revision
from guardian.revocation.port import Rendered

ROOT = "guardian/revocations"
MEDIA_TYPE = "application/gzip"
LONG_POLLED = "application/vnd.openpolicyagent.bundles"
"""The media type by which OPA knows that the server holds its polls."""

_POLICY = """\
package guardian.revocations

import rego.v1

# input.tenant_id with any of session_id, parent_session_id, agent_id, delegator_id, task_id, token_id.
# Without a tenant all of the bundle are meant; an input that names nobody is refused, as by /v1/check, and so is
# one of a tenant that this bundle says nothing of, or with a name that no revocation can hold: no text, too long,
# or with control characters. Of a session such a text is known by its hash, as to guardian's own client.
# A revocation ends when the bundle no longer holds it, whatever the clock here says; `until_s` is for people.
# Rules of your own ask for `passes`: `not refused` holds too where no bundle is loaded.
passes if not refused

default refused := false

refused if count(reasons) > 0

refused if not someone

refused if {
	is_name(input.tenant_id)
	not reached
}

reached if "*" in data.guardian.revocations.reach

reached if input.tenant_id in data.guardian.revocations.reach

refused if {
	some ids in named
	some id in ids
	not is_string(id)
	id != null
}

refused if {
	some kind, ids in named
	kind != "session"
	some id in ids
	beyond_a_name(id)
}

refused if beyond_a_name(input.tenant_id)

beyond_a_name(id) if {
	is_string(id)
	count(id) > 512
}

beyond_a_name(id) if {
	is_string(id)
	regex.match(`[[:cntrl:]]`, id)
}

called("session", id) := concat("", ["sha256:", crypto.sha256(id)]) if {
	beyond_a_name(id)
	not startswith(id, "window:")
}

called("session", id) := concat("", ["window:sha256:", crypto.sha256(id)]) if {
	beyond_a_name(id)
	startswith(id, "window:")
}

called(_, id) := id if not beyond_a_name(id)

someone if {
	some ids in named
	some id in ids
	is_name(id)
}

is_name(id) if {
	is_string(id)
	id != ""
}

tenants contains input.tenant_id if is_name(input.tenant_id)

tenants contains id if {
	not is_name(input.tenant_id)
	some id, _ in data.guardian.revocations.live
}

named := {
	"session": {object.get(input, "session_id", ""), object.get(input, "parent_session_id", "")},
	"agent": {object.get(input, "agent_id", "")},
	"delegator": {object.get(input, "delegator_id", "")},
	"task": {object.get(input, "task_id", "")},
	"jti": {object.get(input, "token_id", "")},
}

reasons contains {"subject_type": kind, "subject_id": id, "reason_code": entry.reason_code} if {
	some kind, ids in named
	some id in ids
	some tenant in tenants
	known := called(kind, id)
	entry := data.guardian.revocations.live[tenant][kind][known]
}
"""

Sign = Callable[[Mapping[str, Any]], str]
"""The claims of `.signatures.json` → a JWT."""


@dataclass(frozen=True, slots=True)
class BundleFace:
    """`sign` None: the bundle goes out unsigned, and OPA must not be told to verify it."""

    sign: Sign | None = None

    def line(self, entry: LedgerEntry) -> bytes:
        """Tenant, kind, id and what OPA is told, with a NUL between them, which no identifier holds."""
        told = {
            "reason_code": entry.reason_code,
            "revision": str(entry.revision),
            "until_s": int(entry.expires_at.timestamp()),
        }
        place = "\0".join((entry.tenant_id, entry.subject_type, entry.subject_id)).encode("utf-8", "replace")
        return place + b"\0" + canonical({entry.subject_id: told})[1:-1]

    def whole(
        self, lines: Sequence[bytes], *, revision: Revision, changed_at: datetime, reach: Collection[str] | None
    ) -> Rendered:
        content = b"".join(
            (
                b'{"changed_at":',
                canonical(changed_at.isoformat()),
                b',"live":{',
                _grouped(lines),
                b'},"reach":',
                canonical(["*"] if reach is None else sorted(reach)),
                b',"revision":',
                canonical(str(revision)),
                b"}",
            )
        )
        digest = hashlib.sha256(content + _POLICY.encode()).hexdigest()
        tag = f"{revision}-{digest[:32]}"
        manifest = canonical({"revision": tag, "roots": [ROOT], "rego_version": 1})
        files = {
            ".manifest": manifest,
            f"{ROOT}/data.json": content,
            f"{ROOT}/policy.rego": _POLICY.encode(),
        }
        if self.sign is not None:
            listed = [
                {"name": name, "hash": hashlib.sha256(body).hexdigest(), "algorithm": "SHA-256"}
                for name, body in sorted(files.items())
            ]
            files[".signatures.json"] = canonical({"signatures": [self.sign({"files": listed})]})
        return Rendered(_packed(files), MEDIA_TYPE, tag)


def _grouped(lines: Sequence[bytes]) -> bytes:
    """The lines as `"tenant":{"kind":{…},…},…`, in canonical order: that of the bytes, as \\0 is the least."""
    tenants: dict[bytes, dict[bytes, list[bytes]]] = {}
    for line in sorted(lines):
        tenant, kind, _, told = line.split(b"\0", 3)
        tenants.setdefault(tenant, {}).setdefault(kind, []).append(told)
    return b",".join(
        canonical(tenant.decode())
        + b":{"
        + b",".join(canonical(kind.decode()) + b":{" + b",".join(told) + b"}" for kind, told in kinds.items())
        + b"}"
        for tenant, kinds in tenants.items()
    )


def canonical(value: Any) -> bytes:
    """JSON as OPA hashes structured files: sorted keys, no spaces, U+2028 and U+2029 escaped."""
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return text.replace("\u2028", "\\u2028").replace("\u2029", "\\u2029").encode("utf-8", "replace")


def _packed(files: Mapping[str, bytes]) -> bytes:
    packed = io.BytesIO()
    with (
        gzip.GzipFile(fileobj=packed, mode="wb", mtime=0, compresslevel=1) as zipped,
        tarfile.open(fileobj=zipped, mode="w", format=tarfile.USTAR_FORMAT) as archive,
    ):
        for name, body in files.items():
            member = tarfile.TarInfo(name)
            member.size, member.mode = len(body), 0o644
            archive.addfile(member, io.BytesIO(body))
    return packed.getvalue()
