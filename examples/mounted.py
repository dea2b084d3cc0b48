"""Streamsink inside a FastAPI application, with that application's own login and lifespan.

    uvicorn examples.mounted:app

Log in at http://127.0.0.1:8000/login?name=ann, then open http://127.0.0.1:8000/chat/api/index.
"""

from __future__ import annotations

import secrets
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from fastapi import FastAPI
from fastapi.responses import RedirectResponse

from streamsink import Request, User
from streamsink.demo import agents
from streamsink.hosts.asgi import StreamApp

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

logged_in: dict[str, str] = {}


def identify(request: Request) -> User | None:
    """Whoever this application has logged in; everybody else gets 401."""
    name = logged_in.get(request.cookies.get("session", ""))
    return None if name is None else User(subject=name, issuer="mounted example")


streams = StreamApp(agents(), identify=identify)


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[None]:
    """Mounting does not run the lifespan of what is mounted: this one does."""
    async with streams.running():
        yield


app = FastAPI(lifespan=lifespan)
app.mount("/chat", streams)


@app.get("/login")
async def login(name: str) -> RedirectResponse:
    """A real application would ask for a password."""
    session = secrets.token_urlsafe()
    logged_in[session] = name
    reply = RedirectResponse("/chat/api/index", status_code=303)
    reply.set_cookie("session", session, httponly=True, samesite="lax")
    return reply
