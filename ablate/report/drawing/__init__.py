"""The toolkit for plots.

`frames`, `notes`, `palette` and `style` are public, for plots of your own. Modules with an underscore draw the kinds
of plot in the catalogue and place their labels.
"""
