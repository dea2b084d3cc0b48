"""Azure SignalR Service: the backend, and its twin for one machine."""
