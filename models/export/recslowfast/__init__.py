"""Networks for recslowfast: exported from PyTorch, held against ONNX Runtime, and run from Python.

    from recslowfast import export, Network

    export(encoder, step, readout, example, "mine", task="classes", classes=["road", "car"], states={"hidden": (1, 16, 32, 32)})
    steps, answers = Network("mine").advance(frame)

`export` needs torch, onnx and onnxscript; `Network` needs numpy alone.
"""

from .network import Network, Refused

__all__ = ["Network", "Refused", "export"]


def export(*arguments, **options):
    """See `recslowfast.exporting.export`."""
    from .exporting import export as exported

    return exported(*arguments, **options)
