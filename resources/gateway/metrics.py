"""What the gateway counts, in Prometheus's text form (version 0.0.4)."""

from collections import defaultdict


class Metrics:
    """Requests, their seconds and those under way, by endpoint and status.

    Only endpoints that exist become labels, so that hostile names make no series.
    """

    def __init__(self) -> None:
        self._requests: defaultdict[tuple[str, str], int] = defaultdict(int)
        self._seconds: defaultdict[tuple[str, str], float] = defaultdict(float)
        self._first_byte: defaultdict[str, float] = defaultdict(float)
        self.in_flight = 0

    def count(self, endpoint: str, status: str, seconds: float) -> None:
        """One request is over; `status` is the HTTP status, `cut` or `gone` (the client)."""
        self._requests[endpoint, status] += 1
        self._seconds[endpoint, status] += seconds

    def first_byte(self, endpoint: str, seconds: float) -> None:
        self._first_byte[endpoint] += seconds

    def text(self) -> str:
        prefix = "ai_how_gateway"
        return "\n".join(
            [
                f"# TYPE {prefix}_requests_total counter",
                *(
                    f"{prefix}_requests_total{_labels(*key)} {count}"
                    for key, count in sorted(self._requests.items())
                ),
                f"# TYPE {prefix}_request_seconds summary",
                *(
                    f"{prefix}_request_seconds_sum{_labels(*key)} {seconds:.6f}\n"
                    f"{prefix}_request_seconds_count{_labels(*key)} {self._requests[key]}"
                    for key, seconds in sorted(self._seconds.items())
                ),
                f"# TYPE {prefix}_first_byte_seconds_total counter",
                *(
                    f'{prefix}_first_byte_seconds_total{{endpoint="{_escape(name)}"}} {seconds:.6f}'
                    for name, seconds in sorted(self._first_byte.items())
                ),
                f"# TYPE {prefix}_in_flight gauge",
                f"{prefix}_in_flight {self.in_flight}",
                "",
            ]
        )


def _labels(endpoint: str, status: str) -> str:
    return f'{{endpoint="{_escape(endpoint)}",status="{status}"}}'


def _escape(value: str) -> str:
    return value.replace("\\", r"\\").replace('"', r"\"").replace("\n", r"\n")
