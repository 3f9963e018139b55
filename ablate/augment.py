"""Augmentation as batched tensor code: what is drawn for a picture is a function of its seed alone."""

BEHAVIOUR = 1
