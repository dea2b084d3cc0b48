"""What tests of several modules share: a small world around a sink, and a client with ten lines of code."""
