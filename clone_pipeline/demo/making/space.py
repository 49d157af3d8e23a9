"""The embedded texts, and what is near what among them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy

from .categories import CATEGORIES
from .embed import Embedder, TermWeights

_GROUPS = 10
_ROUNDS = 12


class Space:
    """Embeds each text once; all comparisons are cosines of the rounded vectors."""

    def __init__(self, embedder: Embedder, highlights: Sequence[str]) -> None:
        self._embedder = embedder
        self._vectors: dict[str, list[float]] = {}
        self._weights = TermWeights(highlights)

    def vector(self, text: str) -> list[float]:
        if text not in self._vectors:
            self._vectors[text] = self._embedder.embed(text)
        return self._vectors[text]

    def category(self, number: int) -> list[float]:
        item = CATEGORIES[number]
        return self.vector(f"{item.label}: {item.summary} {', '.join(item.keywords)}")

    def term_weights(self, text: str) -> dict[str, list[Any]]:
        return self._weights.weigh(text)

    def nearest_category(self, text: str) -> tuple[int, float]:
        best, score = self.nearest(text, {n: self.category(n) for n in range(len(CATEGORIES))})
        return best, score

    def nearest(self, text: str, places: Mapping[Any, Sequence[float]]) -> tuple[Any, float]:
        """The key of the place with the highest cosine, and that cosine."""
        scores = _unit([self.vector(text)]) @ _unit(list(places.values())).T
        best = int(scores[0].argmax())
        return list(places)[best], round(float(scores[0][best]), 4)

    def centre(self, texts: Sequence[str]) -> list[float]:
        mean = self._matrix(texts).mean(axis=0)
        return [float(value) for value in mean]

    def neighbours(self, texts: Sequence[str], number: int) -> list[list[int]]:
        """For each text the positions of the others that are nearest to it."""
        matrix = self._matrix(texts)
        scores = matrix @ matrix.T
        numpy.fill_diagonal(scores, -1)
        order = numpy.argsort(-scores, axis=1, kind="stable")[:, :number]
        return [[int(position) for position in row] for row in order]

    def groups(self, texts: Sequence[str]) -> list[int]:
        """Spherical k-means, from evenly spread texts as first centres."""
        matrix = self._matrix(texts)
        centres = matrix[:: max(1, len(texts) // _GROUPS)][:_GROUPS]
        for _ in range(_ROUNDS):
            nearest = (matrix @ centres.T).argmax(axis=1)
            centres = _unit(
                [
                    matrix[nearest == group].sum(axis=0) if (nearest == group).any() else centre
                    for group, centre in enumerate(centres)
                ]
            )
        return [int(group) for group in (matrix @ centres.T).argmax(axis=1)]

    def _matrix(self, texts: Sequence[str]) -> Any:
        return _unit([self.vector(text) for text in texts])


def _unit(vectors: Sequence[Any]) -> Any:
    matrix = numpy.asarray(vectors, dtype=numpy.float64)
    return matrix / numpy.linalg.norm(matrix, axis=1, keepdims=True)
