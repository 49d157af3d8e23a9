"""Ids of the source that stand somewhere as a whole: the look that knows nothing of the table.

The rewriter finds references where the table has a row. This finds ids wherever they are a whole
value, a whole key or the whole of a path, so that what the table does not list is told. An id that
may be an ordinary word is not looked for: it would be found in half of all data.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Literal

from .model import KINDS, IdMap
from .resolver import is_word

# So many places are told one by one, and so many are remembered; more are counted together.
LISTED = 50
_REMEMBERED = 1000
_ELSEWHERE = "(other places)"

_INDEX = re.compile(r"\[\d+\]")
_SEGMENT = re.compile(r"[/:?&=#,;.@%|+~]+")
_SEPARATOR = re.compile(r"\s*[,;|]\s*")
# Files stay where they are, whatever their keys spell; what has blanks in it is text.
_NO_ADDRESS = re.compile(r"(?:s3a?|gs|gcs|az|abfs)://|.*\s", re.DOTALL)

# In protobuf's encoding: what stands before the length of a text that is a value, or a key.
_BEFORE_TEXT = frozenset(b'"\n')
_ONE_BYTE, _SLASH = 0x80, ord("/")

Where = Literal["nowhere", "somewhere", "whole"]


class SourceIds:
    """The ids of a source that have no business in its clone, and where they stand.

    `left` are those that stay in no record that was rewritten; `known` has those of what is left
    out besides, at which nothing in the configuration should point either. `complete` says that no
    id is missing among `left` because it may be a word. Safe for threads.
    """

    def __init__(self, ids: IdMap) -> None:
        changed = _changed(ids)
        self.left = {old: kind for old, kind in changed.items() if not _is_word(kind, old)}
        self.complete = len(self.left) == len(changed)
        new = {new for mapping in ids.ids.values() for new in mapping.values()}
        left_out = {
            old: kind
            for kind in KINDS
            for old in ids.left_out.get(kind, ())
            if not is_word(kind, old) and old not in new
        }
        self.known = {**left_out, **self.left}
        self._encoded = {old.encode(): kind for old, kind in self.left.items()}
        self._sizes = sorted({len(old) for old in self._encoded})
        self.beginnings = tuple(sorted({_beginning(old) for old in self.left}))
        self._encoded_beginnings = tuple(one.encode() for one in self.beginnings)

    # Looking before anything is decoded

    def in_encoded(self, encoded: bytes, end: int) -> Where:
        """Where one of `left` stands in a payload's protobuf encoding: as a whole, or somewhere in
        a longer text in which a row of the table might find it. Takes some others for one, too."""
        found: Where = "nowhere"
        for beginning in self._encoded_beginnings:
            at = encoded.find(beginning, 0, end)
            while at >= 0:
                for size in self._sizes:
                    if (kind := self._encoded.get(encoded[at : at + size])) is not None:
                        if self._is_whole(encoded, at, size):
                            return "whole"
                        if _may_be_mapped(encoded, at, size, kind):
                            found = "somewhere"
                at = encoded.find(beginning, at + 1, end)
        return found

    def _is_whole(self, encoded: bytes, at: int, size: int) -> bool:
        if size >= _ONE_BYTE:
            return True  # rare, and looked at again
        before, length = encoded[at - 2], encoded[at - 1]
        if before >= _ONE_BYTE:  # the length is of two bytes, and it may be a path
            return encoded[at - 3] in _BEFORE_TEXT
        if before not in _BEFORE_TEXT or length < size:
            return False
        return self._encoded.keys() >= set(encoded[at : at + length].split(b"/"))

    def in_text(self, text: str) -> bool:
        """Whether one of `left` may stand as a whole in a JSON text."""
        for beginning in self.beginnings:
            at = text.find(f'"{beginning}')
            while at >= 0:
                end = text.find('"', at + 1)
                if self._whole(text[at + 1 : end]):
                    return True
                at = text.find(f'"{beginning}', end)
        return "\\u00" in text  # ASCII may be spelled so, too

    # Looking into a document

    def in_record(self, record: dict[str, Any]) -> Iterator[tuple[str, str]]:
        """(path, id) of every one of `left` in an object or payload of the clone."""
        for path, text in _texts(record, ""):
            if old := self._whole(text):
                yield path, old

    def _whole(self, text: str) -> str | None:
        """The id that a text is, or the first of the ids that a path is made of."""
        if text in self.left:
            return text
        if "/" in text and self.left.keys() >= set(segments := text.split("/")):
            return segments[0]
        return None

    def in_configuration(self, document: dict[str, Any]) -> Iterator[tuple[str, str]]:
        """(path, id) of every one of `known` that is a value, a key, one of several with commas
        between, or a part of a path or address, but for those of files."""
        for path, text in _texts(document, ""):
            if text in self.known:
                yield path, text
                continue
            yield from ((path, one) for one in dict.fromkeys(_parts(text)) if one in self.known)


def _parts(text: str) -> list[str]:
    if "/" in text and not _NO_ADDRESS.match(text):
        return _SEGMENT.split(text)
    return _SEPARATOR.split(text)


def _may_be_mapped(encoded: bytes, at: int, size: int, kind: str) -> bool:
    """Whether a part of a longer text may be a reference: in the path of a document's lineage, or
    in a taxonomy's field name."""
    if kind == "taxonomy":
        return encoded.endswith(b"_taxonomy_", 0, at)
    in_path = encoded[at - 1] == _SLASH or encoded[at + size] == _SLASH
    return kind in ("bucket", "collection") and in_path


def _changed(ids: IdMap) -> dict[str, str]:
    """Id of the source -> kind, where the clone has another one."""
    found = {
        old: kind for kind in KINDS for old, new in ids.ids.get(kind, {}).items() if old != new
    }
    found |= {old: "namespace" for old in ids.own_namespaces if old != ids.namespace[1]}
    old, new = ids.organization
    return found if old == new else found | {old: "organization"}


def _is_word(kind: str, old: str) -> bool:
    if kind == "organization":
        return not old.startswith(("int_", "org_"))
    return is_word(kind, old)


def _beginning(old: str) -> str:
    """`col_` of col_1: no id is told from another by it, but from most other text."""
    match = re.match(r"[A-Za-z]+[^A-Za-z]", old)
    return old if match is None else match[0]


def _texts(value: Any, path: str) -> Iterator[tuple[str, str]]:
    """(path, text) of every key and every string; a key's path is that of its value."""
    if isinstance(value, dict):
        for key, inner in value.items():
            place = f"{path}.{key}" if path else key
            yield place, key
            yield from _texts(inner, place)
    elif isinstance(value, list):
        for index, inner in enumerate(value):
            yield from _texts(inner, f"{path}[{index}]")
    elif isinstance(value, str):
        yield path, value


def folded(path: str, old: str = "") -> str:
    """A path as the table writes it: all items of a list as one, a key that is an id as `{}`."""
    if old and (path == old or path.endswith(f".{old}")):
        path = f"{path[: -len(old)].rstrip('.')}{{}}"
    return _INDEX.sub("[]", path)


class Places:
    """How often something stands at which places of which resource type; bounded."""

    def __init__(self) -> None:
        self._counts: Counter[tuple[str, str]] = Counter()

    def __len__(self) -> int:
        return self._counts.total()

    def add(self, resource: str, path: str, count: int = 1) -> None:
        """`path` is folded."""
        place = (resource, path)
        if len(self._counts) >= _REMEMBERED and place not in self._counts:
            place = (resource, _ELSEWHERE)
        self._counts[place] += count

    def merge(self, other: Places) -> None:
        for (resource, path), count in other._counts.items():
            self.add(resource, path, count)

    def clear(self) -> None:
        self._counts.clear()

    def to_rows(self) -> list[list[Any]]:
        """All of it, for `from_rows`: resource type, path, how often."""
        return [[*place, count] for place, count in self._counts.items()]

    @classmethod
    def from_rows(cls, rows: Iterable[Sequence[Any]]) -> Places:
        found = cls()
        for resource, path, count in rows:
            found.add(resource, path, count)
        return found

    def of(self, *resources: str) -> int:
        """How often in these types."""
        return sum(count for (resource, _), count in self._counts.items() if resource in resources)

    def to_json(self) -> dict[str, Any]:
        """`count`, and the places at which it is most: `resource`, `path`, `count`."""
        most = sorted(self._counts.items(), key=lambda item: (-item[1], item[0]))
        return {
            "count": len(self),
            "places": [
                {"resource": resource, "path": path, "count": count}
                for (resource, path), count in most[:LISTED]
            ],
        }
