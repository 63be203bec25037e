"""What the readers saw while others wrote, put together: no epoch is missed, goes back or is another."""

from __future__ import annotations

import dataclasses
import statistics
from collections.abc import Iterator, Mapping
from typing import Final

from mmsb.applications.flights.face import Bus
from mmsb.applications.flights.proofs import Proof

COMPARED: Final = 50
"""Epochs whose digests are compared with those of the past, at most."""


@dataclasses.dataclass(frozen=True)
class Look:
    """What a reader was told, and saw.

    It waited from `waited` on (ns, UTC), and at `seen` the watch told it of the epochs after `since` up to
    `epoch`. Then it took the newest state, of epoch `state`, in which `wrong` was not what the file says.
    """

    since: int
    epoch: int
    waited: int
    seen: int
    state: int
    digest: str
    wrong: list[str]


@dataclasses.dataclass(frozen=True)
class Seen:
    """All looks of one reader, and how it ended."""

    looks: list[Look]
    status: int
    complaints: str

    def faults(self, start: int, last: int) -> Iterator[str]:
        """What is wrong with it, if it should have seen the epochs after `start` up to `last`."""
        told = newest = start
        for look in self.looks:
            yield from (f"epoch {look.state}: {column}" for column in look.wrong)
            if look.since != told or look.epoch <= told:
                yield f"epochs {look.since + 1} to {look.epoch} were told of after epoch {told}"
            if look.state < max(newest, look.epoch):
                yield f"epoch {look.state} was seen after epoch {max(newest, look.epoch)}"
            told, newest = look.epoch, look.state
        if told != last:
            yield f"the last epoch that was told of is {told}, not {last}"
        if self.status:
            yield f"a reader ended with {self.status}: {self.complaints.strip()[-1000:]}"

    def delays(self, times: Mapping[int, int]) -> list[int]:
        """How many ns after they were committed it was told of epochs that came while it waited."""
        of_newest = ((look, times[look.epoch]) for look in self.looks if look.epoch in times)
        return [look.seen - time for look, time in of_newest if time > look.waited]


def followed(bus: Bus, all_seen: list[Seen], times: Mapping[int, int], start: int, killed: int) -> Proof:
    """Every reader followed both writers, and what it saw is what it was; `times` are those of the commits.

    The minutes begin after epoch `start`, and `killed` is the one that survived the first writer.
    """
    wrong = [fault for seen in all_seen for fault in seen.faults(start, max(times))]
    digests: dict[int, set[str]] = {}
    for seen in all_seen:
        for look in seen.looks:
            digests.setdefault(look.state, set()).add(look.digest)
    wrong += [f"epoch {epoch} was seen in {len(of)} states" for epoch, of in digests.items() if len(of) > 1]
    wrong += [f"epoch {epoch} was seen and is not in the log" for epoch in digests.keys() - times.keys()]
    epochs = sorted(digests.keys() & times.keys())
    compared = epochs[:: -(-len(epochs) // COMPARED) or 1]
    for epoch in compared:
        if {bus.at(epoch).digest()} != digests[epoch]:
            wrong.append(f"epoch {epoch} was not what was seen of it")
    delays = [delay for seen in all_seen for delay in seen.delays(times)]
    updates = [len(seen.looks) for seen in all_seen]
    figure = (
        f"{max(times) - start:,} epochs told to each, in {_listed(updates)} updates, and the state checked "
    )
    figure += f"at each of these; {len(compared)} once more in the past"
    median = statistics.median(delays) if delays else None
    if median is not None:
        figure += (
            f"; told {median / 1e6:.2f} ms after the commit, the median of the {len(delays):,} waited for"
        )
    return Proof(
        claim=f"{len(all_seen)} processes follow both writers live, and all they see is what the file says",
        holds=not wrong,
        figure=wrong[0] if wrong else figure,
        details={
            "wrong": wrong,
            "epochs": max(times) - start,
            "updates": updates,
            "of_several_epochs": [sum(look.epoch - look.since > 1 for look in s.looks) for s in all_seen],
            "before_the_kill": [sum(look.state <= killed for look in seen.looks) for seen in all_seen],
            "compared": len(compared),
            "seen_after_ns": median,
            "waited_for": len(delays),
        },
    )


def _listed(counts: list[int]) -> str:
    *most, last = (f"{count:,}" for count in counts)
    return f"{', '.join(most)} and {last}" if most else last
