"""The card says what the manifest says, in words."""

import pytest

from l2zoo.artifacts import Card, usage


def test_the_card_says_what_a_stranger_needs(written):
    text = (written.folder / "README.md").read_text(encoding="utf-8")
    for words in (
        "# digits_cnn\n\nReads handwritten digits.\n",
        "- input `images`: float32 (B, 8, 8, 1), raw pixels in [0, 255]",
        "- output `output_0`: float32 (B, 10)",
        "- classes, in the order of the output: 0, 1, 2, 3, 4, 5, 6, 7, 8, 9",
        "| test_accuracy | 0.975 ± 0.003 (standard error), seeds 3 |",
        "| epochs | 2 |",
        'With l2zoo, `l2zoo.Predictor(".")` takes files and images of any size',
        f"## L2\n\n{written.manifest['l2']['summary']}",
        "## Data\n\nscikit-learn's 1,797 digits, 8x8.",
        "## Privacy\n\nMembers could not be told from others.",
        "| tflite | `model.tflite` | ",
        f"Written {written.manifest['created']} by l2zoo ",
    ):
        assert words in text


@pytest.mark.parametrize(
    ("task", "words"),
    [
        ("detection", '`l2zoo.Predictor(".")` takes files and images'),
        ("generation", '`l2zoo.Predictor(".").sample(16)` draws 16 images, clearer ones of its classes'),
        ("video", '`l2zoo.Predictor(".").generate(clips, 10)` adds 10 frames to clips'),
    ],
)
def test_it_says_how_a_task_s_models_are_used(written, task, words):
    assert words in usage.section({**written.manifest, "task": task})


@pytest.mark.parametrize(
    ("options", "error", "words"),
    [
        ({"class_names": "digits"}, TypeError, "`class_names` must be a list of names, got 'digits'"),
        ({"privacy": 0.5}, TypeError, "`privacy` must be words, got float. Give the report's `sentence`"),
        ({"picture": "curve.exe"}, ValueError, "`picture` must end in one of"),
        (
            {"picture": "no/such.png"},
            FileNotFoundError,
            "`picture` must be an image file, got picture='no/such",
        ),
    ],
)
def test_a_card_that_cannot_be_written_is_refused_at_once(options, error, words):
    with pytest.raises(error, match=words):
        Card(**options)
