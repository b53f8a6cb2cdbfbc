"""Whether the host can carry the machines of a file: facts in, findings with their fixes out."""
