"""Who asks for the work, and what that one may touch."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, Literal

from .errors import Forbidden

Role = Literal["admin", "member", "read"]
ROLES: tuple[Role, ...] = ("admin", "member", "read")


@dataclass(frozen=True)
class Principal:
    """An API key's holder. `organization_id` None is the local operator: whoever has the embedded
    stores' folder is admin of every organization in it."""

    organization_id: str | None
    role: Role
    key_id: str | None

    def may_write(self) -> bool:
        return self.role != "read"

    def may_read(self, organization_id: str | None) -> bool:
        """Whether that organization's namespaces exist for the principal at all; None stands for
        all organizations. Where this is False the answer is *not found*, never *forbidden*."""
        if self.organization_id in (None, organization_id):
            return True
        return organization_id is not None and self.role == "admin"

    def to_json(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_json(cls, values: dict[str, Any]) -> Principal:
        return cls(**values)


LOCAL_OPERATOR = Principal(organization_id=None, role="admin", key_id=None)


def require_writer(principal: Principal) -> None:
    """Raises Forbidden."""
    if not principal.may_write():
        raise Forbidden(f"A key with role {principal.role!r} may look, but not change anything.")
