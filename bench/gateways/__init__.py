"""What is measured: each module is one gateway process, which prints its ports as JSON and serves until SIGTERM."""
