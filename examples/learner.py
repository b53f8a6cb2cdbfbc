"""The learning itself: a tiny Llama in mlx, the taught facts as batches, one optimizer step.

The architecture is mlx-lm's own, so the weights load in its server under the same names. When to
log and to save is left to `train`.
"""

from collections.abc import Iterator
from dataclasses import dataclass, fields
from typing import Any

import mlx.core as mx
import numpy as np
import numpy.typing as npt
from mlx import nn, optimizers
from mlx.nn.utils import value_and_grad
from mlx.utils import tree_flatten
from mlx_lm.models import llama

from examples import tiny_llama

# 102 facts are six batches, so an epoch is whole.
BATCH = 17
# Adam forgets fast: with the usual 0.999 the first, large gradients slow all 75 steps of a run.
BETAS = (0.9, 0.95)
LARGEST_GRADIENT = 1.0


@dataclass(frozen=True)
class Batch:
    """Token ids (rows, length), and where the answer's tokens are predicted and which they are."""

    tokens: npt.NDArray[np.int32]
    rows: npt.NDArray[np.int32]
    columns: npt.NDArray[np.int32]
    targets: npt.NDArray[np.int32]


@dataclass(frozen=True)
class Progress:
    """What one optimizer step showed: mean cross-entropy in nats, gradient norm before clipping."""

    loss: float
    gradient_norm: float
    learning_rate: float


def encode_facts() -> list[tuple[list[int], list[int]]]:
    """Token ids of each question and of its answer, which ends with the end token."""
    encode = tiny_llama.tokenizer().encode
    return [
        (encode(tiny_llama.prompt_for(question)).ids, [*encode(answer).ids, tiny_llama.END_ID])
        for question, answer in tiny_llama.read_facts()
    ]


def collate(facts: list[tuple[list[int], list[int]]]) -> Batch:
    """Pad on the right, which a causal model does not see; only answers are learnt."""
    length = max(len(question) + len(answer) for question, answer in facts)
    tokens = np.full((len(facts), length), tiny_llama.PAD_ID, np.int32)
    places: list[tuple[int, int]] = []
    for row, (question, answer) in enumerate(facts):
        end = len(question) + len(answer)
        tokens[row, :end] = question + answer
        places += [(row, column - 1) for column in range(len(question), end)]
    rows, columns = np.array(places, np.int32).T
    return Batch(tokens[:, :-1], rows, columns, tokens[rows, columns + 1])


def batches(seed: int) -> Iterator[Batch]:
    """Endless batches; every epoch shuffles all facts anew, the same way for the same seed."""
    facts = encode_facts()
    generator = np.random.default_rng(seed)
    while True:
        order = generator.permutation(len(facts))
        for start in range(0, len(facts), BATCH):
            yield collate([facts[index] for index in order[start : start + BATCH]])


def steps_per_epoch() -> int:
    """Optimizer steps in which every fact is seen once."""
    return -(-len(tiny_llama.read_facts()) // BATCH)


class Learner:
    """A model and its optimizer; the learning rate falls linearly to a tenth over the run."""

    def __init__(self, *, seed: int, learning_rate: float, steps: int) -> None:
        names = {field.name for field in fields(llama.ModelArgs)}
        architecture = {name: value for name, value in tiny_llama.CONFIG.items() if name in names}
        self.model = llama.Model(llama.ModelArgs(**architecture))
        weights = tiny_llama.random_weights(seed).items()
        self.model.load_weights([(name, mx.array(value)) for name, value in weights])
        schedule = optimizers.linear_schedule(learning_rate, learning_rate / 10, max(1, steps))
        self.optimizer = optimizers.Adam(learning_rate=schedule, betas=list(BETAS))
        self._loss_and_gradients = value_and_grad(self.model, self._loss)

    def _loss(self, batch: Batch) -> Any:
        hidden = self.model.model(mx.array(batch.tokens))
        # Logits only where an answer is learnt: they are most of the arithmetic.
        answers = hidden[mx.array(batch.rows), mx.array(batch.columns)]
        logits = self.model.model.embed_tokens.as_linear(answers)
        return nn.losses.cross_entropy(logits, mx.array(batch.targets), reduction="mean")

    def step(self, batch: Batch) -> Progress:
        """Learn one batch."""
        loss, gradients = self._loss_and_gradients(batch)
        gradients, norm = optimizers.clip_grad_norm(  # type: ignore[no-untyped-call]
            gradients, LARGEST_GRADIENT
        )
        self.optimizer.update(self.model, gradients)
        mx.eval(self.model.state, self.optimizer.state, loss, norm)
        return Progress(loss.item(), norm.item(), self.optimizer.learning_rate.item())

    def weights(self) -> dict[str, tiny_llama.Array]:
        """The weights as they are now, under their Hugging Face names."""
        flat = dict(tree_flatten(self.model.parameters()))
        return {name: np.array(value) for name, value in flat.items()}
