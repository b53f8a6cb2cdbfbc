"""The API server on the wire: one connection, what it has, and what its refusals mean."""
