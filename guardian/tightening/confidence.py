"""How sure one can be that the future looks like the past."""

from scipy.special import betaincinv

_LEVEL = 0.95


def upper_bound(events: int, trials: int) -> float:
    """The one-sided 95 % Clopper-Pearson bound on a share, after `events` in `trials`; 1 without any trial.

    Without an event it is 1 - 0.05^(1/trials), about 3/trials (the rule of three). C. Clopper, E. Pearson,
    Biometrika 26 (1934).

    >>> round(upper_bound(0, 300), 4), round(upper_bound(2, 300), 4), upper_bound(0, 0)
    (0.0099, 0.0208, 1.0)
    """
    if not 0 <= events <= trials:
        raise ValueError(f"{events} events in {trials} trials")
    if events == trials:
        return 1.0
    if events == 0:
        return float(1.0 - (1.0 - _LEVEL) ** (1.0 / trials))
    return float(betaincinv(events + 1, trials - events, _LEVEL))
