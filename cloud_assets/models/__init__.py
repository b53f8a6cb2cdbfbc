"""Checkpoints: found, judged, published. Serving and measuring them are other rooms' business."""
