"""A convolutional network for pictures of another size: only shapes change."""

from __future__ import annotations

import pathlib
import re
import shutil


def resize(source: pathlib.Path, out: pathlib.Path, size: int) -> pathlib.Path:
    """The network of `source` for pictures `size` wide and of the same proportions, in `out`. States keep their share of the picture."""
    import onnx

    shutil.rmtree(out, ignore_errors=True)
    out.mkdir(parents=True)
    manifest = (source / "model.toml").read_text()
    before = int(re.search(r"^width = (\d+)", manifest, flags=re.MULTILINE)[1])
    for path in source.glob("*.onnx"):
        model = onnx.load(path)
        for value in [*model.graph.input, *model.graph.output]:
            for dim in list(value.type.tensor_type.shape.dim)[2:]:
                dim.dim_value = dim.dim_value * size // before
        del model.graph.value_info[:]
        onnx.save(model, out / path.name)

    def state(found: re.Match) -> str:
        return f"shape = [1, {found[1]}, {int(found[2]) * size // before}, {int(found[3]) * size // before}]"

    manifest = re.sub(r"^(width|height) = (\d+)", lambda found: f"{found[1]} = {int(found[2]) * size // before}", manifest, flags=re.MULTILINE)
    (out / "model.toml").write_text(re.sub(r"^shape = \[1, (\d+), (\d+), (\d+)\]", state, manifest, flags=re.MULTILINE))
    return out
