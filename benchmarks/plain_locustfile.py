"""What a plain Locust test of the same server looks like: a closed loop of users, Locust's own
statistic. `harness_accuracy.py` runs it as the peer; STREAM=1 times a streamed call.
"""

import os

import locust

BODY = {"model": "m", "prompt": "hello", "max_tokens": 20, "stream": True}


class Reader(locust.FastHttpUser):
    """Asks again as soon as it was answered."""

    @locust.task
    def complete(self) -> None:
        stream = bool(os.environ.get("STREAM"))
        response = self.client.post("/v1/completions", json=BODY, stream=stream)
        if stream:
            # The content is not read before, and not timed by Locust.
            _ = response.content
