"""The table of models: listing, finding, building, and the words for a name that is not there."""

import sys

import pytest

from l2zoo import zoo
from tests.processes import output_of


def test_listing_is_sorted_and_holds_the_cnn():
    assert zoo.list_models() == sorted(zoo.MODELS)
    assert "cnn" in zoo.list_models()


def test_a_pattern_selects_names():
    assert zoo.list_models("cn*") == ["cnn", "cnn_plain"]
    assert zoo.list_models("CNN") == []
    assert zoo.list_models("no-such-*") == []


def test_a_task_selects_models():
    assert "cnn" in zoo.list_models(task="classification")
    assert zoo.list_models("x*", task="classification") == []


def test_an_unknown_task_is_an_error_that_lists_the_tasks():
    with pytest.raises(ValueError, match=r"`task` must be one of \['classification'.*\], got task='sorting'"):
        zoo.list_models(task="sorting")


@pytest.mark.parametrize("name", ["cnm", "CNN", "cnn2"])
def test_an_unknown_name_lists_close_ones(name):
    with pytest.raises(ValueError, match=rf"model of the zoo, got name='{name}'\. Close names: .*cnn"):
        zoo.build(name, (8, 8, 1), 10)


def test_a_name_close_to_none_lists_all():
    with pytest.raises(ValueError, match=r"got name='zzzzzz'\. There are: .*cnn"):
        zoo.find("zzzzzz")


def test_a_name_must_be_a_string():
    with pytest.raises(TypeError, match=r"`name` must be a string, got name=3\. list_models\(\)"):
        zoo.find(3)


def test_a_model_for_another_task_is_named_with_those_for_this_one():
    assert zoo.find("unet", task="segmentation") is zoo.MODELS["unet"]
    with pytest.raises(ValueError, match=r"a model for segmentation, got name='resnet20', which is for"):
        zoo.find("resnet20", task="segmentation")
    with pytest.raises(ValueError, match=r"which is for segmentation\. There are: detector\."):
        zoo.find("unet", task="detection")


@pytest.mark.parametrize("name", sorted(zoo.MODELS))
def test_every_row_of_the_table_is_whole_and_its_builder_exists(name):
    entry = zoo.find(name)
    assert callable(entry.load())
    assert entry.task
    assert entry.source
    zoo.check_options(name, entry.options)


@pytest.mark.backends
def test_build_passes_shape_classes_strength_and_options():
    model = zoo.build("cnn", (8, 9, 3), 4, l2=1e-3, options={"filters": (4, 6), "dropout": 0.5})
    assert model.name == "cnn"
    assert model.input_shape == (None, 8, 9, 3)
    assert model.output_shape == (None, 4)
    assert model.get_layer("dropout").rate == 0.5
    assert model.get_layer("stage2_conv2").filters == 6
    assert len(model.losses) == 4  # three convolutions and the dense kernel


def test_options_are_checked_by_name():
    with pytest.raises(
        ValueError,
        match=r"`options` of 'cnn' must be out of \['filters', 'dropout', 'batch_norm'\], got \['drop'\]",
    ):
        zoo.build("cnn", (8, 8, 1), 10, options={"drop": 0.5})
    with pytest.raises(ValueError, match=r"got \['num_classes'\]"):
        zoo.build("cnn", (8, 8, 1), 10, options={"num_classes": 3})
    with pytest.raises(TypeError, match=r"`options` must map names to values, got options=\['dropout'\]"):
        zoo.build("cnn", (8, 8, 1), 10, options=["dropout"])


def test_classes_are_given_to_those_that_know_some():
    assert zoo.build("diffusion", (8, 8, 1)).output_shape == (None, 8, 8, 1)
    with pytest.raises(ValueError, match=r"`num_classes` must be given for 'cnn'"):
        zoo.build("cnn", (8, 8, 1))
    with pytest.raises(ValueError, match=r"`num_classes` is not for 'video', which knows no classes"):
        zoo.build("video", (2, 8, 8, 1), 10)


def test_listing_does_not_import_keras():
    code = "import sys; from l2zoo.zoo import list_models; list_models(); print('keras' in sys.modules)"
    assert output_of([sys.executable, "-c", code]) == "False\n"
