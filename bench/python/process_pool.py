"""The process-pool rows on CPython: concurrent.futures' pool, used directly or through asyncio.

Arguments: the way (futures or asyncio), the work, the number of processes, and the work's numbers. Prints "ready" when
the processes are started and warm, does the work when a line comes in, and prints the nanoseconds it took; the latency
row adds those of each call. Whoever started it reads the CPU time of all processes before and after.
"""

import asyncio
import collections
import multiprocessing
import sys
import time
from concurrent.futures import ProcessPoolExecutor

MIB = 1 << 20


def same(value):
    return value


def nap(seconds):
    time.sleep(seconds)


class Futures:
    """The pool's own futures."""

    def __init__(self, pool, processes):
        self.pool, self.window = pool, 2 * processes

    def calls(self, rounds, calls):
        for _ in range(rounds):
            futures = [self.pool.submit(same, n) for n in range(calls)]
            for future in futures:
                future.result()

    def map(self, items, chunk):
        for _ in self.pool.map(same, range(items), chunksize=chunk):
            pass

    def one(self, calls):
        latencies = []
        for n in range(calls):
            start = time.perf_counter_ns()
            self.pool.submit(same, n).result()
            latencies.append(time.perf_counter_ns() - start)
        return latencies

    def bytes(self, function, calls):
        argument = bytes(MIB)
        futures = collections.deque()
        for _ in range(calls):
            if len(futures) == self.window:
                futures.popleft().result()
            futures.append(self.pool.submit(function, argument))
        for future in futures:
            future.result()


class Asyncio:
    """The same through a loop's run_in_executor; map is the pool's own."""

    def __init__(self, pool, processes, runner):
        self.pool, self.window, self.runner = pool, 2 * processes, runner

    def calls(self, rounds, calls):
        async def body():
            run = asyncio.get_running_loop().run_in_executor
            for _ in range(rounds):
                await asyncio.gather(*[run(self.pool, same, n) for n in range(calls)])

        self.runner.run(body())

    def map(self, items, chunk):
        Futures.map(self, items, chunk)

    def one(self, calls):
        async def body():
            run = asyncio.get_running_loop().run_in_executor
            latencies = []
            for n in range(calls):
                start = time.perf_counter_ns()
                await run(self.pool, same, n)
                latencies.append(time.perf_counter_ns() - start)
            return latencies

        return self.runner.run(body())

    def bytes(self, function, calls):
        argument = bytes(MIB)

        async def client(calls):
            run = asyncio.get_running_loop().run_in_executor
            for _ in range(calls):
                await run(self.pool, function, argument)

        async def body():
            await asyncio.gather(*[client(calls // self.window) for _ in range(self.window)])

        self.runner.run(body())


def work(user, name, numbers):
    match name:
        case "calls":
            return user.calls(*numbers)
        case "map":
            return user.map(*numbers)
        case "one":
            return user.one(*numbers)
        case "bytes":
            return user.bytes(len, *numbers)
        case "bytes_both":
            return user.bytes(same, *numbers)


def timed(body):
    """Does it when a line comes in, and leaves everything as it is until the next one."""
    print("ready", flush=True)
    sys.stdin.readline()
    start = time.perf_counter_ns()
    latencies = body()
    total = time.perf_counter_ns() - start
    print(total, *(latencies or []), flush=True)
    sys.stdin.readline()


def start(method, processes):
    pools = []

    def body():
        context = multiprocessing.get_context(method)
        pools.append(ProcessPoolExecutor(processes, mp_context=context))
        pools[0].submit(same, 1).result()

    timed(body)
    pools[0].shutdown()


def main():
    way, name, processes, *numbers = sys.argv[1:]
    processes = int(processes)
    if name in ("spawn", "forkserver"):
        start(name, processes)
        return
    # The timed numbers, then as many for the warm-up.
    numbers = [int(number) for number in numbers]
    half = len(numbers) // 2
    with ProcessPoolExecutor(processes) as pool, asyncio.Runner() as runner:
        user = Futures(pool, processes) if way == "futures" else Asyncio(pool, processes, runner)
        # Long enough for each process to be started and to take one of them.
        list(pool.map(nap, [0.1] * processes))
        work(user, name, numbers[half:])
        timed(lambda: work(user, name, numbers[:half]))


if __name__ == "__main__":
    main()
