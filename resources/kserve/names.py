"""Names in the cluster for keys and models of any spelling, and the labels of what is ours. Pure.

KServe makes `<name>-predictor-…` of an InferenceService's name, which must stay a DNS label.
"""

import hashlib
import re

#: 63 less `-predictor`; the webhook of KServe 0.20 refuses more.
LONGEST = 53
_HASH = 8

SLOT_LABEL = "ai-how/slot"
ENDPOINT_LABEL = "ai-how/endpoint"
#: KServe puts it on every pod of a predictor.
PREDICTOR_LABEL = "serving.kserve.io/inferenceservice"
SERVES = "ai-how/serves"
ROUTE = "ai-how/route"
#: How a slot was started: the spec of its predictor, as it was applied.
STARTED = "ai-how/started"


def slot_name(key: str, digest: str) -> str:
    """The InferenceService of these bytes of a checkpoint; another digest has another name."""
    return _name(key, f"{key}\0{digest}")


def endpoint_name(model: str) -> str:
    """The stable Service of a model."""
    return _name(f"endpoint-{model}", model)


def predictor_name(slot: str) -> str:
    """The Deployment and the Service that KServe's Standard mode makes for an InferenceService."""
    return f"{slot}-predictor"


def _name(readable: str, whole: str) -> str:
    """Readable words and a hash of all: what words lose, the hash tells apart."""
    words = re.sub(r"[^a-z0-9]+", "-", readable.lower()).strip("-")
    if not words[:1].isalpha():
        words = f"m-{words}"
    digest = hashlib.sha256(whole.encode("utf-8", "surrogateescape")).hexdigest()[:_HASH]
    return f"{words[: LONGEST - _HASH - 1].rstrip('-')}-{digest}"
