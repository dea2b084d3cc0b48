"""Measures our gateway against a bare echo and against its peers. See README.md here; run with ``make bench``."""
