"""Why no less was reached: what is told of a target that was missed, once a full run has established it."""

REASONS: dict[str, str] = {}
"""By a number's workload and what it is: `chain: chain, functions, Rust`."""


def floor(workload: str, what: str) -> str:
    """Why no less was reached; nothing where that is not established."""
    return REASONS.get(f"{workload}: {what}", "")
