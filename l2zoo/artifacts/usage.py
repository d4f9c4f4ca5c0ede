"""The card's code: how each file is used, from inside the artifact's folder."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

_PREDICTS = (
    '`l2zoo.Predictor(".")` takes files and images of any size and answers by class names, masks or boxes'
)
_GENERATES = {
    "generation": '`l2zoo.Predictor(".").sample(16)` draws 16 images, clearer ones of its classes with '
    "`guidance=2`",
    "video": '`l2zoo.Predictor(".").generate(clips, 10)` adds 10 frames to clips `(N, T, H, W, C)`',
}
_OURS = "l2zoo>"  # begins the names under which our classes are registered
_KEEP = (
    "Keras, to go on training or to look inside",
    'import keras\n{imports}\nmodel = keras.saving.load_model("{path}")\noutputs = model.predict({keras})',
)
_SAVED = (
    "TensorFlow, without Keras (and TensorFlow Serving: the folder `saved_model` is its model; "
    "`saved_model_cli show --dir saved_model/1 --tag_set serve --signature_def serving_default` tells more)",
    'import tensorflow as tf\n\nloaded = tf.saved_model.load("{path}")\n'
    'outputs = loaded.signatures["serving_default"]({tensors}){pick}',
)
_FLEX = (
    "Apps with LiteRT's Flex delegate: the file needs TensorFlow's operators, which no interpreter for "
    "Python has. To see how it answers here, part by part",
    'import l2zoo\n\nprint(l2zoo.verify("."))',
)
_LITERT = "LiteRT, without TensorFlow (`pip install ai-edge-litert`)"
_OPEN = (
    "from ai_edge_litert.interpreter import Interpreter\n\n"
    'run = Interpreter(model_path="{path}").get_signature_runner("serving_default")\n'
)
_ANY = (_LITERT, _OPEN + "outputs = run({arrays}){pick}")
_SINGLE = (
    _LITERT + ", one example at a time",
    _OPEN + "inputs = dict({arrays})\n"
    "each = [\n    run(**{{name: array[i : i + 1] for name, array in inputs.items()}})\n"
    "    for i in range({count})\n]\n"
    "outputs = {joined}",
)
_WHOLE = (
    "LiteRT, with whole numbers in and out; the scales stand in the file",
    _OPEN
    + """

def quantized(values, detail):
    scale, zero_point = detail["quantization"]
    if not scale:
        return values
    limits = np.iinfo(detail["dtype"])
    return np.clip(np.round(values / scale) + zero_point, limits.min, limits.max).astype(detail["dtype"])


def dequantized(values, detail):
    scale, zero_point = detail["quantization"]
    return (values.astype("float32") - zero_point) * scale if scale else values


inputs = dict({arrays})
answers = run(**{{name: quantized(inputs[name], detail) for name, detail in run.get_input_details().items()}})
details = run.get_output_details()
outputs = {restored}""",
)
_ONNX = (
    "ONNX Runtime (`pip install onnxruntime`)",
    'import onnxruntime\n\nsession = onnxruntime.InferenceSession("{path}")\n'
    "names = {names}\noutputs = dict(zip(names, session.run(names, dict({arrays})))){pick}",
)


def section(content: Mapping[str, Any]) -> str:
    """The card's section on use.

    Args:
        content: What goes into the manifest.
    """
    inputs = content["inputs"]
    words = {
        **_of_outputs(list(content["outputs"])),
        "imports": _imports(content["formats"]),
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
        _with_l2zoo(content["task"]) if content["task"] and _runs_in_litert(content["formats"]) else "",
    ]
    for (title, code), paths in _grouped(content["formats"].items()).items():
        also = f"; likewise {', '.join(f'`{path}`' for path in paths[1:])}" if len(paths) > 1 else ""
        parts.append(f"{title}{also}:\n\n```python\n{code.format(path=paths[0], **words)}\n```")
    return "\n\n".join(part for part in parts if part)


def _of_outputs(names: list[str]) -> dict[str, str]:
    """What is done with the answers: a lone one is taken out, several stay together by name."""
    code = {"names": "[" + ", ".join(f'"{name}"' for name in names) + "]"}
    if len(names) > 1:
        return code | {
            "pick": "  # by name: " + ", ".join(names),
            "joined": "{name: np.concatenate([one[name] for one in each]) for name in each[0]}",
            "restored": "{name: dequantized(answers[name], details[name]) for name in answers}",
        }
    (name,) = (f'"{name}"' for name in names)
    return code | {
        "pick": f"[{name}]",
        "joined": f"np.concatenate([one[{name}] for one in each])",
        "restored": f"dequantized(answers[{name}], details[{name}])",
    }


def _imports(formats: Mapping[str, Any]) -> str:
    """What must be imported, so that Keras knows the classes of the model that are not its own."""
    classes = formats.get("keras", {}).get("found", {}).get("classes", [])
    others = [name for name in classes if not name.startswith(_OURS)]
    lines = ["import l2zoo  # registers its layers"] if len(others) < len(classes) else []
    lines += [f"# And import here what registers {', '.join(others)}."] if others else []
    return "".join(line + "\n" for line in lines)


def _with_l2zoo(task: str) -> str:
    return (
        f"With l2zoo, {_GENERATES.get(task, _PREDICTS)}; it runs the TFLite file, without TensorFlow and "
        "Keras. `l2zoo.load` gives the Keras model."
    )


def _runs_in_litert(formats: Mapping[str, Any]) -> bool:
    return any(_is_tflite(name) and not row["found"]["custom_operators"] for name, row in formats.items())


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
    if found["custom_operators"]:
        return _FLEX
    scaled = any("scale" in spec for side in ("inputs", "outputs") for spec in found[side].values())
    if any(spec["shape"][0] == 1 for spec in found["inputs"].values()):
        return _SINGLE
    return _WHOLE if scaled else _ANY
