"""A namespace as an archive: a bundle in parts, compressed and sealed, in S3 or a folder."""

from .address import is_address, open_place
from .dump import Dumped, dump_archive
from .load import load_archive
from .manifest import read_manifest
from .place import Place
from .remove import remove_archive, remove_unfinished
from .seal import read_back

__all__ = [
    "Dumped",
    "Place",
    "dump_archive",
    "is_address",
    "load_archive",
    "open_place",
    "read_back",
    "read_manifest",
    "remove_archive",
    "remove_unfinished",
]
