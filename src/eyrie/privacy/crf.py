"""A trained linear-chain CRF as arrays: the weights of a CRFsuite model, and marginals of many sequences at once.

CRFsuite's own tagger wants every feature as a string again for each token. Here weights are looked up once per word,
and all sequences of a text go through forward-backward (Rabiner, 1989; Lafferty et al., 2001) side by side: the forward
step of one end and the backward step of the other are one product.
"""

import struct
from pathlib import Path
from typing import Any

import numpy as np
import pycrfsuite
from numpy.typing import NDArray

_HEADER = struct.Struct("<4sI")  # of a model's file: what it is, and its size
Scores = NDArray[np.float64]
_RESCALED_EVERY = 8  # steps; with transitions 40 apart, eighteen would leave the range of a double


class Weights:
    """What a model says of features and transitions. Raises ValueError where the file is damaged.

    `table` [features + 1, labels]: a row per feature, the last one zero, for features without weight.
    """

    def __init__(self, path: Path) -> None:
        # CRFsuite reads behind the end of a file that was cut off, and ends the process.
        with path.open("rb") as file:
            header = file.read(_HEADER.size)
        if len(header) < _HEADER.size or _HEADER.unpack(header) != (b"lCRF", path.stat().st_size):
            raise ValueError(f"{path}: not a whole model of CRFsuite")
        tagger = pycrfsuite.Tagger()
        tagger.open(str(path))
        self.labels: tuple[str, ...] = tuple(tagger.labels())
        info = tagger.info()
        column = {label: i for i, label in enumerate(self.labels)}
        self._rows = {name.encode(): i for i, name in enumerate(info.attributes)}
        self.table: Scores = np.zeros((len(self._rows) + 1, len(self.labels)))
        for (name, label), weight in info.state_features.items():
            self.table[self._rows[name.encode()], column[label]] = weight
        self.transitions: Scores = np.zeros((len(self.labels), len(self.labels)))
        for (before, after), weight in info.transitions.items():
            self.transitions[column[before], column[after]] = weight

    def features(self) -> list[bytes]:
        """The features that have a weight."""
        return list(self._rows)

    def row(self, feature: bytes) -> int:
        """Its row in `table`."""
        return self._rows.get(feature, len(self._rows))

    def total(self, features: Any) -> Scores:
        """The sum of the features' weights, [labels]."""
        return np.asarray(self.table[[self.row(item) for item in features]].sum(axis=0))


class Marginals:
    """Forward-backward over sequences of any lengths."""

    def __init__(self, transitions: Scores) -> None:
        count = len(transitions)
        self._count = count
        step = np.exp(transitions - transitions.max())
        # A state is [forward, backward]: the two never mix.
        self._step = np.zeros((2 * count, 2 * count))
        self._step[:count, :count], self._step[count:, count:] = step, step.T

    def __call__(self, scores: Scores, lengths: NDArray[np.intp]) -> Scores:
        """Probability of each label per token.

        Args:
            scores: [tokens, labels], the sum of the weights of each token's features, one sequence after the other
            lengths: [sequences], tokens of each, all at least 1
        Returns:
            [tokens, labels], rows sum to 1
        Raises ArithmeticError when weights leave the range of a double.
        """
        count = self._count
        potentials = np.exp(scores - scores.max(axis=1, keepdims=True))
        # By position, and the longest sequence first: those that go on are always the first rows.
        rank = np.empty_like(lengths)
        rank[(-lengths).argsort()] = np.arange(len(lengths))
        ranks, after = rank.repeat(lengths), lengths.cumsum().repeat(lengths)
        back = after - np.arange(1, len(scores) + 1)
        position = lengths.repeat(lengths) - 1 - back
        running = np.bincount(position)
        offset = running.cumsum() - running
        forward, backward = offset[position] + ranks, offset[back] + ranks
        both = np.empty((len(scores), 2 * count))
        both[forward, :count] = potentials
        both[backward, count:] = potentials
        before = np.empty_like(both)
        at = len(lengths)
        before[:at] = 1.0
        state = both[:at]
        for number, active in enumerate(running.tolist()[1:]):
            reached = np.dot(state[:active], self._step, out=before[at : at + active])
            state = reached * both[at : at + active]
            if number % _RESCALED_EVERY == 0:
                ways = state.reshape(active, 2, count)
                ways /= ways.max(axis=2, keepdims=True)
            at += active
        out = before[forward, :count] * before[backward, count:]
        out *= potentials
        out /= out.sum(axis=1, keepdims=True)
        if not np.isfinite(out).all():  # would compare as "no name, no secret"
            raise ArithmeticError("marginals are not finite")
        return out
