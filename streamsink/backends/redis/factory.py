"""A redis sink, and a redis timeline by itself, as the settings describe them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from streamsink.backends.gateway.negotiate import EVERY_TRANSPORT, WEB_SOCKETS
from streamsink.backends.gateway.tokens import AccessTokens
from streamsink.backends.redis.connection_tokens import SignedConnectionTokens
from streamsink.backends.redis.feeds import Feeds
from streamsink.backends.redis.keys import Keys
from streamsink.backends.redis.remote import RemoteDelivery
from streamsink.backends.redis.servers import servers_of
from streamsink.backends.redis.sink import RedisSink
from streamsink.backends.redis.timeline import RedisTimeline
from streamsink.backends.redis.turns import PublishedTurns
from streamsink.core.errors import SettingsError
from streamsink.core.options import PublishOptions
from streamsink.core.secrets import RING_EXPECTED

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from streamsink.backends.redis.channels import Channels
    from streamsink.backends.redis.scripts import Scripts
    from streamsink.backends.redis.settings import RedisSettings
    from streamsink.backends.redis.store import Store
    from streamsink.core.runtime import Runtime
    from streamsink.core.settings import Settings

__all__ = ["redis_sink", "redis_timeline"]

_HUB: Final = "streamsink"
_CLIENTS: Final = "client access token"
_CONNECTIONS: Final = "connection token"


def redis_timeline(own: RedisSettings, runtime: Runtime) -> RedisTimeline:
    """The timeline alone, for another backend.

    Raises:
        SettingsError: the URL is none.
    """
    servers = servers_of(own.url, timeout_s=own.timeout_s)
    return RedisTimeline(servers.store(), Keys(own.prefix, servers.database), limits=own, runtime=runtime)


def redis_sink(
    settings: Settings,
    own: RedisSettings,
    runtime: Runtime,
    *,
    has_gateway: bool = True,
    scripts: Scripts | None = None,
) -> RedisSink:
    """A sink that serves clients, or one without a gateway, which publishes to those that do.

    Args:
        scripts: injected for their clock.

    Raises:
        SettingsError: there is no secret, or the URL is none.
    """
    parts = _Parts.of(settings, own, runtime, scripts)
    delivery = parts.node() if has_gateway else RemoteDelivery(*parts.shared, **parts.options(parts.tokens()))
    return RedisSink(parts.timeline, delivery, options=PublishOptions.from_settings(settings), runtime=runtime)


@dataclass(frozen=True, slots=True)
class _Parts:
    settings: Settings
    own: RedisSettings
    runtime: Runtime
    node_id: str
    keys: Keys
    store: Store
    subscriber: Channels
    timeline: RedisTimeline

    @classmethod
    def of(cls, settings: Settings, own: RedisSettings, runtime: Runtime, scripts: Scripts | None) -> _Parts:
        servers = servers_of(own.url, timeout_s=own.timeout_s)
        keys = Keys(own.prefix, servers.database)
        store, subscriber = servers.store(), servers.subscriber(runtime.random)
        turns = PublishedTurns(subscriber, keys)
        timeline = RedisTimeline(store, keys, limits=own, runtime=runtime, scripts=scripts, turns=turns)
        return cls(settings, own, runtime, runtime.new_id(), keys, store, subscriber, timeline)

    @property
    def shared(self) -> tuple[Store, Keys, Channels]:
        return self.store, self.keys, self.subscriber

    def now_s(self) -> float:
        return self.runtime.now_ms() / 1000

    def secrets(self, purpose: str) -> Sequence[bytes]:
        if self.settings.secret is None:
            raise SettingsError("STREAM_SECRET", RING_EXPECTED)
        return self.settings.secret.keys(purpose)

    def tokens(self, before_claim: Callable[[], Awaitable[None]] | None = None) -> SignedConnectionTokens:
        return _Tokens(
            self.store,
            self.keys,
            self.secrets(_CONNECTIONS),
            node_id=self.node_id,
            clock=self.now_s,
            before_claim=before_claim,
        )

    def options(self, tokens: SignedConnectionTokens) -> dict[str, Any]:
        access_tokens = AccessTokens(
            self.secrets(_CLIENTS),
            clock=self.now_s,
            lifetime_s=self.settings.times.token_lifetime_s,
        )
        return {
            "node_id": self.node_id,
            "connection_tokens": tokens,
            "access_tokens": access_tokens,
            "hub": _HUB,
            "gateway_url": self.own.gateway_url,
            "runtime": self.runtime,
        }

    def node(self) -> RemoteDelivery:
        from streamsink.backends.gateway.factory import gateway_delivery
        from streamsink.backends.redis.delivery import RedisDelivery

        delivery: RedisDelivery  # it and its gateway need each other
        feeds: Feeds
        tokens = self.tokens(lambda: delivery.listen())
        gateway = gateway_delivery(
            self.settings,
            hub=_HUB,
            connection_tokens=tokens,
            clock=self.now_s,
            transports=EVERY_TRANSPORT if self.own.sticky_routing == "yes" else (WEB_SOCKETS,),
            on_empty=lambda thread: feeds.close(thread),
        )
        feeds = Feeds(
            self.subscriber,
            self.keys,
            self.timeline,
            publish=gateway.hub.publish_together,
            dissolve=gateway.hub.dissolve,
            runtime=self.runtime,
        )
        delivery = RedisDelivery(gateway, feeds, *self.shared, **self.options(tokens))
        return delivery


class _Tokens(SignedConnectionTokens):
    """Those of a node that can be asked for its connections before it has any."""

    def __init__(self, *args: Any, before_claim: Callable[[], Awaitable[None]] | None, **options: Any) -> None:
        super().__init__(*args, **options)
        self._before_claim = before_claim

    async def claim(self, token: str, *, hub: str, user_id: str | None) -> str:
        if self._before_claim is not None:
            await self._before_claim()
        return await super().claim(token, hub=hub, user_id=user_id)
