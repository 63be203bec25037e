"""A pool for compute: processes look at pages without copying them, and what they find is one commit."""

from mmsb.pool.running import Ran, run
from mmsb.pool.task import Out, Views
from mmsb.pool.team import WorkerDied

__all__ = ["Out", "Ran", "Views", "WorkerDied", "run"]
