"""The asset graph: what should exist. Rooms hold pure parts, thin assets and checks.

Rooms do not import one another; they meet through `identity`, `documents`, `keys` and `lineage`.
"""
