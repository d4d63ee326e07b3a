"""What happens by itself. A module lists its jobs as ``JOBS``; its name is added to ``MODULES`` in ``schedule``."""
