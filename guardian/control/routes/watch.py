"""`/v1/watch`, acknowledgements and vitals: who follows the list, who watches the topic, does the switch work."""

from fastapi import APIRouter, Request, Response

from guardian.control.authentication.caller import Caller, Deps, TenantFilter
from guardian.control.authority.asking import may_read
from guardian.control.distribution.listing import RevocationListings
from guardian.control.problems import READS, Refusal, documented
from guardian.control.routes.revocations import Instance, narrowed
from guardian.control.watchers.monitors import state_of, unprotected, watched
from guardian.control.watchers.peers import UNNAMED
from guardian.control.watchers.restored import gave_away
from guardian.control.watchers.watching import gateways, peers, revision_within, within
from guardian.domain.revocation import Revision
from guardian.store.control.peers import STOPPED, STOPPED_UNREAD, UNREAD
from guardian.wire.peers import Acknowledgement, GatewayView, MonitorView, SelfTestView, Vitals, Watch

router = APIRouter(tags=["revocations"])

_NOTED = documented(400, 401, 403, 413, 422, 503) | {204: {"description": "Noted; there is no body"}}


@router.post("/v1/revocations/ack", status_code=204, responses=_NOTED | documented(404), response_class=Response)
def acknowledge(
    request: Request,
    deps: Deps,
    caller: Caller,
    told: Acknowledgement,
    tenant_id: TenantFilter = None,
    instance: Instance = UNNAMED,
) -> Response:
    """Say which revision this gateway enforces by now. Nothing else proves that a revocation took effect.

    `tenant_id` is for a gateway that asked for the list of that tenant only; each such list has its own word, also
    the last one.
    """
    scope = may_read(deps, caller, "readRevocations", tenant_id)
    peer, process = narrowed(caller, scope, instance)
    if caller.role != "gateway":
        raise Refusal(403, "only a gateway enforces the list", code="denied")
    revision = Revision.parse(told.revision)
    listings: RevocationListings = request.app.state.listings
    if not listings.reached(revision, scope) and not gave_away(deps, caller, revision, scope):
        raise Refusal(422, f"revision: this ledger has not reached {revision}")
    if told.leaving:
        deps.peers.leave("gateway", peer, process)
    else:
        now = deps.clock()
        deps.peers.note("gateway", peer, process, revision=revision, transport=told.transport, now=now)
    return Response(status_code=204)


@router.post("/v1/monitors", status_code=204, responses=_NOTED, response_class=Response)
def vitals(deps: Deps, caller: Caller, told: Vitals) -> Response:
    """How far behind the topic a monitor is. One that leaves while no other is there stays known as stopped."""
    may_read(deps, caller, "readChanges")
    if caller.role != "monitor":
        raise Refusal(403, "only a monitor has such vitals", code="denied")
    now, others = deps.clock(), [each for each in deps.peers.heard("monitor") if each.instance != told.instance]
    if told.leaving and watched(caller.scope, others, now):
        deps.peers.leave("monitor", caller, told.instance)
    else:
        nothing, lag = Revision(epoch=0, n=0), int(told.lag_s or 0)
        unread = told.lag_s is None
        how = (STOPPED_UNREAD if unread else STOPPED) if told.leaving else UNREAD if unread else "watch"
        deps.peers.note("monitor", caller, told.instance, revision=nothing, transport=how, now=now, lag_s=lag)
    return Response(status_code=204)


@router.get("/v1/watch", responses=READS)
def watch(deps: Deps, caller: Caller, tenant_id: TenantFilter = None) -> Watch:
    """Every gateway with the revision that it enforces, every monitor with its lag, and the latest self-tests.

    All of it as far as it concerns the tenants within reach.
    """
    scope = may_read(deps, caller, "read", tenant_id)
    now = deps.clock()
    with deps.store.read() as rows:
        standing = gateways(deps, rows, now, scope)
        monitors = within(peers(deps, rows, "monitor"), scope)
        tests = rows.self_tests.recent(scope, 50)
        head = rows.head().revision
        places = {head, *(each.peer.revision for each in standing)}
        shown = {place: revision_within(rows, place, scope) for place in places}
    gap = unprotected(monitors, now)
    late = deps.settings.switch.unprotected_after
    return Watch(
        revision=shown[head],
        unprotected_s=None if gap is None or gap <= late else gap.total_seconds(),
        gateways=tuple(
            GatewayView(
                principal_id=each.peer.principal_id,
                instance=each.peer.instance,
                tenants=("*",) if each.peer.tenants is None else tuple(sorted(each.peer.tenants)),
                state=each.state,
                revision=shown[each.peer.revision],
                behind=each.behind,
                lag_s=each.lag_s(now),
                transport=each.peer.transport,
                last_seen=each.peer.last_seen,
            )
            for each in standing
        ),
        monitors=tuple(
            MonitorView(
                principal_id=each.principal_id,
                instance=each.instance,
                state=state_of(each, now, late),
                lag_s=None if each.unread else each.lag_s,
                last_seen=each.last_seen,
            )
            for each in monitors
        ),
        self_tests=tuple(
            SelfTestView(**{name: getattr(each, name) for name in SelfTestView.model_fields}) for each in tests
        ),
    )
