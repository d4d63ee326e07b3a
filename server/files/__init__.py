"""The bytes of files: how they come in, how they are checked, where they lie. What they mean is decided in ``sync``."""
