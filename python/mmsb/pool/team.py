"""The workers of a run: started, given tasks in turn, listened to, and ended whatever happens."""

import pickle
import signal
from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from multiprocessing import get_context
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from typing import Any, Literal

from mmsb.errors import InvalidArgument, MmsbError
from mmsb.pool.delta import Delta, arrived, shared
from mmsb.pool.worker import Done, Failed, Job, work

Start = Literal["spawn", "forkserver"]

_BATCHES = 8
"""Into how many parts a worker's share is cut, so that those that are done early take more of them."""

_GRACE_S = 5.0
"""How long a worker that has nothing more to do may take to end, before it is killed."""


class WorkerDied(MmsbError, BrokenProcessPool):
    """A worker of `mmsb.run` came to its end in a task, which the message names. Nothing was committed."""


class Worker:
    """A process, the numbers of the tasks that it was given, and what it said of those that it has done."""

    def __init__(self, process: BaseProcess, pipe: Connection) -> None:
        self.process, self.pipe = process, pipe
        self.ready = False
        self.tasks: deque[int] = deque()
        self.done: list[tuple[int, Done]] = []

    def heard(self) -> Done | Failed | None:
        """What it says next, waiting for it; raises `EOFError` where it is gone."""
        try:
            said: Done | Failed | None = self.pipe.recv()
        except ConnectionResetError:
            raise EOFError from None
        return said

    def deltas(self) -> list[tuple[int, list[Delta]]]:
        """What the tasks change that it has done; raises `EOFError` where it is gone and its file with it."""
        if not self.done:
            return []
        try:
            block = shared(self.process.pid or 0, *self.done[-1][1].file)
        except FileNotFoundError:
            raise EOFError from None
        made = [(number, arrived(done.deltas, block)) for number, done in self.done]
        self.done.clear()
        return made

    def kill(self) -> None:
        """Ends it at once, if it was started."""
        if self.process.pid is not None:
            self.process.kill()

    def close(self) -> None:
        """Waits until it is gone, and kills it where that takes long."""
        if self.process.pid is not None:
            self.process.join(_GRACE_S)
            self.process.kill()
            self.process.join()
        self.process.close()

    def end(self) -> str:
        """How it came to its end."""
        self.process.join()
        code = self.process.exitcode or 0
        if code < 0:
            names = {int(one): one.name for one in signal.Signals}
            return f"was killed by {names.get(-code, f'signal {-code}')}"
        return f"ended with exit code {code}"


@contextmanager
def team(job: Job, count: int, start: Start) -> Iterator[list[Worker]]:
    """Workers, which are gone after the block."""
    context = get_context("spawn") if start == "spawn" else get_context("forkserver")
    workers: list[Worker] = []
    try:
        for _ in range(count):
            near, far = context.Pipe()
            process = context.Process(target=work, args=(far, job), daemon=True)
            # Before it starts, for whoever is interrupted in between.
            workers.append(Worker(process, near))
            try:
                process.start()
            finally:
                # Its end is to be the only one, so that it is seen when it goes.
                far.close()
        yield workers
    except BaseException:
        for worker in workers:
            worker.kill()
        raise
    finally:
        for worker in workers:
            # Nobody gives it more to do, so it ends.
            worker.pipe.close()
        for worker in workers:
            worker.close()


class Round:
    """Has workers run tasks, and tells what each changes in the order of the tasks."""

    def __init__(self, workers: Sequence[Worker], tasks: Sequence[Any]) -> None:
        self.workers, self.tasks = workers, tasks
        self.batch = max(1, len(tasks) // (_BATCHES * len(workers)))
        self.given = 0
        """How many tasks were given to a worker; none more after one failed."""
        self.done: dict[int, list[Delta] | BaseException] = {}

    def run(self) -> Iterator[list[Delta]]:
        """The deltas of each task; raises what the first one that failed raised."""
        for number in range(len(self.tasks)):
            while number not in self.done:
                self._give()
                self._listen()
            outcome = self.done.pop(number)
            if isinstance(outcome, BaseException):
                try:
                    raise outcome
                finally:
                    # Else it holds this frame, which holds it, with all that waits to be committed.
                    del outcome
                    self.done.clear()
            yield outcome

    def _give(self) -> None:
        """Gives tasks to those who have none."""
        for worker in self.workers:
            if worker.ready and not worker.tasks and self.given < len(self.tasks):
                numbers = range(self.given, min(self.given + self.batch, len(self.tasks)))
                said = self._pickled(numbers)
                self.given = numbers.stop
                worker.tasks.extend(numbers)
                try:
                    worker.pipe.send_bytes(said)
                except (BrokenPipeError, ConnectionResetError):
                    self._died(worker)

    def _pickled(self, numbers: range) -> bytes:
        try:
            return pickle.dumps([self.tasks[number] for number in numbers])
        except Exception as error:
            where = f"task {numbers[0]}" if len(numbers) == 1 else f"tasks {numbers[0]} to {numbers[-1]}"
            raise InvalidArgument(f"{where}: a worker cannot be told it: {error}") from error

    def _listen(self) -> None:
        """Waits until some say something, or are gone, and takes it down."""
        busy = [worker for worker in self.workers if worker.tasks or not worker.ready]
        heard = wait([end for worker in busy for end in (worker.pipe, worker.process.sentinel)])
        for worker in busy:
            try:
                # Also of one that is gone: what it said before counts.
                while worker.pipe.poll():
                    self._take(worker, worker.heard())
            except EOFError:
                self._died(worker)
                continue
            if worker.process.sentinel in heard:
                self._died(worker)

    def _take(self, worker: Worker, said: Done | Failed | None) -> None:
        if isinstance(said, Done):
            worker.done.append((worker.tasks.popleft(), said))
            if not worker.tasks:
                self.done.update(worker.deltas())
        elif isinstance(said, Failed):
            if not worker.ready:
                raise said.error
            self.done.update(worker.deltas())
            said.error.add_note(f"in task {worker.tasks[0]} of {len(self.tasks)}; nothing was committed")
            self._fail(worker, worker.tasks[0], said.error)
        worker.ready = True

    def _died(self, worker: Worker) -> None:
        if worker.ready and not worker.tasks and not worker.done:
            # It had done all it was given; what it is given next is what it dies of.
            return
        who = f"worker {worker.process.pid} {worker.end()}"
        if not worker.ready:
            raise WorkerDied(
                f"{who} before it had a task: a program that starts workers does so under "
                "`if __name__ == '__main__':`, since each of them imports it"
            )
        where = f"in task {worker.tasks[0]}" if worker.tasks else f"behind task {worker.done[-1][0]}"
        # What it had done before is gone with it.
        lost = worker.done[0][0] if worker.done else worker.tasks[0]
        self._fail(worker, lost, WorkerDied(f"{who} {where} of {len(self.tasks)}; nothing was committed"))

    def _fail(self, worker: Worker, number: int, error: BaseException) -> None:
        """Takes down that a task failed. Those before it go on, since one of them may fail too."""
        self.done[number] = error
        worker.tasks.clear()
        worker.done.clear()
        self.given = len(self.tasks)
