"""`/v1/envelopes`: control's own record of what was delegated."""

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Request, Response
from fastapi.exceptions import RequestValidationError
from pydantic import ValidationError

from guardian.control.authentication.caller import Before, Caller, Deps, Limit, SessionId, TenantId, Writer
from guardian.control.envelopes import registration
from guardian.control.problems import READS, documented
from guardian.domain.identity import SessionKey
from guardian.wire.envelopes import EnvelopeHistory, EnvelopeRegistration, RegisteredEnvelope

router = APIRouter(prefix="/v1/envelopes", tags=["envelopes"])

_MOST_NAMED = 100


async def _registration(request: Request) -> EnvelopeRegistration:
    """The body, read as JSON by the strict model itself: the framework would offer it parsed values.

    Those are another thing: a strict model takes a time from JSON text, but not from a Python string.
    """
    media_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if media_type != "application/json":
        message = "Input should be JSON, sent as Content-Type: application/json"
        raise RequestValidationError([{"loc": ("body",), "msg": message, "type": "media_type"}])
    try:
        return EnvelopeRegistration.model_validate_json(await request.body())
    except ValidationError as error:
        if error.error_count() > _MOST_NAMED:
            message = f"Input is wrong in {error.error_count()} places, too many to name"
            raise RequestValidationError([{"loc": ("body",), "msg": message, "type": "mistakes"}]) from None
        mistakes = error.errors(include_url=False, include_context=False, include_input=False)
        raise RequestValidationError([{**each, "loc": ("body", *each["loc"])} for each in mistakes]) from None


def _body_schema() -> dict[str, Any]:
    """The schema of the body for the OpenAPI document, in one piece: the document has no `$defs` to refer to."""
    schema = EnvelopeRegistration.model_json_schema()
    content = {"application/json": {"schema": _in_one_piece(schema, schema.pop("$defs"))}}
    return {"requestBody": {"required": True, "content": content}}


def _in_one_piece(node: Any, parts: dict[str, Any]) -> Any:
    match node:
        case {"$ref": str(place)}:
            return _in_one_piece(parts[place.rpartition("/")[2]], parts)
        case dict():
            return {name: _in_one_piece(each, parts) for name, each in node.items()}
        case list():
            return [_in_one_piece(each, parts) for each in node]
        case _:
            return node


@router.post(
    "",
    status_code=201,
    responses={
        200: {"model": RegisteredEnvelope, "description": "It was registered already; nothing changed"},
        **documented(400, 401, 403, 404, 409, 413, 422, 503),
    },
    openapi_extra=_body_schema(),
)
def register_envelope(
    deps: Deps,
    caller: Writer,
    told: Annotated[EnvelopeRegistration, Depends(_registration)],
    response: Response,
) -> RegisteredEnvelope:
    """Register what was delegated, at session start and whenever it is re-issued."""
    done = registration.register(deps, caller, told.envelope)
    if not done.fresh:
        response.status_code = 200
    return done.version


@router.get("/{tenant_id}/{session_id:path}", responses=READS)
def show_envelopes(
    deps: Deps,
    caller: Caller,
    tenant_id: TenantId,
    session_id: SessionId,
    before: Before,
    limit: Limit = 50,
) -> EnvelopeHistory:
    """Every version of one session's envelope, the newest last; pages lead back to the first."""
    return registration.history(deps, caller, SessionKey(tenant_id, session_id), limit=limit, before=before)
