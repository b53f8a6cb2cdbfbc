"""Judges the header of one safetensors file from its descriptor; never reads tensor bodies.

Rules: the format's own (huggingface/safetensors README, "Format") and two it lacks: no duplicate
names, at most a million tensors. Which files belong together is `weights`' business.
"""

import json
import math
import os
from collections import Counter
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

MAX_HEADER_BYTES = 100_000_000
MAX_TENSORS = 1_000_000
# PyTorch knows no tensor with more dimensions.
MAX_RANK = 64
BITS = {
    "BOOL": 8,
    "F4": 4,
    "F6_E2M3": 6,
    "F6_E3M2": 6,
    "U8": 8,
    "I8": 8,
    "F8_E5M2": 8,
    "F8_E4M3": 8,
    "F8_E8M0": 8,
    "F8_E4M3FNUZ": 8,
    "F8_E5M2FNUZ": 8,
    "I16": 16,
    "U16": 16,
    "F16": 16,
    "BF16": 16,
    "I32": 32,
    "U32": 32,
    "F32": 32,
    "C64": 64,
    "F64": 64,
    "I64": 64,
    "U64": 64,
}


@dataclass(frozen=True)
class Header:
    """The tensor names of one file, or `flaw`: what is wrong with it, as a clause."""

    tensors: frozenset[str] = frozenset()
    flaw: str | None = None


class _Flaw(Exception):
    """Carries the clause to `read_header`; never leaves this module."""


def read_header(descriptor: int, size: int) -> Header:
    """The header of the open file of `size` bytes. Raises OSError when it cannot be read."""
    try:
        return Header(tensors=_tensors(descriptor, size))
    except _Flaw as flaw:
        return Header(flaw=str(flaw))


def _tensors(descriptor: int, size: int) -> frozenset[str]:
    header, body = _parse(descriptor, size)
    metadata = header.pop("__metadata__", {})
    if not isinstance(metadata, dict) or not all(isinstance(v, str) for v in metadata.values()):
        raise _Flaw("`__metadata__` is not an object of strings")
    if not header:
        raise _Flaw("the header names no tensor")
    if len(header) > MAX_TENSORS:
        raise _Flaw(f"more than {MAX_TENSORS:,} tensors")
    extents = sorted(_extent(name, entry) for name, entry in header.items())
    if extents[0][0] != 0:
        raise _Flaw(f"the first tensor starts at {extents[0][0]:,}, not at 0")
    for (_, end), (start, _) in pairwise(extents):
        if start != end:
            raise _Flaw(f"tensors {'leave a hole' if start > end else 'overlap'} at byte {end:,}")
    end = body + extents[-1][1]
    if end != size:
        kind = "truncated" if size < end else "trailing bytes"
        raise _Flaw(f"{kind}: header says {end:,} bytes, file has {size:,}")
    return frozenset(header)


def _parse(descriptor: int, size: int) -> tuple[dict[str, Any], int]:
    """The header's object and the offset at which tensor bodies begin."""
    if size < 8:
        raise _Flaw(f"truncated: {size} bytes are less than a header")
    length = int.from_bytes(os.pread(descriptor, 8, 0), "little")
    if length > MAX_HEADER_BYTES:
        raise _Flaw(f"the header claims {length:,} bytes, allowed are {MAX_HEADER_BYTES:,}")
    if 8 + length > size:
        raise _Flaw(f"truncated: header says {8 + length:,} bytes, file has {size:,}")
    text = os.pread(descriptor, length, 8)
    # Counted before parsing, so that a hostile header cannot ask for gigabytes of memory.
    if text.count(b"{") > MAX_TENSORS + 2 or text.count(b"[") > 4 * MAX_TENSORS:
        raise _Flaw(f"more than {MAX_TENSORS:,} tensors")
    try:
        header = json.loads(text, object_pairs_hook=_unique)
    except (ValueError, RecursionError) as error:
        raise _Flaw("the header is not JSON") from error
    if not text.startswith(b"{") or not isinstance(header, dict):
        raise _Flaw("the header is not a JSON object")
    return header, 8 + length


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    unique = dict(pairs)
    if len(unique) < len(pairs):
        twice, _ = Counter(name for name, _ in pairs).most_common(1)[0]
        raise _Flaw(f"the header names {twice[:80]!r} twice")
    return unique


def _extent(name: str, entry: Any) -> tuple[int, int]:
    """Where the tensor's bytes lie, relative to the end of the header."""
    if not isinstance(entry, dict) or set(entry) != {"dtype", "shape", "data_offsets"}:
        raise _Flaw(f"tensor {name[:80]!r} is not dtype, shape and data_offsets")
    dtype, shape, offsets = entry["dtype"], entry["shape"], entry["data_offsets"]
    if not isinstance(dtype, str) or dtype not in BITS:
        raise _Flaw(f"tensor {name[:80]!r} has the unknown dtype {str(dtype)[:40]!r}")
    if not (_counts(shape) and len(shape) <= MAX_RANK and _counts(offsets) and len(offsets) == 2):
        raise _Flaw(f"tensor {name[:80]!r} has a shape or offsets that are not sizes")
    start, end = offsets
    bits = math.prod(shape) * BITS[dtype]
    if bits % 8 or end - start != bits // 8:
        raise _Flaw(f"tensor {name[:80]!r} needs {bits / 8:,.0f} bytes and has {end - start:,}")
    return start, end


def _counts(value: Any) -> bool:
    return isinstance(value, list) and all(type(n) is int and 0 <= n < 2**63 for n in value)
