# covers: LCK-05, LCK-08
# A lock has no owner: any task may release it. It is not reentrant: who holds it and asks again waits like others.
import asyncio
from tracelib import log


async def releaser(lock):
    await asyncio.sleep(0.06)
    log("another task releases")
    lock.release()


async def main():
    lock = asyncio.Lock()
    await lock.acquire()
    task = asyncio.create_task(releaser(lock))
    try:
        async with asyncio.timeout(0.02):
            await lock.acquire()
    except TimeoutError:
        log("main holds it and waits for it")
    log("locked", lock.locked())
    await lock.acquire()
    log("main has it again, locked", lock.locked())
    lock.release()
    await task
    log("locked", lock.locked())


asyncio.run(main())
