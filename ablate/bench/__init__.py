"""Measure the models of a study beside each other, in turns, so that a ranking of them can be trusted.

`subjects.py` says what is measured, `worker.py` is the process that measures one model in one mode, `process.py` the
parent's end of it, `session.py` the order of everything and what is written when. The measuring itself is
`ablate.measuring`, what is written `ablate.speed`.
"""
