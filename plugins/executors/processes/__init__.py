"""A worker in a process of its own: what runs in it, and its parent's side of it."""
