# covers: QUE-05, QUE-07
# A getter or putter that is cancelled when it had been woken wakes the next; no item and no room is lost.
import asyncio
from tracelib import log, name


async def getter(label, q):
    try:
        log(label, "got", await q.get())
    except asyncio.CancelledError:
        log(label, "cancelled")
        raise


async def putter(label, q):
    try:
        await q.put("an item")
        log(label, "has put")
    except asyncio.CancelledError:
        log(label, "cancelled")
        raise


async def main():
    q = asyncio.Queue()
    a, b = (asyncio.create_task(getter(x, q)) for x in "ab")
    await asyncio.sleep(0.02)
    log("put, then cancel a, which was to get it")
    q.put_nowait("an item")
    a.cancel()
    await asyncio.wait([a, b])
    log("cancelled", a.cancelled(), b.cancelled(), "size", q.qsize())

    q = asyncio.Queue(1)
    q.put_nowait("the first")
    c, d = (asyncio.create_task(putter(x, q)) for x in "cd")
    await asyncio.sleep(0.02)
    log("get", q.get_nowait(), "then cancel c, which was to put")
    c.cancel()
    await asyncio.wait([c, d])
    log("cancelled", c.cancelled(), d.cancelled(), "size", q.qsize())
    q.task_done()
    q.task_done()
    try:
        q.task_done()
    except ValueError as e:
        log("done three times of two", name(e))


asyncio.run(main())
