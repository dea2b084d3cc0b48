"""The redis backend: many nodes, one timeline, on Redis >= 7 or Valkey.

``keys``, ``message``, ``letters``, ``signed_tokens``, ``scripts`` and ``subscriptions`` are pure; ``store`` runs
scripts and commands, ``subscriber`` reads what is published, on one ``pubsub`` connection to an ``endpoint``;
``timeline`` is the truth, kept by scripts; ``delivery`` is the gateway whose nodes hear each other through Redis;
``nodes`` carries what is meant for a connection elsewhere, ``connection_tokens`` lets a client negotiate with one node
and connect to another.
"""
