"""The HTML pages of checkpoints and models, drawn from the documents of all rooms.

Below the rooms: each of them may have a page brought up to date.
"""
