"""What nvidia-smi says of the first GPU: its memory in use, and how busy it was meanwhile."""

import statistics
import subprocess
import time
from dataclasses import dataclass
from threading import Thread
from types import TracebackType
from typing import Self

_QUERY = ("nvidia-smi", "--id=0", "--format=csv,noheader,nounits")
_EVERY_MS = 100


def name() -> str:
    return _ask("name,driver_version")


def memory_mib() -> int:
    return int(_ask("memory.used"))


def _ask(what: str) -> str:
    asked = [*_QUERY, f"--query-gpu={what}"]
    return subprocess.run(asked, check=True, capture_output=True, text=True).stdout.strip()


@dataclass(frozen=True)
class Sample:
    """At a Unix time: the share of the last moments in which a kernel ran, in percent; watts."""

    at: float
    percent: float
    watts: float


class Sampler:
    """Looks at the GPU ten times a second for as long as the block runs."""

    def __init__(self) -> None:
        self._samples: list[Sample] = []

    def __enter__(self) -> Self:
        asked = [*_QUERY, "--query-gpu=utilization.gpu,power.draw", f"--loop-ms={_EVERY_MS}"]
        self._program = subprocess.Popen(asked, stdout=subprocess.PIPE, text=True)
        self._reader = Thread(target=self._read)
        self._reader.start()
        return self

    def __exit__(
        self, _: type[BaseException] | None, __: BaseException | None, ___: TracebackType | None
    ) -> None:
        self._program.terminate()
        self._program.wait()
        self._reader.join()

    def means(self, start: float, end: float) -> tuple[float, float]:
        """Percent and watts between two Unix times; zeros where nothing was seen."""
        seen = [each for each in self._samples if start <= each.at < end]
        if not seen:
            return 0.0, 0.0
        return (
            statistics.fmean(each.percent for each in seen),
            statistics.fmean(each.watts for each in seen),
        )

    def _read(self) -> None:
        assert self._program.stdout is not None
        with self._program.stdout as lines:
            for line in lines:
                percent, _, watts = line.partition(", ")
                self._samples.append(Sample(time.time(), float(percent), float(watts)))
