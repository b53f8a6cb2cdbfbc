"""GPUs that clusters share: who has each, who wants it, and handing it from one to the other."""
