"""The usual walk of a table's autoencoder: one fall from noise that drowns the rows to little noise."""

from reinject.sampling.presets import Settings

STEPS = 50
_FIRST, _LAST, _RHO = 20.0, 0.05, 7.0  # encoded rows have unit size


def table_settings(steps: int = STEPS) -> Settings:
    """Return the settings of the usual walk: multistep, Karras's spacing from 20 to 0.05, the last reconstruction kept.

    Each walk gives one row, so rows are independent.

    Arguments:
        steps: of a walk, >= 1; a row costs one more call of r.

    Source: Karras et al. 2022, arXiv 2206.00364, eq. 5 (the levels).

    Example:
        >>> table_settings().options["sigma"]
        'karras:20:0.05:7'
    """
    levels = {"sigma": f"karras:{_FIRST:g}:{_LAST:g}:{_RHO:g}"}
    return Settings("multistep", levels, steps=steps, burn_in=steps, emit="reconstruction")
