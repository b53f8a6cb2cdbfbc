"""When to act: new checkpoints, failed runs, drift. What is done is the graph's business."""
