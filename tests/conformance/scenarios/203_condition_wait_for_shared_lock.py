# covers: CND-07, CND-09
# wait_for() waits until the predicate holds and gives its value; of two conditions on one lock, each wakes its own waiters.
import asyncio
from tracelib import log


async def drinker(label, filled, emptied, thirst):
    async with filled:
        level = await filled.wait_for(lambda: tank.level if tank.level >= thirst else 0)
        log(label, "drinks", thirst, "of", level, "lock held", filled.locked())
        tank.level -= thirst
        emptied.notify()


async def watcher(emptied):
    async with emptied:
        await emptied.wait()
        log("watcher told, level", tank.level)


class tank:
    level = 0


async def main():
    lock = asyncio.Lock()
    filled, emptied = asyncio.Condition(lock), asyncio.Condition(lock)
    a = asyncio.create_task(drinker("a", filled, emptied, 3))
    b = asyncio.create_task(drinker("b", filled, emptied, 5))
    w = asyncio.create_task(watcher(emptied))
    await asyncio.sleep(0.02)
    for amount in (1, 3, 4):
        async with lock:
            tank.level += amount
            log("filled up to", tank.level)
            filled.notify_all()
        await asyncio.sleep(0.02)
        log("done", a.done(), b.done(), w.done())
    async with filled:
        log("at once", await filled.wait_for(lambda: "true already"))


asyncio.run(main())
