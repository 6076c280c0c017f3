"""What the random programs use: a loop on a virtual clock, the trace, and short forms of asyncio's calls.

Where CPython leaves an order open (it iterates over sets), it is made that of creation here; where kumihimo differs from
asyncio on purpose, "DIFFERS" says so.
"""

import asyncio
import asyncio.base_events
import sys
import traceback
import warnings

warnings.simplefilter("ignore")
sys.unraisablehook = lambda *_: None
asyncio.base_events.logger.disabled = True


class E(Exception):
    pass


class Panic(BaseException):
    """DIFFERS: a panic is Rust's. Like CancelledError it passes every `except Exception`."""


class OrderedSet(dict):
    def __init__(self, items=()):
        super().__init__((item, None) for item in items)

    def add(self, item):
        self[item] = None

    def discard(self, item):
        self.pop(item, None)

    remove = discard


asyncio.tasks.set = OrderedSet
asyncio.taskgroups.set = OrderedSet


class AsCompleted(asyncio.tasks._AsCompletedIterator):
    def __init__(self, tasks, timeout):
        super().__init__((), timeout)
        todo = OrderedSet(tasks)
        for task in todo:
            task.add_done_callback(self._handle_completion)
        if timeout is not None:
            self._timeout_handle = asyncio.get_running_loop().call_later(timeout, self._handle_timeout)
        self._todo = todo
        self._todo_left = len(todo)


class Failed:
    """A group's task, as the group sees it: with its error."""

    def __init__(self, task, error):
        self.task, self.error = task, error

    def __hash__(self):
        return hash(self.task)

    def __eq__(self, other):
        return other is self.task

    def cancelled(self):
        return False

    def exception(self):
        return self.error


class Group(asyncio.TaskGroup):
    def __init__(self):
        super().__init__()
        self.failed = {}

    def create_task(self, coroutine):
        # DIFFERS: in kumihimo a task's error goes to the group, and whoever awaits the task is cancelled.
        async def child():
            try:
                return await coroutine
            except Exception as error:
                self.failed[asyncio.current_task()] = error
                raise asyncio.CancelledError("ERROR_WENT_TO_GROUP")

        return super().create_task(child())

    def _on_task_done(self, task):
        super()._on_task_done(Failed(task, self.failed[task]) if task in self.failed else task)

    async def __aexit__(self, *exc):
        try:
            return await super().__aexit__(*exc)
        except BaseExceptionGroup as group:
            # DIFFERS: kumihimo lets the first panic go on by itself.
            for error in group.exceptions:
                if isinstance(error, Panic):
                    raise error from None
            raise


class VirtualLoop(asyncio.base_events.BaseEventLoop):
    def __init__(self):
        super().__init__()
        self.now = 0.0
        self._selector = self
        self._clock_resolution = 1e-9
        self.set_exception_handler(lambda *_: None)

    def time(self):
        return self.now

    def select(self, timeout):
        if timeout is None:
            raise RuntimeError("nothing is left to wait for")
        if timeout > 0:
            self.now = self._scheduled[0]._when
        return []

    def _process_events(self, events):
        pass

    def _write_to_self(self):
        pass


def show(value):
    match value:
        case asyncio.CancelledError():
            return f"Cancelled({value.args[0] if value.args else ''})"
        case TimeoutError() | asyncio.BrokenBarrierError() | asyncio.QueueShutDown():
            return type(value).__name__
        case BaseExceptionGroup():
            return f"Group[{', '.join(map(show, value.exceptions))}]"
        case BaseException():
            return f"{type(value).__name__}({value.args[0]})"
        case list():
            return f"[{', '.join(map(show, value))}]"
        case _:
            return str(value)


class At:
    """A statement: logs its result, or how it was left."""

    def __init__(self, log):
        self.log = log

    def __enter__(self):
        return self.log

    def __exit__(self, kind, error, trace):
        if isinstance(error, Exception):
            self.log(error)
        elif error is not None:
            self.log("unwound")


async def as_task(coroutine):
    """DIFFERS: in kumihimo an error is a value, so a request that was not delivered replaces it too."""
    try:
        return await coroutine
    except Exception:
        if not asyncio.current_task()._must_cancel:
            raise


async def not_there():
    return "not there"


async def refused():
    raise TimeoutError


async def value(coroutine):
    try:
        return await coroutine
    except Exception as error:
        return error


class World(Primitives):
    def __init__(self):
        super().__init__()
        self.loop = asyncio.get_running_loop()
        self.trace = []
        self.closed = False
        self.tasks = {}
        self.spawned = set()
        self.groups = {}
        self.made = {}

    def print(self, text):
        if not self.closed:
            self.trace.append(f"{round(self.loop.time() * 1e6):>9} {text}")

    def begin(self, who):
        self.tasks.setdefault(who, asyncio.current_task())
        self.print(f"t{who} begin")

        def at(number):
            return At(lambda *parts: self.print(f"t{who} #{number} {' '.join(map(show, parts))}"))

        return at

    def end(self, who):
        self.print(f"t{who} end")
        return who

    def cancelling(self):
        return f"cancelling={asyncio.current_task().cancelling()}"

    def name(self, task):
        return f"t{min(who for who, other in self.tasks.items() if other is task)}"

    def find(self, *sources):
        found = (self.tasks.get(s) if isinstance(s, int) else as_task(s()) for s in sources)
        return [s for s in found if s is not None]

    def spawn(self, who, coroutine, group=None):
        try:
            if group is None:
                self.tasks[who] = asyncio.create_task(as_task(coroutine))
            else:
                self.tasks[who] = self.groups[group].create_task(coroutine)
        except (KeyError, RuntimeError):
            coroutine.close()
            return "no group"
        self.spawned.add(who)
        return f"t{who}"

    def cancel(self, who, message=None):
        return str(self.tasks[who].cancel(message)).lower() if who in self.tasks else "not there"

    def uncancel(self, who):
        return self.tasks[who].uncancel() if who in self.tasks else "not there"

    def look(self, who):
        if who not in self.tasks:
            return "not there"
        task = self.tasks[who]
        done, cancelled = str(task.done()).lower(), str(task.cancelled()).lower()
        return f"done={done} cancelled={cancelled} cancelling={task.cancelling()}"

    def task(self, who):
        return self.tasks[who] if who in self.tasks else not_there()

    def wait_for(self, source, delay):
        if delay == 0 and not isinstance(source, int):
            # DIFFERS: kumihimo drops what is no task at once; asyncio makes a task, and cancels that.
            return refused()
        found = self.find(source) if isinstance(source, int) else [source()]
        return asyncio.wait_for(*found, delay) if found else not_there()

    def shield(self, source):
        found = self.find(source)
        return asyncio.shield(*found) if found else not_there()

    def gather(self, *sources, values=False, return_exceptions=False):
        found = self.find(*sources)
        if values:
            found = map(value, found)
        return asyncio.gather(*found, return_exceptions=return_exceptions) if found else not_there()

    def make(self, number, *sources, **how):
        if not self.find(*(s for s in sources if isinstance(s, int))) and all(isinstance(s, int) for s in sources):
            return "not there"
        self.made[number] = self.gather(*sources, **how)
        return "made"

    def take(self, number):
        return self.made.pop(number) if number in self.made else not_there()

    def cancel_made(self, number, message=None):
        return str(self.made[number].cancel(message)).lower() if number in self.made else "not there"

    async def wait(self, tasks, **how):
        found = self.find(*tasks)
        if not found:
            return "not there"
        done, pending = await asyncio.wait(found, **how)
        return f"done {[*map(Name, map(self.name, done))]} pending {[*map(Name, map(self.name, pending))]}"

    async def as_completed(self, log, tasks, timeout=None):
        found = self.find(*tasks)
        if not found:
            return "not there"
        async for task in AsCompleted(found, timeout):
            try:
                result = await task
            except BaseException as error:
                result = error
            log(self.name(task), result)
        return "ok"

    def reschedule(self, timeout, delay):
        if timeout.expired():
            return "expired"
        timeout.reschedule(None if delay is None else self.loop.time() + delay)
        return "rescheduled"

    def print_states(self):
        for who, task in sorted(self.tasks.items()):
            if not task.done():
                state = "pending"
            elif task.cancelled():
                state = "cancelled"
            elif who not in self.spawned:
                state = "done"
            else:
                state = show(task.exception() or task.result())
            self.print(f"t{who}: {state} cancelling={task.cancelling()}")
        self.print_primitives()

    def cancel_all(self):
        left = [(who, task) for who, task in sorted(self.tasks.items()) if not task.done()]
        for who, task in left:
            self.print(f"cancel t{who}: {str(task.cancel()).lower()}")
        return left


class Name(str):
    __repr__ = str.__str__


def run(number, program):
    world = None

    async def main():
        nonlocal world
        world = World()
        world.spawn(0, program(world))
        await asyncio.sleep(END)
        world.print_states()
        for _ in range(ROUNDS):
            if not world.cancel_all():
                break
            await asyncio.sleep(END)
            world.print_states()

    loop = VirtualLoop()
    try:
        loop.run_until_complete(main())
    except BaseException:
        print(f"program {number} on the virtual clock:", file=sys.stderr)
        traceback.print_exc()
        sys.exit(1)
    finally:
        world.closed = True
        loop.close()
    print(f"=== {number}")
    print("\n".join(world.trace))


for number, source in enumerate(sys.stdin.read().split("\f")):
    exec(source)
    run(number, program)
