"""One slot in the making and on its way out: waiting for it, judging it, taking it away."""
