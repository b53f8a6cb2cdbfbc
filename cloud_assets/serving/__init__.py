"""Serving: a candidate for each checkpoint, one endpoint a model, and the decision between them.

`release` is the pure decision, `assets` the graph's nodes. How serving is done is the business of
the backend in `resources`.
"""
