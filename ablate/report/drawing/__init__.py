"""What plots are drawn with: frames, style, palette, labels, axes, and the kinds of plot."""
