"""Training and export of the networks that `recslowfast` ships."""

__version__ = "0.1.0"
