"""Our SignalR server: where clients connect on memory and redis, and what a local Azure SignalR is made of.

Inside out: ``messages``, ``frame``, ``json_protocol``, ``handshake`` and ``connection`` speak the protocol
without input or output; ``negotiate``, ``tokens``, ``connection_tokens`` and ``admission`` say who connects;
``hub`` has the groups; ``http``, ``outbox``, ``websocket``, ``ticker`` and ``app`` are the ASGI side;
``websocket_frames``, ``websocket_peer``, ``socket_protocol`` and ``sockets`` serve WebSockets past ASGI;
``delivery`` is what a backend uses.

MessagePack is one more :class:`~streamsink.backends.gateway.frame.HubProtocol`; another transport is one more
:class:`~streamsink.backends.gateway.hub.Transport` around a ``Connection``, and one more offer in negotiate.
"""
