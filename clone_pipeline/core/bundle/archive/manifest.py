"""manifest.json: what makes an archive of the parts beside it. It is written last."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from datetime import datetime
from hashlib import blake2b, sha256
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from ...errors import BundleError
from ...vectors.digest import Digest, canonical
from ..files import CLEARED, CONFIG, NAMESPACE, POINTS, RECORD_FILES
from ..output import encode_indented
from .place import Place

MANIFEST = "manifest.json"
FORMAT = "clone-pipeline archive"
# The second one has shard keys, for which the first has no place.
VERSION, WITH_SHARD_KEYS = 1, 2
VERSIONS = (VERSION, WITH_SHARD_KEYS)
MOST_BYTES = 256 * 1024 * 1024  # of a manifest, or of a part as it is stored

# The bundle's files of which an archive has parts, by the first word of their names.
FILES = {
    file.partition(".")[0]: file
    for file in (NAMESPACE, CONFIG, CLEARED, *RECORD_FILES.values(), POINTS)
}
_NAME = re.compile(rf"({'|'.join(FILES)})-\d{{5}}-\d{{5}}-[0-9a-f]{{12}}\.jsonl\.zst")


class _Model(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class Part(_Model):
    """Some lines of one of a bundle's files. Of points, `first` is the id of the first one and
    `digest` that of all of them; they are those of one shard key, where there are any."""

    name: str
    bytes: int = Field(ge=0, le=MOST_BYTES)
    lines: int = Field(ge=1)
    sha256: str
    first: int | str | None = None
    digest: str | None = None
    shard_key: int | str | None = None

    @property
    def file(self) -> str:
        """The bundle's file that its lines belong to."""
        return FILES[self.name.partition("-")[0]]


class Sealed(_Model):
    """A digest as `core/verify` computes it, and of how many."""

    digest: str = Field(pattern=r"^[0-9a-f]{32}$")
    count: int

    @classmethod
    def of(cls, digest: Digest) -> Sealed:
        return cls(digest=digest.hexdigest(), count=digest.count)


class Seal(_Model):
    """What a namespace that was loaded must have: `points` with the floats of their payloads
    settled, so that it holds in every store, and `records` by kind."""

    points: Sealed
    records: dict[str, Sealed]


class Manifest(_Model):
    """`consistent` says whether nothing was written to the points while they were dumped; None
    where the store could not tell."""

    format: Literal["clone-pipeline archive"] = "clone-pipeline archive"
    version: int = VERSION
    created_at: str
    organization_id: str
    namespace_id: str
    namespace_name: str
    counts: dict[str, int]
    seal: Seal
    consistent: bool | None
    parts: Sequence[Part]

    def encode(self) -> bytes:
        document = self.model_dump(mode="json")
        for part in document["parts"]:
            if part["shard_key"] is None:
                del part["shard_key"]  # the first version does not know it
        return signed(document)

    def parts_of(self, file: str) -> list[Part]:
        """In the order of their lines."""
        return sorted((part for part in self.parts if part.file == file), key=lambda one: one.name)


def part_name(stem: str, piece: int, number: int, checksum: str) -> str:
    """Named by what it holds, so that no dump writes over another one's part."""
    return f"{stem}-{piece:05}-{number:05}-{checksum[:12]}.jsonl.zst"


def is_part(name: str) -> bool:
    return _NAME.fullmatch(name) is not None


def record_digest(document: dict[str, Any]) -> int:
    """What a record adds to the seal."""
    return int.from_bytes(blake2b(canonical(document), digest_size=16).digest(), "little")


def written(moment: datetime) -> str:
    return moment.isoformat().replace("+00:00", "Z")


def read_manifest(place: Place) -> Manifest:
    """The manifest of an archive, which is whole. Raises BundleError where there is none, where it
    is not as it was written, and for a part that it cannot have or that is not there."""
    stored = place.read(MANIFEST, MOST_BYTES)
    if stored is None:
        raise BundleError(f"is missing, so there is no archive at {place.address}", MANIFEST)
    manifest = parse_manifest(stored.data)
    sizes = place.sizes()
    for part in manifest.parts:
        if part.name not in sizes:
            raise BundleError("is missing", part.name)
        if sizes[part.name] != part.bytes:
            reason = f"has {sizes[part.name]} bytes, and {MANIFEST} says {part.bytes}"
            raise BundleError(f"is damaged: it {reason}", part.name)
    return manifest


def parse_manifest(data: bytes) -> Manifest:
    """What a manifest says, whether or not its parts are there. Raises BundleError."""
    try:
        document = json.loads(data)
        del document["sha256"]
        if document["format"] != FORMAT:
            raise ValueError
        version = document["version"]
    except (ValueError, TypeError, LookupError, AttributeError, RecursionError):
        raise BundleError("is damaged, or not that of an archive", MANIFEST) from None
    if version not in VERSIONS:
        known = " and ".join(map(str, VERSIONS))
        raise BundleError(
            f"is of version {version!r}, and this program reads versions {known}", MANIFEST
        )
    # Byte by byte: whatever was changed in it shows.
    if data != signed(document):
        raise BundleError("is damaged: it is not what its own checksum was made of", MANIFEST)
    _check_names(document.get("parts"))
    try:
        return Manifest.model_validate_json(json.dumps(document))
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        where = ".".join(map(str, first["loc"]))
        raise BundleError(f"is not usable: {where}: {first['msg']}", MANIFEST) from None


def _check_names(parts: Any) -> None:
    """Of a manifest that somebody has written by hand: none leads out of the archive."""
    seen = set()
    for part in parts if isinstance(parts, list) else ():
        name = part.get("name") if isinstance(part, dict) else None
        if not isinstance(name, str) or not is_part(name):
            shown = name if isinstance(name, str) else "a part without a name"
            raise BundleError(f"cannot be a part of an archive, and {MANIFEST} has it", shown)
        if name in seen:
            raise BundleError(f"stands twice in {MANIFEST}", name)
        seen.add(name)


def signed(document: dict[str, Any]) -> bytes:
    """The text of a manifest, which ends with the checksum of what stands before it."""
    checksum = sha256(encode_indented(document)).hexdigest()
    return encode_indented({**document, "sha256": checksum})
