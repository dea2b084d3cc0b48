"""An ability of a timeline: to keep documents that belong to a thread and end with it."""

from __future__ import annotations

from abc import ABC, abstractmethod

__all__ = ["KeepsDocuments"]


class KeepsDocuments(ABC):
    """Keeps what a host needs for a thread's next turn, where every node finds it."""

    @abstractmethod
    async def get_document(self, thread: str, name: str) -> bytes | None:
        """The document as it was last put, or None.

        Raises:
            UnavailableError: the store cannot be reached.
        """

    @abstractmethod
    async def put_document(self, thread: str, name: str, document: bytes) -> None:
        """Keep a document until the thread is deleted or forgotten.

        Raises:
            ThreadDeletedError: the thread's tombstone refuses it.
            UnavailableError: the store cannot be reached.
        """
