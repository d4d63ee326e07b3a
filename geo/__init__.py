"""WHERE: points that carry their coordinate system, layers of cells, and which cell a point belongs to.

Pure values and arrays. Nothing here reads a clock, a file or a socket; nothing of `sync` or `server` is
imported.
"""
