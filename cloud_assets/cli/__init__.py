"""The `ai-how` command: `commands` has a module a noun, `output` is the only printer.

Commands read the systems themselves and ask the graph for every change; Dagster is not imported.
"""
