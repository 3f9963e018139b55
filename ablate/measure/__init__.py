"""Speed and memory of models, measured in turns by a protocol, and their records.

`protocol.py` defines the protocol, `model.py` measures one model, `session.py` measures a study in turns, each model in
its own process (`worker.py`). `record.py` reads and writes one JSON file per model, mode and batch size in
`results/speed/DEVICE/`; `frames.py` makes frames of them. Measurements are joined to runs by architecture: speed does
not depend on the dataset, recipe or seed.
"""
