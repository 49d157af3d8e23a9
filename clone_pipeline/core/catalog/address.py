"""Where a catalog is: what CATALOG_URL may say, checked before anything is opened."""

from __future__ import annotations

from pathlib import Path

from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError

from ..errors import InvalidRequest

# SQLAlchemy 2.0 and 2.1 disagree on the driver that a bare scheme means, and the catalog uses what
# only these offer: another one would fail half-way, or keep less than it says.
_DRIVERS = {
    "postgres": "postgresql+psycopg",
    "postgresql": "postgresql+psycopg",
    "postgresql+psycopg": "postgresql+psycopg",
    "sqlite": "sqlite+pysqlite",
    "sqlite+pysqlite": "sqlite+pysqlite",
}


def parse(address: str | Path, said: str = "CATALOG_URL") -> URL:
    """The URL of an address as text, or of a SQLite file; `said` is what errors call it. Raises
    InvalidRequest."""
    if isinstance(address, Path):
        # Not through text: a path may hold what means something else in a URL.
        return URL.create("sqlite+pysqlite", database=str(address.absolute()))
    try:
        url = make_url(address)
    except (ArgumentError, ValueError):  # a port that is no number is a plain ValueError
        raise InvalidRequest(
            f"{said} is not a database URL; write e.g. postgresql://host:5432/name."
        ) from None
    driver = _DRIVERS.get(url.drivername)
    if driver is None:
        raise InvalidRequest(_wrong_driver(url, said))
    url = url.set(drivername=driver)
    if driver == "sqlite+pysqlite":
        _check_sqlite(url, address, said)
    else:
        _check_login(address, said)
        _check_options(url, said)
    return url


def _wrong_driver(url: URL, said: str) -> str:
    database, _, driver = url.drivername.partition("+")
    if driver and database in _DRIVERS:
        return (
            f"{said} asks for the driver {driver}, which is not used here; write "
            f"{database}:// instead."
        )
    return f"{said} names {database}; PostgreSQL and SQLite are supported."


def _check_sqlite(url: URL, address: str, said: str) -> None:
    if (url.database or ":").startswith((":", "file:")):
        # Every process and every connection must see the same one.
        raise InvalidRequest(f"{said} must name a SQLite file; write sqlite:////path/to/file.")
    if "?" in address:
        # Cut off there, the path would name another file.
        raise InvalidRequest(
            f"{said} takes no options after a SQLite file; write a `?` in its path as %3F, and "
            "a `%` as %25."
        )


def _check_login(address: str, said: str) -> None:
    """What stands before the last `@` would else be taken for the host, which errors quote."""
    if address.count("@") > 1:
        raise InvalidRequest(f"{said} has several `@`: write those in a name or a password as %40.")


def _check_options(url: URL, said: str) -> None:
    """Only what PostgreSQL's own library knows: the driver's other options change how it works."""
    from psycopg import ProgrammingError
    from psycopg.conninfo import make_conninfo

    given = {
        key: value if isinstance(value, str) else ",".join(value)
        for key, value in url.query.items()
    }
    try:
        make_conninfo("", **given)
    except ProgrammingError:
        raise InvalidRequest(
            f"{said} has an option that PostgreSQL does not know among {', '.join(given)}."
        ) from None
