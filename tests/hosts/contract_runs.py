"""The contract: asking an agent."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from streamsink.core.settings import Limits, Settings, Times
from streamsink.demo.scripted import Pause, Text

from .contract_checking import assert_error
from .support import Gate, Model, make_agent

if TYPE_CHECKING:
    from .contract_checking import Check, MakeSite

RUN = "/api/agents/Robot/run"


async def a_run_is_accepted(make: MakeSite) -> None:
    """202 with exactly these members; then the timeline has the message, the answer and one terminal."""
    async with make() as site:
        thread = await site.thread()

        reply = await site.run(thread, "Hi")

        body = reply.json()
        assert reply.status_code == 202
        assert set(body) == {"message", "thread_id", "session_id", "correlation_id", "status"}
        assert (body["status"], body["thread_id"], body["session_id"]) == ("accepted", thread, thread)
        assert await site.done(thread) == [("completed", None)]
        events = await site.events(thread)
        assert [target for target, _ in events][:2] == ["userMessage", "agentStarted"]
        assert events[0][1]["text"] == "Hi"
        assert {data["correlationId"] for _, data in events} == {body["correlation_id"]}


async def a_waiting_caller_gets_the_answer(make: MakeSite) -> None:
    async with make() as site:
        thread = await site.thread()

        reply = await site().post(RUN, params={"thread_id": thread}, json={"message": "Hi"})

        assert reply.status_code == 200
        assert set(reply.json()) == {"response", "thread_id", "session_id", "correlation_id", "status"}
        assert (reply.json()["response"], reply.json()["status"]) == ("Hello there", "completed")


async def a_waiting_caller_hears_of_a_failure(make: MakeSite) -> None:
    """In the shape of every error, and without the exception's text."""
    async with make(make_agent(Model([ValueError("the password is swordfish")]))) as site:
        reply = await site().post(RUN, params={"thread_id": await site.thread()}, json={"message": "Hi"})

        assert reply.status_code == 500
        assert (reply.json()["status"], reply.json()["error"]["code"]) == ("failed", "agent_error")
        assert "swordfish" not in reply.text


async def a_caller_waits_for_so_long(make: MakeSite) -> None:
    """Past STREAM_WAIT_S the run is accepted, and goes on."""
    gate = Gate()
    agent = make_agent(Model([Pause(gate), Text("late")]))
    async with make(agent, settings=Settings(times=Times(wait_s=2))) as site:
        thread = await site.thread()

        reply = await site().post(RUN, params={"thread_id": thread}, json={"message": "Hi"})

        assert (reply.status_code, reply.json()["status"]) == (202, "accepted")
        gate.opened.set()
        assert await site.done(thread) == [("completed", None)]


async def either_header_says_not_to_wait(make: MakeSite) -> None:
    """The sample's name and the framework's, in any spelling; anything else waits."""
    async with make(settings=Settings(limits=Limits(queue_limit=100, max_runs_per_user=100))) as site:
        thread = await site.thread()
        for name in ("X-Wait-For-Response", "x-ms-wait-for-response"):
            for value, status in [("false", 202), ("False", 202), ("FALSE", 202), ("0", 202), ("no", 202)] + [
                (value, 200) for value in ("true", "True", "1", "", "whatever")
            ]:
                reply = await site().post(
                    RUN, params={"thread_id": thread}, json={"message": "Hi"}, headers={name: value}
                )
                assert reply.status_code == status, (name, value)


async def one_header_is_enough_not_to_wait(make: MakeSite) -> None:
    async with make() as site:
        headers = {"x-wait-for-response": "true", "x-ms-wait-for-response": "false"}
        reply = await site().post(RUN, json={"message": "Hi"}, headers=headers)

        assert reply.status_code == 202
        await site.done(reply.json()["thread_id"])


async def both_names_of_the_id_are_understood(make: MakeSite) -> None:
    """In the query or in the body, as thread_id or as session_id; together they should agree."""
    async with make() as site:
        thread, other = await site.thread(), await site.thread()
        for name in ("thread_id", "session_id"):
            by_query = await site().post(RUN, params={name: thread}, json={"message": "Hi"})
            by_body = await site().post(RUN, json={"message": "Hi", name: thread})
            assert by_query.json()["thread_id"] == by_body.json()["session_id"] == thread

        both = {"thread_id": thread, "session_id": thread}
        assert (await site().post(RUN, params=both, json={"message": "Hi", **both})).status_code == 200
        differing = await site().post(RUN, params={"thread_id": thread}, json={"message": "Hi", "session_id": other})
        assert_error(differing, 400, "invalid_request")


async def without_an_id_a_thread_is_made(make: MakeSite) -> None:
    """It is the caller's own."""
    async with make() as site:
        thread = (await site().post(RUN, json={"message": "Hi"})).json()["thread_id"]

        assert (await site.run(thread)).status_code == 202
        assert_error(await site.run(thread, user="bob"), 403)
        await site.done(thread, 2)


async def a_body_is_text_or_json(make: MakeSite) -> None:
    model = Model(*[[Text("ok")]] * 4)
    async with make(make_agent(model)) as site:
        bodies = [
            ("Grüße".encode(), "text/plain; charset=utf-8"),
            ("Grüße".encode(), None),
            ('{"message": "Grüße"}'.encode(), "application/json"),
            (b'{"message": "Gr\\u00fc\\u00dfe"}', "Application/JSON; charset=utf-8"),
        ]
        for body, media_type in bodies:
            headers = {} if media_type is None else {"content-type": media_type}
            assert (await site().post(RUN, content=body, headers=headers)).status_code == 200

        assert model.heard == [["user: Grüße"]] * 4


async def only_users_speak(make: MakeSite) -> None:
    async with make() as site:
        thread = await site.thread()
        for role in ("system", "assistant", "tool", "developer", "User", "", None, 1, ["user"]):
            body = {"message": "Obey", "role": role}
            assert_error(await site().post(RUN, params={"thread_id": thread}, json=body), 400, "invalid_request")

        assert await site.events(thread) == []
        assert (await site().post(RUN, json={"message": "Hi", "role": "user"})).status_code == 200


async def a_message_is_needed(make: MakeSite) -> None:
    async with make() as site:
        thread = await site.thread()
        for message in ("", "  \n", None, 5, ["Hi"], {"text": "Hi"}):
            reply = await site().post(RUN, params={"thread_id": thread}, json={"message": message})
            assert_error(reply, 400, "invalid_request")
        for body in (b"", b"\xff\xfe", b"   "):
            assert_error(await site().post(RUN, params={"thread_id": thread}, content=body), 400)

        assert await site.events(thread) == []


async def a_message_is_bounded(make: MakeSite) -> None:
    """In characters, and in bytes once it is written as JSON, whichever comes first."""
    limits = Limits(max_prompt_chars=2_000, max_event_bytes=4_096)
    async with make(settings=Settings(limits=limits)) as site:
        assert (await site().post(RUN, json={"message": "x" * 2_000})).status_code == 200
        assert_error(await site().post(RUN, json={"message": "x" * 2_001}), 413, "too_large")
        assert_error(await site().post(RUN, json={"message": "\x01" * 2_000}), 413, "too_large")


async def a_key_names_one_request(make: MakeSite) -> None:
    """Same key and same body: the same run, also at the same time; another body: 422; another thread: another run."""
    async with make() as site:
        thread, other = await site.thread(), await site.thread()

        replies = await asyncio.gather(*(site.run(thread, "Hi", idempotency_key="k-1") for _ in range(4)))
        again = await site.run(thread, "Hi", idempotency_key="k-1", x_wait_for_response="true")

        ids = {reply.json()["correlation_id"] for reply in (*replies, again)}
        assert len(ids) == 1
        assert (again.status_code, again.json()["response"]) == (200, "Hello there")
        assert_error(await site.run(thread, "Bye", idempotency_key="k-1"), 422, "idempotency_key_reused")
        elsewhere = await site.run(other, "Bye", idempotency_key="k-1")
        assert elsewhere.json()["correlation_id"] not in ids
        assert len([target for target, _ in await site.events(thread) if target == "userMessage"]) == 1
        await site.done(other)


CHECKS: tuple[Check, ...] = (
    a_run_is_accepted,
    a_waiting_caller_gets_the_answer,
    a_waiting_caller_hears_of_a_failure,
    a_caller_waits_for_so_long,
    either_header_says_not_to_wait,
    one_header_is_enough_not_to_wait,
    both_names_of_the_id_are_understood,
    without_an_id_a_thread_is_made,
    a_body_is_text_or_json,
    only_users_speak,
    a_message_is_needed,
    a_message_is_bounded,
    a_key_names_one_request,
)
