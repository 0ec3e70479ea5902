"""aiohttp on both sides: whatever comes is passed on as it is."""

import os
from collections.abc import AsyncIterator

from aiohttp import ClientSession, TCPConnector, web

URL = f"{os.environ['UPSTREAM']}/v1/chat/completions"
SESSION = web.AppKey("session", ClientSession)


async def session(app: web.Application) -> AsyncIterator[None]:
    """Keep one pool of connections, without its usual limit of 100."""
    async with ClientSession(connector=TCPConnector(limit=0)) as app[SESSION]:
        yield


async def completions(request: web.Request) -> web.StreamResponse:
    """Ask the model server the same, and pass its bytes on."""
    async with request.app[SESSION].post(URL, json=await request.json()) as answer:
        response = web.StreamResponse(status=answer.status, headers={"Content-Type": answer.headers["Content-Type"]})
        await response.prepare(request)
        async for some in answer.content.iter_any():
            await response.write(some)
        await response.write_eof()
        return response


app = web.Application()
app.cleanup_ctx.append(session)
app.router.add_post("/v1/chat/completions", completions)
web.run_app(app, host="127.0.0.1", port=int(os.environ["PORT"]), backlog=4096, access_log=None, print=None)
