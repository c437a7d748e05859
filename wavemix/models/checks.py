"""Decides how a wrong constructor argument is named; does not know what it is for."""


def at_least_1(**numbers: int | None) -> None:
    """Refuse numbers below 1 by their names; None stands for a default.

    Raises:
        ValueError: For the first one.
    """
    for name, number in numbers.items():
        if number is not None and number < 1:
            raise ValueError(f"{name} must be at least 1, got {number}")
