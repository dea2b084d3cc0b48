"""Contracts and pure logic: no backend, no host, no network library, no agent framework."""
