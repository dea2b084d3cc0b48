"""Processes that publish as fast as they can: started by ``bench.producers``, spoken to in JSON lines."""
