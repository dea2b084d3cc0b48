"""Hosts: what runs agents and serves the HTTP API. One thin module per host over one shared API."""
