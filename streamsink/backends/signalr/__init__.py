"""The signalr backend: Azure SignalR Service in serverless mode holds the browsers, we call its REST API.

``connection_string``, ``rest``, ``replies``, ``tokens`` and ``retries`` are pure; ``meter`` counts; ``credentials`` and
``entra`` give tokens; ``client`` is the shell that sends requests, on the ``http_clients`` of each event loop;
``delivery`` is what a sink holds. ``twin`` is a local service of the same kind, for tests and development.
"""
