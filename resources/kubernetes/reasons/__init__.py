"""Why something is not ready: gathering what the cluster tells, and the sentence that follows."""
