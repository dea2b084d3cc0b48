"""The history ``none``: runs while they are open, and nothing of what is said in them."""
