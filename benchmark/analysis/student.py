"""Student's t, and the normal distribution as its limit."""

from __future__ import annotations

import math

# It has the quantile of t without the second that scipy.stats takes to import.
from scipy import special

POWER = 0.8
# Beyond it the normal part of a noncentral t no longer matters, and its series does not end.
_LARGEST_QUANTILE = 1_000


def welch_freedom(variance: float, *parts: tuple[float, int]) -> float:
    """The degrees of freedom of a variance, by Satterthwaite (Biometrics Bulletin 2, 1946).

    ``parts`` are variances of means that are estimated, each with its number of values; what else
    the variance consists of counts as known. Infinite where no part varies.
    """
    estimated = sum(part**2 / (count - 1) for part, count in parts if count > 1)
    return variance**2 / estimated if estimated else math.inf


def smallest_detectable(
    standard_error: float, freedom: float, confidence: float = 0.95, power: float = POWER
) -> float:
    """The smallest difference that a test detects with this power, by the noncentral t."""
    quantile = t_quantile(freedom, confidence)
    if math.isinf(freedom):
        return standard_error * (quantile + float(special.ndtri(power)))
    if quantile > _LARGEST_QUANTILE:
        # It is found where the estimated variance is small enough, by the chi-squared distribution.
        smaller = special.chdtri(freedom, 1 - power) / freedom
        return standard_error * quantile * math.sqrt(smaller)
    return standard_error * float(special.nctdtrinc(freedom, 1 - power, quantile))


def check_confidence(confidence: float) -> None:
    """Raise ValueError for a confidence that is not between 0 and 1."""
    if not 0 < confidence < 1:
        raise ValueError(f"confidence should be between 0 and 1, got {confidence}")


def t_quantile(freedom: float, confidence: float) -> float:
    """How many standard errors an interval reaches to either side."""
    level = 0.5 + confidence / 2
    return float(special.ndtri(level) if math.isinf(freedom) else special.stdtrit(freedom, level))


def cochran_quantile(estimated: float, freedom: float, known: float, confidence: float) -> float:
    """The same where the variance has two parts, one estimated with ``freedom`` and one known.

    Each part's own quantile, weighed by the part (Cochran, "Approximate significance levels of the
    Behrens-Fisher test", Biometrics 20, 1964).
    """
    own, normal = t_quantile(freedom, confidence), t_quantile(math.inf, confidence)
    return (own * estimated + normal * known) / (estimated + known)


def freedom_of_quantile(quantile: float, confidence: float) -> float:
    """The degrees of freedom with which an interval reaches as far."""
    return float(special.stdtridf(0.5 + confidence / 2, quantile))


def two_sided_p_value(deviation: float, freedom: float) -> float:
    """How often chance alone gives at least so many standard errors, to either side."""
    below = special.ndtr(-deviation) if math.isinf(freedom) else special.stdtr(freedom, -deviation)
    return float(2 * below)
