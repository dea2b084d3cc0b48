"""The calls about runs: asking an agent, stopping it, answering what its tools ask."""

from __future__ import annotations

import asyncio
import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from streamsink.core.errors import (
    ConflictError,
    InvalidRequestError,
    KeyReusedError,
    NotFoundError,
    TooLargeError,
    UnavailableError,
)
from streamsink.core.names import AGENT_NAME, CORRELATION_ID, IDEMPOTENCY_KEY
from streamsink.core.runs import Accepted, RunRequest
from streamsink.core.user_messages import user_message
from streamsink.hosts import paths
from streamsink.hosts.agent_host import Answer, Job
from streamsink.hosts.api import Route, Services
from streamsink.hosts.http import Call, Reply, json_reply, read_json
from streamsink.hosts.late_starts import start_if_accepted
from streamsink.hosts.responses import response_text

if TYPE_CHECKING:
    from streamsink.core.events import Record, Terminal
    from streamsink.core.identity import User

__all__ = ["RunCalls"]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Asked:
    """A run request, understood."""

    thread: str
    agent: str
    prompt: str = ""
    answer: Answer | None = None
    key: str | None = None
    fingerprint: str = ""


class RunCalls:
    """Handlers for ``/api/agents/{agent}/…``."""

    def __init__(self, services: Services) -> None:
        self._services = services
        self._sink = services.sink
        self._host = services.host

    def routes(self) -> list[Route]:
        """The calls."""
        return [
            Route(method="POST", path=paths.RUN, handler=self.run),
            Route(method="POST", path=paths.CANCEL, handler=self.cancel),
            Route(method="POST", path=paths.APPROVE, handler=self.approve),
        ]

    async def run(self, call: Call, user: User) -> Reply:
        """Accept a run: 202 at once, or 200 with the answer when the caller waits for it."""
        agent = self._agent(call)
        body = _body(call)
        thread = await self._thread(call, body, user, "run")
        asked = _Asked(
            thread=thread,
            agent=agent,
            prompt=self._prompt(body),
            key=_idempotency_key(call),
            fingerprint=hashlib.sha256(agent.encode() + b"\0" + call.body).hexdigest(),
        )
        accepted = await self._accept(asked, user)
        return await self._answer(call, thread, accepted)

    async def approve(self, call: Call, user: User) -> Reply:
        """Answer what a tool asked: a new run, with the answer and nothing else. The same answer again is that run."""
        agent = self._agent(call)
        body = read_json(call.body)
        thread = await self._thread(call, body, user, "approve")
        answer = _read_answer(body)
        key = f"approval:{agent}:{answer.approval_id}"
        asked = _Asked(thread=thread, agent=agent, answer=answer, key=key, fingerprint=str(answer.approved))
        try:
            accepted = await self._accept(asked, user)
        except KeyReusedError as error:
            raise ConflictError("this request has been answered") from error
        return await self._answer(call, thread, accepted)

    async def cancel(self, call: Call, user: User) -> Reply:
        """Ask one run, or all of the thread, to end."""
        self._agent(call)
        thread = await self._thread(call, read_json(call.body), user, "cancel")
        if not self._host.stops_runs:
            raise ConflictError("nothing here can reach what runs; it ends by itself or by its time limit")
        named = call.request.query.get("correlation_id")
        cancelled = await self._sink.cancel(thread, CORRELATION_ID.validate(named) if named is not None else None)
        told = {"status": "cancelling", "thread_id": thread, "correlation_ids": cancelled.correlation_ids}
        return json_reply(told, 202)

    def _agent(self, call: Call) -> str:
        name = AGENT_NAME.validate(call.params["agent"])
        if name not in self._host.agents:
            raise NotFoundError(f"there is no such agent; there are: {', '.join(self._host.agents)}")
        return name

    async def _thread(self, call: Call, body: dict[str, Any], user: User, action: Any) -> str:
        query = call.request.query
        named = [
            value
            for value in (
                query.get("thread_id"),
                query.get("session_id"),
                body.get("thread_id"),
                body.get("session_id"),
            )
            if value is not None
        ]
        if not named and "idempotency-key" in call.request.headers:
            raise InvalidRequestError("a request with an Idempotency-Key should name its conversation: ?thread_id=…")
        if not named and action == "run":
            return self._services.thread_ids.mint(user.id)
        if not named:
            raise InvalidRequestError("say which conversation: ?thread_id=…")
        if any(value != named[0] for value in named):
            raise InvalidRequestError("thread_id and session_id name different conversations; send one of them")
        return await self._services.allow(user, named[0], action)

    def _prompt(self, body: dict[str, Any]) -> str:
        role = body.get("role", "user")
        if role != "user":
            raise InvalidRequestError("role should be 'user': a request cannot speak as anybody else")
        prompt = body.get("message")
        if not isinstance(prompt, str) or not prompt.strip():
            raise InvalidRequestError("message should be a text that is not empty")
        if len(prompt) > self._services.max_prompt_chars:
            raise TooLargeError(f"message should be at most {self._services.max_prompt_chars} characters")
        return prompt

    async def _accept(self, asked: _Asked, user: User) -> Accepted:
        async with self._host.reserve(_account(asked, user)):
            if asked.answer is not None and not await self._repeats(asked):
                await self._host.check_answer(asked.thread, asked.agent, asked.answer)
            # Nobody who hangs up may leave a run behind that is accepted and never started.
            starting = self._sink.tasks.start(self._start(asked, user), name="streamsink accept")
            return await asyncio.shield(starting)

    async def _start(self, asked: _Asked, user: User) -> Accepted:
        request = self._request(asked)
        job = Job(
            thread=asked.thread,
            request=request,
            user_id=_account(asked, user),
            prompt=asked.prompt,
            answer=asked.answer,
        )
        try:
            accepted = await self._sink.accept_run(asked.thread, request)
        except UnavailableError:
            self._sink.tasks.start(start_if_accepted(self._sink, self._host, job), name="streamsink late start")
            raise
        if accepted.fresh:
            await self._host.start(job)
        return accepted

    async def _repeats(self, asked: _Asked) -> bool:
        """Whether this answer has made its run already: its correlation id is made of the request's."""
        return await self._sink.get_run(asked.thread, _answer_id(asked)) is not None

    def _request(self, asked: _Asked) -> RunRequest:
        runtime = self._sink.runtime
        correlation_id = runtime.new_id() if asked.answer is None else _answer_id(asked)
        return RunRequest(
            correlation_id=correlation_id,
            agent_name=asked.agent,
            message=self._message(asked, correlation_id),
            idempotency_key=asked.key,
            fingerprint=asked.fingerprint,
            call=runtime.new_id(),
            queue_limit=self._services.queue_limit,
            queue_timeout_s=self._services.queue_timeout_s,
            # A host that redelivers has its runs wait in a queue of its platform, and not in this process.
            lease_s=0.0 if self._services.redelivery_s else self._sink.options.lease_s,
            redelivery_s=self._services.redelivery_s,
            ordered=self._services.ordered,
        )

    def _message(self, asked: _Asked, correlation_id: str) -> Record:
        answer = asked.answer
        approval = None if answer is None else {"approvalId": answer.approval_id, "approved": answer.approved}
        return user_message(self._sink, asked.thread, correlation_id, asked.agent, asked.prompt, approval=approval)

    async def _answer(self, call: Call, thread: str, accepted: Accepted) -> Reply:
        correlation_id = accepted.run.correlation_id
        ids = {"thread_id": thread, "session_id": thread, "correlation_id": correlation_id}
        if _waits(call):
            terminal = await self._host.wait(thread, correlation_id, timeout_s=self._services.wait_s)
            if terminal is not None:
                return _finished(terminal, ids)
        return json_reply({"message": "The agent has accepted the request.", **ids, "status": "accepted"}, 202)


def _account(asked: _Asked, user: User) -> str:
    """Whose open runs this one counts among. A service asks for many people: its runs count per conversation."""
    return f"service {asked.thread}" if user.is_service else user.id


def _answer_id(asked: _Asked) -> str:
    return "answer-" + hashlib.sha256((asked.key or "").encode()).hexdigest()[:32]


def _body(call: Call) -> dict[str, Any]:
    """A run request's body: a JSON object, or the message itself as text."""
    if call.request.headers.get("content-type", "").partition(";")[0].strip().lower() == "application/json":
        return read_json(call.body)
    try:
        return {"message": call.body.decode()}
    except UnicodeDecodeError as error:
        raise InvalidRequestError("the body should be text in UTF-8, or JSON with its content type") from error


def _idempotency_key(call: Call) -> str | None:
    key = call.request.headers.get("idempotency-key")
    return None if key is None else f"request:{IDEMPOTENCY_KEY.validate(key)}"


def _read_answer(body: dict[str, Any]) -> Answer:
    approval_id, approved = body.get("approvalId"), body.get("approved")
    if not isinstance(approved, bool):
        raise InvalidRequestError("approved should be true or false")
    return Answer(approval_id=CORRELATION_ID.validate(approval_id), approved=approved)


def _waits(call: Call) -> bool:
    """Callers wait unless they say otherwise, by the sample's header or by the framework's."""
    headers = call.request.headers
    said = (headers.get(name, "true") for name in ("x-wait-for-response", "x-ms-wait-for-response"))
    return all(value.strip().lower() not in ("false", "0", "no", "n", "off") for value in said)


def _finished(terminal: Terminal, ids: dict[str, str]) -> Reply:
    if terminal.status == "failed":
        error = {
            "code": terminal.code or "agent_error",
            "message": "The agent could not complete its answer.",
        }
        return json_reply({"error": error, **ids, "status": "failed"}, 500)
    return json_reply({"response": response_text(terminal), **ids, "status": terminal.status})
