"""The whole path: real agents, the real app on a real port, the official client in Node and in Chromium."""
