"""All rows of a party."""

from processes import opened, seen, together
from processes.party import Party


def measured(party: Party) -> None:
    """Adds all its cases."""
    seen.measured(party)
    if party.serves:
        together.measured(party)
        opened.measured(party)
