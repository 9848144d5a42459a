"""The hot path: images on the device, one step, one epoch."""
