# covers: BAR-05, BAR-07, BAR-09
# Who arrives while a round is leaving waits for the next one; a cancelled waiter leaves without breaking the barrier.
import asyncio
from tracelib import log


async def party(label, delay, barrier):
    await asyncio.sleep(delay)
    log(label, "goes on as number", await barrier.wait())


async def main():
    barrier = asyncio.Barrier(3)
    parties = [("a", 0.02), ("b", 0.04), ("c", 0.1), ("d", 0.12)]
    tasks = [asyncio.create_task(party(label, delay, barrier)) for label, delay in parties]
    await asyncio.sleep(0.06)
    log("main goes on as number", await barrier.wait())
    log("main goes on as number", await barrier.wait())
    await asyncio.wait(tasks)

    barrier = asyncio.Barrier(2)
    x = asyncio.create_task(party("x", 0.02, barrier))
    await asyncio.sleep(0.04)
    log("waiting", barrier.n_waiting)
    x.cancel()
    await asyncio.wait([x])
    log("x cancelled", x.cancelled(), "waiting", barrier.n_waiting, "broken", barrier.broken)
    y = asyncio.create_task(party("y", 0.02, barrier))
    await asyncio.sleep(0.04)
    log("waiting", barrier.n_waiting)
    log("main goes on as number", await barrier.wait())
    await y
    try:
        asyncio.Barrier(0)
    except ValueError:
        log("nobody can meet nobody")


asyncio.run(main())
