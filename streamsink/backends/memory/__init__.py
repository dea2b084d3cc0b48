"""The memory backend: full semantics in one process, no services. The reference for every other backend."""
