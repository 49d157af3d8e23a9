"""Why a target could not be told."""


class NotDelivered(Exception):
    """Its text follows the name of the target, and quotes nothing that may be secret. `passes`: it
    may go well a moment later."""

    def __init__(self, sentence: str, *, passes: bool = False) -> None:
        super().__init__(sentence)
        self.passes = passes
