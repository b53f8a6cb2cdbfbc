"""What is done with machines that are there already, as runs of the graph, which keeps a record."""
