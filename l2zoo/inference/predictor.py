"""`Predictor`: an artifact at work, from a folder to answers, without Keras and TensorFlow."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from l2zoo.artifacts import labels_file, probe, task_spec, trust
from l2zoo.artifacts.formats import table, tflite
from l2zoo.artifacts.formats.table import FORMATS
from l2zoo.artifacts.inputs import Inputs, Outputs
from l2zoo.artifacts.store import locations
from l2zoo.artifacts.trust import Whole
from l2zoo.data.preprocessing.resizing import resize_pixels
from l2zoo.inference import image_paths, postprocess, preprocess
from l2zoo.inference.postprocess import View
from l2zoo.inference.results import MIN_SCORE, Estimated, Result
from l2zoo.tasks.diffusion import sampling
from l2zoo.tasks.output_kind import KINDS, OutputKind, check_threshold
from l2zoo.tasks.video import rollout
from l2zoo.utils.arguments import suggest_arguments
from l2zoo.utils.progress import progress_bar
from l2zoo.utils.storage.files import as_value_errors
from l2zoo.utils.validation import check_number, check_pixels, did_you_mean, whole_number

if TYPE_CHECKING:
    from l2zoo.inference.evaluation import Evaluation

RUNNABLE = ("tflite", "tflite_fp16", "tflite_dynamic", "tflite_int8")  # the first that is there runs
OF_IMAGES = ("classification", "segmentation", "detection", "regression")  # what `predict` is for
_METHODS = {**dict.fromkeys(OF_IMAGES, "predict"), "generation": "sample", "video": "generate"}


@suggest_arguments
class Predictor:
    """Runs an artifact that `l2zoo.export` wrote, by LiteRT alone.

    All files are compared with their checksums before any is opened. That tells of damage; whose the
    artifact is, `public_key` tells. The bytes that were compared are those that run: they are held in memory,
    as many as the file has, and what becomes of the file afterwards changes nothing.

    A stranger's file is opened and run once in a process of its own first, with bounds on memory and time,
    which takes about half a second: one that ends LiteRT, fills the memory or never returns costs an error.
    A stranger's is what was neither exported by this process nor came with l2zoo nor is signed or trusted.

    Threads may share a predictor: they take turns.

    Args:
        name_or_folder: An artifact's folder, or the name of one of the saved models.
        format: `"tflite"`, `"tflite_fp16"`, `"tflite_dynamic"` or `"tflite_int8"`; `"auto"` takes the first
            of them that is there.
        threads: On which an answer is computed, at least 1.
        threshold: From which probability on a class is said to be there, in (0, 1), where one number stands
            for two classes, or each class stands on its own: a number, or one for each. If None, the
            artifact's.
        min_score: From which score on a box is said to be there, in [0, 1]; 0.3 if None.
        trusted: Whether you vouch for the artifact: it is opened here at once.
        public_key: A PEM file with the public key of whom you trust, by which it must be signed.

    Attributes:
        folder: Where the artifact is.
        format: The format that runs.
        task: `"classification"`, `"segmentation"`, `"detection"`, `"generation"`, `"video"` or
            `"regression"`.
        class_names: Names of the classes.
        output_kind: What the output means (`l2zoo.tasks.output_kind`), of images' classes, pixels and values.
        min_score: From which score on a box is said to be there; None of what has no boxes.
        trust: `trusted` and `public_key` as they were given, by which another process opens it likewise.

    Raises:
        TypeError: An argument is of the wrong type.
        FileNotFoundError: There is no such artifact.
        ValueError: It is damaged, signed by somebody else, has no such format, or does not say what its model
            is for.

    Example:
        >>> Predictor("no/such/folder")  # doctest: +ELLIPSIS
        Traceback (most recent call last):
        FileNotFoundError: `name_or_folder` must be an artifact's folder or one of the saved models, got ...
    """

    @locations.reads_whole
    def __init__(
        self,
        name_or_folder: str | Path,
        *,
        format: str = "auto",  # noqa: A002
        threads: int = 1,
        threshold: float | Sequence[float] | None = None,
        min_score: float | None = None,
        trusted: bool = False,
        public_key: str | Path | None = None,
    ):
        threads = whole_number("threads", threads, at_least=1)
        self.folder = locations.find(name_or_folder)
        self.trust: dict[str, Any] = {"trusted": trusted, "public_key": public_key}
        with trust.open_whole(self.folder, trusted=trusted, public_key=public_key) as whole:
            self._describe(whole.content, format, threshold, min_score)
            self._predict = self._open_file(whole, threads)

    def _describe(
        self,
        content: Mapping[str, Any],
        format: str,  # noqa: A002
        threshold: float | Sequence[float] | None,
        min_score: float | None,
    ) -> None:
        """Takes from the manifest what the artifact is for and what its numbers mean."""
        self.format = select_format(format, list(table.formats_of(content)))
        self.task = _task(content)
        self._inputs, self._outputs = content["inputs"], content["outputs"]
        self.output_kind = _output_kind(self.task, content, threshold)
        self.class_names = labels_file.class_names(content, self.output_kind)
        self.min_score = _min_score(self.task, min_score)
        self._metrics, self._trained_on = content.get("metrics") or {}, content.get("trained_on")
        self._aspect = content.get("aspect") or "stretch"
        self._path = FORMATS[self.format].path

    def __repr__(self) -> str:
        return f"Predictor({str(self.folder)!r}, format={self.format!r}): {self.task}"

    def predict(self, images: Any, *, batch_size: int = 32) -> list[Result]:
        """Says of images what is in them, which class each pixel has, or what is where.

        Images of other sizes are resized, and those of another aspect stretched, cropped or padded, as in
        training; boxes and masks are those of the images as given, a mask 255 where they were cropped.

        Args:
            images: An array `(H, W, C)` or `(B, H, W, C)` of raw pixels in [0, 255], one of Pillow's images,
                the path of an image file (PNG, JPEG, BMP, GIF, WEBP), of a folder of such or a pattern such
                as `"photos/*.jpg"`, or a list of all these, of any sizes.
            batch_size: Images that are held in memory and computed together.

        Returns:
            For each image, in their order, a `Classified`, `Segmented` or `Detected`; where classes stand on
            their own, a `Labelled` or `OverlappingMasks`; of regression, an `Estimated`. Files are in the
            order of their names, and each result has the `path` of its own.

        Raises:
            TypeError: Something else than images.
            FileNotFoundError: There is no such file.
            ValueError: No images, one that cannot be decoded, one of another number of channels or with
                values that are not pixels; the model is for something else.
        """
        self._check_task("predict")
        given = self._list(images)
        whole_number("batch_size", batch_size, at_least=1)
        height, width, channels = self._image_shape
        found: list[Result] = []
        for start in range(0, len(given), batch_size):
            part = [
                preprocess.read_pixels(one, channels=channels, where=f"Image {start + i} of `images`")
                for i, one in enumerate(given[start : start + batch_size])
            ]
            views = [View.of(one.shape[:2], (height, width), self._aspect) for one in part]
            seen = [
                resize_pixels(view.frame.cut(one), (height, width))
                for view, one in zip(views, part, strict=True)
            ]
            found += self._answer(np.stack(seen), views)[1]
        paths = [Path(one) if isinstance(one, str | Path) else None for one in given]
        return [replace(one, path=path) for one, path in zip(found, paths, strict=True)]

    def predict_resized(self, images: np.ndarray, views: Sequence[View]) -> list[Result]:
        """What `predict` says of images that somebody else has read and brought to the model's size.

        Args:
            images: `(B, H, W, C)`, pixels in [0, 255], resized by `l2zoo.inference.preprocess`.
            views: What each of them shows of the image as given; its boxes and mask are in that.
        """
        self._check_task("predict")
        return self._answer(images, views)[1]

    def draw(self, images: Any, path: str | Path, *, results: Sequence[Result] | None = None) -> Path:
        """Draws images with what is said of them: the class, the mask beside, or boxes.

        Args:
            images: What `predict` takes.
            path: Where to; the ending says how: `.png`, `.svg` or `.pdf`.
            results: What `predict` said of them, if it was asked already.

        Returns:
            The path.

        Raises:
            ValueError: Not as many results as images, another ending; what `predict` raises.
        """
        from l2zoo.inference.plots import plot_results

        given = self._list(images)
        return plot_results(given, self.predict(given) if results is None else results, path)

    def evaluate(
        self,
        data: Any,
        *,
        split: str | None = None,
        data_dir: str | Path | None = None,
        batch_size: int = 32,
    ) -> Evaluation:
        """Says how good the file is on data that the model has not seen, by the metrics of its task.

        The metrics are those that the task measures on the Keras model (`l2zoo.tasks`), computed without
        Keras. Classes are matched by their names.

        Args:
            data: An `ImageData` of the model's image size; arrays `(x, y)`; a folder with a folder a class,
                masks or boxes, as `l2zoo.data.load` takes it, or the name of a TFDS data set, which are
                resized to what the model takes.
            split: Of a folder or data set; "test" if None, or the only one that there is. For arrays, what
                to call them.
            data_dir: Folder of TFDS data sets.
            batch_size: Images that are computed together.

        Returns:
            Metrics, figures of each class, the confusion, and the images on which the file is furthest off.
            Prints the metrics, Rich and notebooks show tables; `plot` draws, `to_dict` is for JSON.

        Raises:
            TypeError: `data` is something else.
            ValueError: They are for another task, of another size, or have classes that the artifact has not;
                the model draws images, continues clips, or gives masks that overlap or values of pixels.

        Warns:
            UserWarning: The manifest says that the model was trained on some of these data.
        """
        from l2zoo.inference import evaluation_data, judges
        from l2zoo.inference.evaluation import evaluate

        whole_number("batch_size", batch_size, at_least=1)
        task = self._task_of_data()
        given = evaluation_data.open_data(
            data, task=task, image_shape=self._image_shape, class_names=self.class_names,
            split=split, data_dir=data_dir, aspect=self._aspect,
        )  # fmt: skip
        evaluation_data.warn_of_training_data(given.data, self._trained_on)
        judge = judges.judge_for(
            task, self.output_kind, given.class_names, min_score=self.min_score or 0.0,
            targets=given.targets if task == "regression" else None,
        )  # fmt: skip
        return evaluate(
            lambda images: self._answer(images, [_whole(images.shape[1:3])] * len(images)), judge, given,
            batch_size=batch_size, exported=self._metrics, artifact=str(self.folder), format=self.format,
        )  # fmt: skip

    def _task_of_data(self) -> str:
        """What data must be for that the file is judged on.

        Raises:
            ValueError: There are no such data.
        """
        if self.task not in OF_IMAGES:
            raise ValueError(
                f"`evaluate` is for {', '.join(OF_IMAGES)}, the artifact is for {self.task}. Measure the "
                "Keras model: the task's `measure(l2zoo.load(folder), data)`."
            )
        several = self.output_kind is not None and not self.output_kind.is_exclusive
        if self.task == "segmentation" and several:
            raise ValueError("`evaluate` is not for masks that overlap, which no data have.")
        if self.task == "regression" and any(len(spec["shape"]) > 2 for spec in self._outputs.values()):
            raise ValueError("`evaluate` is for numbers of an image, not for those of each of its pixels.")
        return "multilabel" if self.task == "classification" and several else self.task

    @property
    def image_shape(self) -> tuple[int, int, int]:
        """`(H, W, C)` of the images that the model takes."""
        return self._image_shape

    @property
    def aspect(self) -> str:
        """How images of another aspect are brought to it: `"stretch"`, `"crop"` or `"pad"`."""
        return str(self._aspect)

    def _list(self, images: Any) -> Sequence[Any]:
        return preprocess.list_images(image_paths.expand(images, self._image_shape))

    @property
    def _image_shape(self) -> tuple[int, int, int]:
        """`(H, W, C)` that the model takes."""
        (spec,) = self._inputs.values()
        height, width, channels = spec["shape"][1:]
        return height, width, channels

    def _answer(self, images: np.ndarray, views: Sequence[View]) -> tuple[Outputs, list[Result]]:
        """What the file gives for images `(B, H, W, C)`, and what it says of them in their own sizes."""
        (name,) = self._inputs
        outputs = self._run({name: images})
        return outputs, self._decode(outputs, views)

    def _decode(self, outputs: Outputs, views: Sequence[View]) -> list[Result]:
        """What is said of images of some sizes, which the model saw in its own."""
        if self.output_kind is None:
            return postprocess.decode_boxes(outputs, views, self.class_names, min_score=self.min_score or 0.0)
        (answers,) = outputs.values()
        if self.task == "regression":
            return [Estimated(one) for one in answers]
        if self.task == "segmentation":
            return postprocess.decode_masks(answers, views, self.class_names, self.output_kind)
        return postprocess.decode_classes(answers, self.class_names, self.output_kind)

    def sample(
        self,
        n: int,
        *,
        steps: int = 50,
        labels: int | Sequence[int] | np.ndarray | None = None,
        guidance: float = 1.0,
        seed: int = 0,
        batch_size: int = 64,
        progress: bool = False,
    ) -> np.ndarray:
        """Draws new images, by `l2zoo.tasks.diffusion.sampling.draw`, which explains the arguments.

        With `progress` a bar is shown, on a terminal.

        Returns:
            Images `(n, H, W, C)`, uint8 in [0, 255]; the same seed draws what the Keras model draws.

        Raises:
            TypeError: A number is none.
            ValueError: A number out of range; labels for a model without classes; the model is for
                something else.
        """
        self._check_task("sample")
        labelled = "labels" in self._inputs
        if labelled and not self.class_names:
            raise ValueError("The artifact does not name its classes. Export it with Card(class_names=...).")

        def denoise(images: np.ndarray, times: np.ndarray, classes: np.ndarray | None) -> np.ndarray:
            feed = {"images": images, "times": times} | ({"labels": classes} if labelled else {})
            (velocity,) = self._run(feed).values()  # type: ignore[arg-type]
            return velocity

        with progress_bar("drawing", unit="steps", shown=progress) as watch:
            return sampling.draw(
                denoise, self._inputs["images"]["shape"][1:], n, steps=steps, labels=labels,
                num_classes=len(self.class_names) if labelled else None,
                guidance=guidance, seed=seed, batch_size=batch_size, watch=watch,
            )  # fmt: skip

    def generate(
        self, frames: Any, length: int, *, batch_size: int = 64, progress: bool = False
    ) -> np.ndarray:
        """Continues clips: each frame that the model predicts is the next that it sees.

        Args:
            frames: `(N, T, H, W, C)`, the clips so far, pixels in [0, 255], at least 2 frames.
            length: How many frames follow, at least 1.
            batch_size: Clips that are continued together.
            progress: Whether a bar is shown, on a terminal.

        Returns:
            `(N, length, H, W, C)`, float32 in [0, 255].

        Raises:
            TypeError: `length` is not a whole number, or `frames` are none.
            ValueError: Too few frames, frames of another size, or with values that are not pixels; the model
                is for something else.
        """
        self._check_task("generate")
        shapes = {name: spec["shape"][1:] for name, spec in self._inputs.items()}
        clips = rollout.check_frames(frames, frame_shape=shapes.pop("frame"))
        check_pixels(clips, where="`frames`")
        with progress_bar("continuing", unit="frames", shown=progress) as watch:
            return rollout.rollout(
                self._run, clips, length, states=shapes, batch_size=batch_size, watch=watch
            )

    def _check_task(self, method: str) -> None:
        if _METHODS[self.task] != method:
            raise ValueError(
                f"`{method}` is not for {self.task}, which the artifact is for. Call `{_METHODS[self.task]}`."
            )

    def _open_file(self, whole: Whole, threads: int) -> Callable[[Inputs], Outputs]:
        """What runs the file, if it takes what the manifest says."""
        file = whole.read(self._path)
        probe.try_tflite(whole, self._path, file, threads=threads)
        predict, found = tflite.open_content(file, self._path, threads=threads)
        said, takes = _shapes(self._inputs), _shapes(found["inputs"])
        if said != takes or set(found["outputs"]) != set(self._outputs):
            raise ValueError(
                f"{self._path} must take {said} and give {sorted(self._outputs)}, as the manifest says, it "
                f"takes {takes} and gives {sorted(found['outputs'])}. Export the model again."
            )
        return predict

    def _run(self, feed: Inputs) -> Outputs:
        feed = {
            name: np.asarray(part).astype(self._inputs[name]["dtype"], copy=False)
            for name, part in feed.items()
        }
        with as_value_errors(f"{self._path} cannot be run"):
            outputs = self._predict(feed)
        wanted = _shapes(self._outputs)
        for name, answer in outputs.items():
            if list(answer.shape[1:]) != wanted[name] or not np.isfinite(answer).all():
                raise ValueError(
                    f"{self._path} must answer {name!r} with finite numbers of shape {wanted[name]}, as the "
                    f"manifest says, it answers with shape {list(answer.shape[1:])}. Export the model again."
                )
        return outputs


def select_format(format: str, there: Sequence[str]) -> str:  # noqa: A002
    """The format to run, out of those that are there.

    Raises:
        ValueError: None of them runs here, or the one asked for is not among them.
    """
    runnable = [name for name in RUNNABLE if name in there]
    if not runnable:
        raise ValueError(
            f"The artifact has no TFLite file to run, it has {list(there)}. Export it with "
            'formats=["tflite"], or load the Keras model with `l2zoo.load`.'
        )
    if format == "auto":
        return runnable[0]
    if format not in runnable:
        raise ValueError(
            f'`format` must be "auto" or one of {runnable}, which run here, got format={format!r}. The '
            f"artifact has {list(there)}.{did_you_mean(format, ['auto', *runnable])}"
        )
    return format


def _task(content: Mapping[str, Any]) -> str:
    """What the model is for.

    Raises:
        ValueError: The manifest does not say it, or what goes in and comes out is of another task.
    """
    inputs, outputs = content.get("inputs"), content.get("outputs")
    if not inputs or not outputs:
        raise ValueError("The manifest must say what goes in and comes out. Export the model again.")
    found = content.get("task")
    if found is None:
        raise ValueError(
            "The artifact does not say what its model is for. Export it with Card(task=...), one of "
            f"{list(task_spec.TASKS)}, and what its output means, Card(output_kind=...), one of "
            f"{list(KINDS)}."
        )
    known = all(None not in spec["shape"][1:] for spec in [*inputs.values(), *outputs.values()])
    if not known or not task_spec.fits(found, inputs, outputs):
        raise ValueError(
            f"The manifest says that the model is for {found}, but its shapes are those of another, "
            f"{_shapes(inputs)} to {_shapes(outputs)}. Export the model again."
        )
    return found


def _output_kind(
    task: str, content: Mapping[str, Any], threshold: float | Sequence[float] | None
) -> OutputKind | None:
    """What the lone output of a model of images means; None of tasks whose outputs have names that say it.

    Raises:
        ValueError: The manifest does not say it, or what does not fit; a threshold that nothing is held to.
    """
    if task in task_spec.BY_SHAPE:
        if threshold is not None:
            raise ValueError(
                f"`threshold` is for classes, got threshold={threshold} for {task}. Leave it out"
                f"{', or give min_score' if task == 'detection' else ''}."
            )
        return None
    (spec,) = content["outputs"].values()
    kind = OutputKind.of_spec(spec)
    if kind is None or (task == "regression") != (kind.name == "values"):
        raise ValueError(
            f"The manifest must say what the output of a model for {task} means, it says "
            f"{spec.get('kind')!r}. Export the model again."
        )
    if threshold is not None:
        if not kind.has_threshold:
            raise ValueError(
                f"`threshold` is for outputs that are binary or multilabel, got threshold={threshold} for "
                f"an output of kind {kind.name!r}. Leave it out."
            )
        kind = OutputKind(kind.name, check_threshold(threshold))
    kind.check_width(spec["shape"][-1])
    return kind


def _min_score(task: str, given: float | None) -> float | None:
    """From which score on a box is there; None of tasks without boxes.

    Raises:
        ValueError: It is out of range, or nothing is held to it.
    """
    if task != "detection":
        if given is not None:
            raise ValueError(f"`min_score` is for boxes, got min_score={given} for {task}. Leave it out.")
        return None
    score = MIN_SCORE if given is None else check_number("min_score", given)
    if score > 1:
        raise ValueError(f"`min_score` must be in [0, 1], got min_score={given}.")
    return score


def _shapes(specs: task_spec.Specs) -> dict[str, list[int | None]]:
    """Shapes without the batch."""
    return {name: spec["shape"][1:] for name, spec in specs.items()}


def _whole(size: tuple[int, int]) -> View:
    """What the model sees of an image that has its size already: all of it."""
    return View.of(size, size, "stretch")
