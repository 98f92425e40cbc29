"""What the doctor looks at of the model: whether it loads, and whether its calibration speaks for the traffic."""

import time
from contextlib import closing

from guardian.bootstrap.databases import is_there
from guardian.bootstrap.departing import departure_of
from guardian.bootstrap.judgement import open_calibration, open_fit, speaks_for, unlisted_signals
from guardian.bootstrap.monitor_store import open_monitor_store
from guardian.commands.checks import Unknown, Unwell
from guardian.config import Settings
from guardian.domain.text import counted
from guardian.errors import ConfigurationError, StoreError
from guardian.scoring.calibration import ASSUMPTIONS


def model_checked(settings: Settings) -> str:
    began = time.perf_counter()
    fit = open_fit(settings)
    return f"model {fit.version} loaded in {time.perf_counter() - began:.1f} s"


def calibration_checked(settings: Settings) -> str:
    calibration = open_calibration(settings)
    flag = settings.response.flag_one_in
    kept = "promised" if flag <= calibration.reach else "estimated"
    said = (
        f"{len(calibration.evidence.values):,} honest sessions: promises reach 1 in {calibration.reach:,}, how"
        f" many are flagged at 1 in {flag:,g} is {kept}; a session's own figure is covered up to 1 in"
        f" {calibration.covered:,.0f} and {counted(calibration.calls, 'call')}, past that estimated"
    )
    if not speaks_for(calibration, settings):
        if names := ", ".join(unlisted_signals(calibration, settings)):
            raise Unwell(
                f"the calibration knows {names}, which `signals:` does not list: its promises do not hold",
                f"list {names} under `signals:`, or `guardian calibrate` without, then set model.calibration",
            )
        raise Unwell(
            "the calibration was fitted with another model, other signals or other weights than are configured:"
            " its promises do not hold",
            "`guardian calibrate` on your own traffic, then set model.calibration",
        )
    seen = None
    if is_there(settings, settings.store.monitor):
        try:
            with closing(open_monitor_store(settings)) as store:
                seen = departure_of(store, calibration)
        except (ConfigurationError, StoreError) as error:  # which other checks say
            said = f"{said}; whether traffic has left it is not known: the database cannot be opened"
            raise Unknown(said) from error
    if seen is None:
        return f"{said}; no session has ended under it yet\n{ASSUMPTIONS}"
    one_in = settings.monitor.departure_one_in
    if seen.left(one_in) and seen.direction == "further out":
        raise Unwell(
            f"traffic has left the calibration: {seen.seen:,} finished sessions lie {seen.direction} than its own",
            "`guardian calibrate` on recent traffic (with a higher --max-per-purpose where few purposes are most"
            " of it), then set model.calibration",
        )
    tamer = ": they are tamer than its own, a new one would be sharper" if seen.left(one_in) else ""
    since = f"{counted(seen.seen, 'session')} since"
    return f"{said}; {since}, evidence of a change {seen.peak:,.3g} of {one_in:,g}{tamer}\n{ASSUMPTIONS}"
