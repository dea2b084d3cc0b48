"""``python -m streamsink``, the same as the command ``streamsink``."""

from streamsink.cli import main

main(prog_name="streamsink")
