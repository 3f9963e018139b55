"""Speed and memory: the models of a study measured by a protocol, in turns, and the records of that.

`protocol.py` says how, `model.py` measures one model, `session.py` measures a study in turns, each model in its own
process (`worker.py`). `record.py` reads and writes one JSON per model, mode and batch size in `results/speed/DEVICE/`;
`frames.py` makes frames of them. A measurement is joined to runs by architecture: speed does not depend on data, recipe
or seed.
"""
