"""What timelines that live in one process share: runs with their turns, leases and ends, owners, tombstones."""
