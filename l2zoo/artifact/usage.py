"""The card's code: how each file is used, from inside the artifact's folder."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

_PREDICTS = (
    '`l2zoo.Predictor(".")` takes files and images of any size and answers by class names, masks or boxes'
)
_GENERATES = {
    "generation": '`l2zoo.Predictor(".").sample(16)` draws 16 images',
    "video": '`l2zoo.Predictor(".").generate(clips, 10)` adds 10 frames to clips `(N, T, H, W, C)`',
}
_KEEP = (
    "Keras, to go on training or to look inside",
    'import keras\n\nmodel = keras.saving.load_model("{path}")\noutputs = model.predict({keras})',
)
_SAVED = (
    "TensorFlow, without Keras (and TensorFlow Serving: the folder `saved_model` is its model)",
    'import tensorflow as tf\n\nloaded = tf.saved_model.load("{path}")\n'
    'outputs = loaded.signatures["serving_default"]({tensors})["{output}"]',
)
_LITERT = (
    "LiteRT, without TensorFlow (`pip install ai-edge-litert`)",
    "from ai_edge_litert.interpreter import Interpreter\n\n"
    'run = Interpreter(model_path="{path}").get_signature_runner("serving_default")\n'
    'outputs = run({arrays})["{output}"]',
)
_LITERT_SINGLE = (
    "LiteRT, without TensorFlow (`pip install ai-edge-litert`), one example at a time",
    "from ai_edge_litert.interpreter import Interpreter\n\n"
    'run = Interpreter(model_path="{path}").get_signature_runner("serving_default")\n'
    "inputs = dict({arrays})\n"
    "each = [\n    run(**{{name: array[i : i + 1] for name, array in inputs.items()}})\n"
    "    for i in range({count})\n]\n"
    'outputs = np.concatenate([one["{output}"] for one in each])',
)
_LITERT_WHOLE = (
    "LiteRT, with whole numbers in and out; the scales stand in the file",
    """from ai_edge_litert.interpreter import Interpreter

run = Interpreter(model_path="{path}").get_signature_runner("serving_default")


def quantized(values, detail):
    scale, zero_point = detail["quantization"]
    if not scale:
        return values
    limits = np.iinfo(detail["dtype"])
    return np.clip(np.round(values / scale) + zero_point, limits.min, limits.max).astype(detail["dtype"])


inputs = dict({arrays})
answers = run(**{{name: quantized(inputs[name], detail) for name, detail in run.get_input_details().items()}})
scale, zero_point = run.get_output_details()["{output}"]["quantization"]
outputs = (answers["{output}"].astype("float32") - zero_point) * scale if scale else answers["{output}"]""",
)
_ONNX = (
    "ONNX Runtime (`pip install onnxruntime`)",
    'import onnxruntime\n\nsession = onnxruntime.InferenceSession("{path}")\n'
    'outputs = session.run(["{output}"], dict({arrays}))[0]',
)


def section(content: Mapping[str, Any]) -> str:
    """The card's section on use.

    Args:
        content: What goes into the manifest.
    """
    inputs = content["inputs"]
    words = {
        "output": next(iter(content["outputs"])),
        "count": f"len({next(iter(inputs))})",
        "arrays": ", ".join(f"{name}={name}" for name in inputs),
        "tensors": ", ".join(f"{name}=tf.constant({name})" for name in inputs),
        "keras": _keras(inputs, named=content["takes_names"]),
    }
    load = [f'{name} = sample["{name}"].astype("{spec["dtype"]}")' for name, spec in inputs.items()]
    first = "\n".join(["import numpy as np", "", 'sample = np.load("sample.npz")', *load])
    parts = [
        "## Use\n\nFrom inside this folder. The inputs are real ones that the artifact carries with it:",
        f"```python\n{first}\n```",
        _with_l2zoo(content["task"]) if content["task"] and any(map(_is_tflite, content["formats"])) else "",
    ]
    for (title, code), paths in _grouped(content["formats"].items()).items():
        also = f"; likewise {', '.join(f'`{path}`' for path in paths[1:])}" if len(paths) > 1 else ""
        parts.append(f"{title}{also}:\n\n```python\n{code.format(path=paths[0], **words)}\n```")
    return "\n\n".join(part for part in parts if part)


def _with_l2zoo(task: str) -> str:
    return (
        f"With l2zoo, {_GENERATES.get(task, _PREDICTS)}; it runs the TFLite file, without TensorFlow and "
        "Keras. `l2zoo.load` gives the Keras model."
    )


def _is_tflite(name: str) -> bool:
    return name.startswith("tflite")


def _keras(inputs: Iterable[str], *, named: bool) -> str:
    if not named:
        return next(iter(inputs))
    return "{" + ", ".join(f'"{name}": {name}' for name in inputs) + "}"


def _grouped(formats: Iterable[tuple[str, Any]]) -> dict[tuple[str, str], list[str]]:
    """Paths of the files that are used alike."""
    groups: dict[tuple[str, str], list[str]] = {}
    for name, row in formats:
        groups.setdefault(_snippet(name, row), []).append(row["path"])
    return groups


def _snippet(name: str, row: Mapping[str, Any]) -> tuple[str, str]:
    if not _is_tflite(name):
        return {"keras": _KEEP, "savedmodel": _SAVED, "onnx": _ONNX}[name]
    found = row["found"]
    scaled = any("scale" in spec for side in ("inputs", "outputs") for spec in found[side].values())
    if any(spec["shape"][0] == 1 for spec in found["inputs"].values()):
        return _LITERT_SINGLE
    return _LITERT_WHOLE if scaled else _LITERT
