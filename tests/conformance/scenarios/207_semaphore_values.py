# covers: SEM-05, SEM-06, SEM-07
# A semaphore may begin with nothing and grow; so many releases in one step wake so many waiters; a bounded one never grows.
import asyncio
from tracelib import log, name


async def waiter(label, sem):
    await sem.acquire()
    log(label, "has a permit")


async def main():
    sem = asyncio.Semaphore(0)
    log("locked", sem.locked())
    tasks = [asyncio.create_task(waiter(x, sem)) for x in "abcd"]
    await asyncio.sleep(0.02)
    for _ in range(3):
        sem.release()
    await asyncio.sleep(0.02)
    log("released 3, ended", sum(t.done() for t in tasks), "locked", sem.locked())
    sem.release()
    sem.release()
    await asyncio.wait(tasks)
    log("released 2, locked", sem.locked())
    await sem.acquire()
    log("acquired, locked", sem.locked())

    bounded = asyncio.BoundedSemaphore(1)
    await bounded.acquire()
    bounded.release()
    try:
        bounded.release()
    except ValueError as e:
        log("bounded", name(e))
    await bounded.acquire()
    log("bounded, acquired, locked", bounded.locked())


asyncio.run(main())
