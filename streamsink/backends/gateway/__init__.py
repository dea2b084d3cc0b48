"""Our SignalR server: where clients connect on memory and redis, and what a local Azure SignalR is made of.

Inside out: ``messages``, ``frame``, ``json_protocol``, ``messagepack_protocol``, ``handshake`` and ``connection``
speak the protocol without input or output; ``negotiate``, ``tokens``, ``connection_tokens`` and ``admission`` say
who connects; ``hub`` has the users and groups, ``audience`` says which of them; ``turn`` joins what one loop turn
brings to a group, ``frame_queue`` what waits for one client; ``session`` and its kinds (``websocket``,
``event_stream``, ``long_polling``), ``outbox``, ``sessions``, ``http``, ``http_transports`` and ``app`` are the
ASGI side; ``websocket_frames``, ``websocket_peer``, ``socket_protocol`` and ``sockets`` serve WebSockets past ASGI,
many at once in ``slices``; ``delivery`` is what a backend uses.

Another hub protocol is one more :class:`~streamsink.backends.gateway.frame.HubProtocol`; another transport is one
more :class:`~streamsink.backends.gateway.session.Session` around a ``Connection``, and one more offer in negotiate.
"""
