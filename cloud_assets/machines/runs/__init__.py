"""What is done with machines as a whole, as runs of the graph, which keeps a record."""
