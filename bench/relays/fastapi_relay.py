"""FastAPI and httpx: whatever comes is passed on as it is."""

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from fastapi import FastAPI, Request
from fastapi.responses import StreamingResponse
from httpx import AsyncClient, Limits

URL = f"{os.environ['UPSTREAM']}/v1/chat/completions"


@asynccontextmanager
async def session(app: FastAPI) -> AsyncIterator[None]:
    """Keep one pool of connections, without its usual limit of 100."""
    async with AsyncClient(timeout=300, limits=Limits(max_connections=None)) as app.state.client:
        yield


app = FastAPI(lifespan=session)


@app.post("/v1/chat/completions")
async def completions(request: Request) -> StreamingResponse:
    """Ask the model server the same, and pass its bytes on."""
    client = app.state.client
    answer = await client.send(client.build_request("POST", URL, json=await request.json()), stream=True)

    async def pieces() -> AsyncIterator[bytes]:
        try:
            async for some in answer.aiter_raw():
                yield some
        finally:
            await answer.aclose()

    return StreamingResponse(pieces(), answer.status_code, media_type=answer.headers["Content-Type"])
