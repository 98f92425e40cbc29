"""`/.well-known/ssf-configuration`: what guardian transmits, for receivers of security events (OpenID SSF 1.0)."""

from typing import Any

from fastapi import APIRouter, Response

from guardian.control.authentication.caller import Deps
from guardian.control.problems import Refusal, documented
from guardian.revocation.caep import PUSH, SUBJECT_MEMBERS

router = APIRouter(tags=["system"])


@router.head("/.well-known/ssf-configuration", include_in_schema=False)
@router.get("/.well-known/ssf-configuration", responses=documented(404))
async def ssf_configuration(deps: Deps, response: Response) -> dict[str, Any]:
    """Static streams: receivers are named in guardian's configuration, so there are no stream endpoints."""
    base = deps.settings.public_url
    if base is None:
        raise Refusal(404, "no public_url is configured, so there is nothing to point to")
    response.headers["Cache-Control"] = "public, max-age=300"
    return {
        "spec_version": "1_0",
        "issuer": deps.settings.event_issuer or deps.tokens.issuer,
        "jwks_uri": f"{base.rstrip('/')}/.well-known/jwks.json",
        "delivery_methods_supported": [PUSH],
        "critical_subject_members": sorted(SUBJECT_MEMBERS),
        "default_subjects": "ALL",
    }
