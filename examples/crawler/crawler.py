"""Crawls a site that it serves itself: a limit on requests at once, time-outs, retries, and a clean Ctrl-C.
Run it with `python3 crawler.py --help`. `main.rs` beside it is the same in Rust."""

import argparse
import asyncio
import re
import sys
import time
from collections import deque

# Seconds to wait before each attempt to get a page.
BACK_OFF = [0, 0.1, 0.2]


async def answer(reader, writer, pages, failed):
    """The site. Its pages link to each other; some never answer, some are slow, some fail at first."""
    try:
        request = (await reader.readline()).decode()
        page = int(re.split("[/ ]", request)[2] or 0)
        silent, slow = page % 11 == 10, page % 7 == 3
        await asyncio.sleep(3600 if silent else 0.1 * slow)
        fails = page % 5 == 4 and page not in failed
        failed.add(page)
        status = "503 Service Unavailable" if fails else "200 OK"
        links = [f'<a href="/{link}">\n' for link in range(2 * page + 1, min(2 * page + 5, pages))]
        writer.write(f"HTTP/1.1 {status}\r\n\r\n{''.join(links)}".encode())
        await writer.drain()
    except (OSError, ValueError, IndexError):
        pass  # The client left, or sent something else than a request.
    finally:
        writer.close()


async def get(site, page):
    """Requests a page, and gives the links on it."""
    reader, writer = await asyncio.open_connection(*site)
    try:
        writer.write(f"GET /{page} HTTP/1.1\r\nHost: {site[0]}\r\n\r\n".encode())
        await writer.drain()
        response = (await reader.read()).decode()
    finally:
        writer.close()
        await writer.wait_closed()
    status, _, body = response.partition("\r\n")
    if not status.endswith(" 200 OK"):
        raise OSError(status or "the connection was closed")
    return [int(link) for link in re.findall(r'"/(\d+)"', body)]


async def visit(site, page, limit):
    """Requests a page until it answers, but not for ever. Gives its links, and the errors on the way."""
    errors = []
    for back_off in BACK_OFF:
        await asyncio.sleep(back_off)
        try:
            return page, await asyncio.wait_for(get(site, page), limit), errors
        except TimeoutError:
            errors.append(TimeoutError(f"no answer in {limit} s"))
        except OSError as error:
            errors.append(error)
    return page, [], errors


async def main(pages, at_once, limit):
    failed = set()
    server = await asyncio.start_server(lambda r, w: answer(r, w, pages, failed), "127.0.0.1")
    site = server.sockets[0].getsockname()
    start, fetched, retries, timeouts = time.monotonic(), 0, 0, 0
    frontier, found, pending = deque([0]), {0}, set()
    try:
        async with asyncio.TaskGroup() as tg:
            while frontier or pending:
                while frontier and len(pending) < at_once:
                    pending.add(tg.create_task(visit(site, frontier.popleft(), limit)))
                done, pending = await asyncio.wait(pending, return_when=asyncio.FIRST_COMPLETED)
                for task in done:
                    page, links, errors = task.result()
                    for error in errors:
                        print(f"/{page}: {error}")
                    fetched += len(errors) < len(BACK_OFF)
                    retries += min(len(errors), len(BACK_OFF) - 1)
                    timeouts += sum(isinstance(error, TimeoutError) for error in errors)
                    links = [link for link in links if link not in found]
                    found.update(links)
                    frontier.extend(links)
    finally:
        elapsed = time.monotonic() - start
        pages = f"fetched {fetched} of {len(found)} pages"
        print(f"{pages}, {retries} retries, {timeouts} time-outs in {elapsed:.2f} s")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="Crawls a site that it serves itself.")
    parser.add_argument("pages", type=int, nargs="?", default=60, help="pages of the site (60)")
    parser.add_argument("at_once", type=int, nargs="?", default=8, help="requests at once (8)")
    parser.add_argument("limit", type=float, nargs="?", default=0.5, help="seconds for each (0.5)")
    options = parser.parse_args()
    if options.pages < 1 or options.at_once < 1 or not 0.001 <= options.limit < 1e6:
        parser.error("these numbers make no sense")
    try:
        asyncio.run(main(**vars(options)))
    except KeyboardInterrupt:
        sys.exit(130)
