"""Wilson's interval of a share, for every room that counts."""

import math
from statistics import NormalDist

from cloud_assets.documents import Interval


def wilson(successes: int, trials: int, *, confidence: float = 0.95) -> Interval:
    """Wilson's score interval of a share (Wilson 1927; Brown, Cai and DasGupta 2001).

    By its formula: `scipy.stats` gives the same and takes two seconds to import. Of no trials
    nothing is known: 0 to 1.
    """
    if trials == 0:
        return Interval(value=0.0, low=0.0, high=1.0)
    z = NormalDist().inv_cdf((1 + confidence) / 2)
    estimate = successes / trials
    spread = 1 + z * z / trials
    centre = (estimate + z * z / (2 * trials)) / spread
    half = z / spread * math.sqrt(estimate * (1 - estimate) / trials + (z / (2 * trials)) ** 2)
    # At the ends the formula gives 0 and 1 exactly; floating point misses them by an ulp.
    low = 0.0 if successes == 0 else max(0.0, centre - half)
    high = 1.0 if successes == trials else min(1.0, centre + half)
    return Interval(value=estimate, low=low, high=high)
