# covers: CND-10, CND-05
# A cancelled wait() that is cancelled again while it re-acquires the lock goes on doing so, and raises the last error.
import asyncio
from tracelib import log, err


async def waiter(cond):
    async with cond:
        try:
            await cond.wait()
        except asyncio.CancelledError as e:
            log(err(e), "lock held", cond.locked(), "cancelling", asyncio.current_task().cancelling())
            raise


async def main():
    cond = asyncio.Condition()
    task = asyncio.create_task(waiter(cond))
    await asyncio.sleep(0.02)
    async with cond:
        for message in ("first", "second", "third"):
            task.cancel(message)
            await asyncio.sleep(0.02)
            log(message, "request, done", task.done())
    await asyncio.wait([task])
    log("cancelled", task.cancelled(), "lock free", not cond.locked())

    notified = asyncio.create_task(waiter(cond))
    await asyncio.sleep(0.02)
    async with cond:
        cond.notify()
        await asyncio.sleep(0.02)
        for message in ("fourth", "fifth"):
            notified.cancel(message)
            await asyncio.sleep(0.02)
            log(message, "request, done", notified.done())
    await asyncio.wait([notified])
    log("cancelled", notified.cancelled(), "lock free", not cond.locked())


asyncio.run(main())
