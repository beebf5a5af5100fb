"""What Dust adds to Flower."""

from typing import Any

from flower.app import Flower


class DustFlower(Flower):  # type: ignore[misc]
    """Flower with a Retry button."""

    def __init__(self, **settings: Any) -> None:
        super().__init__(**settings)
