"""What a run on a cluster takes: the driver's side, and what runs on a node."""
