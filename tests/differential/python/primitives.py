"""Locks, queues and the like, for the random programs: by number, made when they are first used."""

import asyncio

TOO_OFTEN = "ValueError"
NOT_HELD = "not held"


class BoundedSemaphore(asyncio.BoundedSemaphore):
    async def __aexit__(self, *_):
        # DIFFERS: a guard that is dropped has nobody to raise an error to.
        try:
            self.release()
        except ValueError:
            pass


class Made(dict):
    """Those of a kind."""

    def __init__(self, make):
        self.make = make

    def __missing__(self, number):
        self[number] = self.make(number)
        return self[number]


def look_at_lock(lock):
    return f"locked={lock.locked()}".lower()


def look_at_barrier(barrier):
    return f"parties={barrier.parties} n_waiting={barrier.n_waiting} broken={barrier.broken}".lower()


def look_at_queue(queue):
    return f"qsize={queue.qsize()} empty={queue.empty()} full={queue.full()}".lower()


class Primitives:
    def __init__(self):
        self.lock = Made(lambda _: asyncio.Lock())
        self.event = Made(lambda _: asyncio.Event())
        self.condition = Made(self.make_condition)
        self.semaphore = Made(lambda number: asyncio.Semaphore(value_of(number)))
        self.bounded = Made(lambda number: BoundedSemaphore(bound_of(number)))
        self.barrier = Made(lambda number: asyncio.Barrier(parties_of(number)))
        self.queue = Made(lambda number: order_of(number)(maxsize_of(number)))
        self.levels = {}

    def make_condition(self, number):
        lock = lock_of(number)
        return asyncio.Condition() if lock is None else asyncio.Condition(self.lock[lock])

    def print_primitives(self):
        for name, made, look in (
            ("lock", self.lock, look_at_lock),
            ("event", self.event, lambda event: f"is_set={event.is_set()}".lower()),
            ("condition", self.condition, look_at_lock),
            ("semaphore", self.semaphore, look_at_lock),
            ("bounded", self.bounded, look_at_lock),
            ("barrier", self.barrier, look_at_barrier),
            ("queue", self.queue, look_at_queue),
        ):
            for number, one in sorted(made.items()):
                self.print(f"{name} {number}: {look(one)}")

    async def try_acquire(self, semaphore):
        if semaphore.locked():
            return "locked"
        await semaphore.acquire()
        return "acquired"

    def release(self, semaphore):
        try:
            semaphore.release()
        except ValueError:
            return TOO_OFTEN
        return "released"

    async def wait_for_level(self, number, level):
        await self.condition[number].wait_for(lambda: self.levels.get(number, 0) >= level)
        return f"level {self.levels.get(number, 0)}"

    def notify(self, number, count, advance):
        condition = self.condition[number]
        if not condition.locked():
            return NOT_HELD
        if advance:
            self.levels[number] = self.levels.get(number, 0) + 1
        if count is None:
            condition.notify_all()
        else:
            condition.notify(count)
        return "notified"

    def put_nowait(self, queue, item):
        try:
            queue.put_nowait(item)
        except (asyncio.QueueFull, asyncio.QueueShutDown) as error:
            return type(error).__name__
        return "put"

    def get_nowait(self, queue):
        try:
            return queue.get_nowait()
        except (asyncio.QueueEmpty, asyncio.QueueShutDown) as error:
            return type(error).__name__

    def task_done(self, queue):
        try:
            queue.task_done()
        except ValueError:
            return TOO_OFTEN
        return "done"


