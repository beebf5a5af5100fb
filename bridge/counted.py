"""Numbers of things in sentences."""


def counted(number: int, thing: str) -> str:
    """Return the number with its thing: `1 point`, `1,200 points`."""
    return f"{number:,} {thing}{'' if abs(number) == 1 else 's'}"


def points(number: int) -> str:
    return counted(number, "point")
