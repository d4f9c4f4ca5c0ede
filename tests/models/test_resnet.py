from __future__ import annotations

import keras
import numpy as np
import pytest

from l2zoo import audit
from l2zoo.models.resnet import DEPTHS, build_resnet
from tests.test_contract import more_of_the_same

# torchvision's, for 1,000 classes; biases of the last layer, scales and offsets of the norms included.
TORCHVISION = {18: 11_689_512, 34: 21_797_672, 50: 25_557_032, 101: 44_549_160, 152: 60_192_808}


def trainable(model: keras.Model) -> int:
    return sum(int(np.prod(v.shape)) for v in model.trainable_variables)


def by_hand(depth: int) -> int:
    """He et al. 2015, section 4.2: 6n + 2 layers of 3x3 convolutions, 16, 32, 64 channels, no projections."""
    n = (depth - 2) // 6
    convolutions = [(3, 16)] + [(16, 16)] * 2 * n
    for before, after in ((16, 32), (32, 64)):
        convolutions += [(before, after)] + [(after, after)] * (2 * n - 1)
    return sum(9 * a * b + 2 * b for a, b in convolutions) + 64 * 10 + 10


def some(quick, depths):
    """Depths as parameters of a test: the quick ones as they are, the others for the sweep."""
    return [pytest.param(d, marks=[] if d in quick else more_of_the_same(False)) for d in depths]


@pytest.mark.parametrize("depth", some((20, 44), (20, 32, 44, 56, 110)))
def test_the_small_family_has_the_weights_of_the_paper(depth):
    model = build_resnet((32, 32, 3), num_classes=10, depth=depth)
    assert trainable(model) == by_hand(depth)
    paper = {20: 0.27, 32: 0.46, 44: 0.66, 56: 0.85, 110: 1.7}[depth]  # millions, table 6
    assert trainable(model) / 1e6 == pytest.approx(paper, abs=0.03)
    layers = [layer for layer in model.layers if isinstance(layer, (keras.layers.Conv2D, keras.layers.Dense))]
    assert len(layers) == depth


@pytest.mark.parametrize("depth", some((18,), (18, 34, 50, 101, 152)))
def test_the_large_family_has_the_weights_of_torchvision(depth):
    assert trainable(build_resnet((64, 64, 3), num_classes=1000, depth=depth)) == TORCHVISION[depth]


def by_hand_of_version_2(depth: int) -> int:
    """He et al. 2016, figure 4e: a norm before every convolution but stem and shortcuts, and one at last."""
    small = depth in (20, 32, 44, 56, 110)
    if small:
        repeats, widths, before, total = [(depth - 2) // 6] * 3, (16, 32, 64), 16, 9 * 3 * 16
    else:
        repeats = {
            18: (2, 2, 2, 2),
            34: (3, 4, 6, 3),
            50: (3, 4, 6, 3),
            101: (3, 4, 23, 3),
            152: (3, 8, 36, 3),
        }[depth]
        widths, before, total = (64, 128, 256, 512), 64, 49 * 3 * 64
    for count, width in zip(repeats, widths, strict=True):
        after = 4 * width if depth >= 50 and not small else width
        for number in range(count):
            if after == width:
                kernels = 9 * before * width + 9 * width * width
                norms = 2 * before + 2 * width
            else:
                kernels = before * width + 9 * width * width + width * after
                norms = 2 * before + 2 * width + 2 * width
            projects = not small and number == 0 and (before != after or width != widths[0])
            total += kernels + norms + (before * after if projects else 0)
            before = after
    return total + 2 * before + before * 10 + 10


@pytest.mark.parametrize("depth", some((20,), DEPTHS))
def test_version_2_has_the_weights_counted_by_hand(depth):
    assert trainable(
        build_resnet((32, 32, 3), num_classes=10, depth=depth, version=2)
    ) == by_hand_of_version_2(depth)


@pytest.mark.slow
def test_version_2_has_the_weights_of_keras_but_for_biases_before_a_norm():
    keras_own = keras.applications.ResNet50V2(weights=None, input_shape=(32, 32, 3), classes=10)
    biases = [
        w for w in keras_own.trainable_weights if w.name == "bias" and not w.path.startswith("predictions")
    ]
    surplus = sum(int(np.prod(bias.shape)) for bias in biases)
    ours = build_resnet((32, 32, 3), num_classes=10, depth=50, version=2)
    assert surplus > 0
    assert trainable(ours) == trainable(keras_own) - surplus


@pytest.mark.parametrize("depth", [20, 18])
def test_version_2_normalises_before_and_once_more_at_the_end(depth):
    model = build_resnet((32, 32, 3), num_classes=10, depth=depth, version=2)
    names = [layer.name for layer in model.layers]
    assert names.index("stage1_block1_pre_bn") < names.index("stage1_block1_conv1")
    assert names.index("head_bn") > names.index(f"stage{len(DEPTHS[depth].repeats)}")


def kernels_of_a_block(before, width, after, stride, *, bottleneck):
    """Channels before and after, size and stride of each convolution."""
    if bottleneck:
        return [(before, width, 1, 1), (width, width, 3, stride), (width, after, 1, 1)]
    return [(before, width, 3, stride), (width, width, 3, 1)]


def torch_resnet(depth: int):
    """Torchvision's network, written with plain modules."""
    from torch import nn

    repeats, bottleneck = DEPTHS[depth].repeats, DEPTHS[depth].bottleneck

    def conv_bn(before, after, kernel, stride=1):
        return nn.Sequential(
            nn.Conv2d(before, after, kernel, stride, kernel // 2, bias=False), nn.BatchNorm2d(after)
        )

    class Block(nn.Module):
        def __init__(self, before, width, stride):
            super().__init__()
            after = width * 4 if bottleneck else width
            kernels = kernels_of_a_block(before, width, after, stride, bottleneck=bottleneck)
            self.convs = nn.ModuleList(conv_bn(a, b, k, s) for a, b, k, s in kernels)
            changes = stride != 1 or before != after
            self.shortcut = conv_bn(before, after, 1, stride) if changes else nn.Identity()

        def forward(self, x):
            y = x
            for number, conv in enumerate(self.convs):
                y = conv(y)
                if number < len(self.convs) - 1:
                    y = y.relu()
            return (y + self.shortcut(x)).relu()

    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.stem = conv_bn(3, 64, 7, 2)
            self.pool = nn.MaxPool2d(3, 2, 1)
            blocks, channels = [], 64
            for stage, count in enumerate(repeats):
                width = 64 * 2**stage
                for number in range(count):
                    blocks.append(Block(channels, width, 2 if stage and not number else 1))
                    channels = width * 4 if bottleneck else width
            self.blocks = nn.Sequential(*blocks)
            self.fc = nn.Linear(channels, 10)

        def forward(self, x):
            x = self.blocks(self.pool(self.stem(x).relu()))
            return self.fc(x.mean((2, 3))).softmax(1)

    return Net()


def torch_resnet_v2(depth: int):
    """The same with norm and ReLU in front (He et al. 2016, figure 4e), written with plain modules.

    The pooling sees zeros around the features, as in Keras's and BiT's version 2: they can be negative there.
    """
    from torch import nn

    repeats, bottleneck = DEPTHS[depth].repeats, DEPTHS[depth].bottleneck

    class Block(nn.Module):
        def __init__(self, before, width, stride):
            super().__init__()
            after = width * 4 if bottleneck else width
            kernels = kernels_of_a_block(before, width, after, stride, bottleneck=bottleneck)
            self.norms = nn.ModuleList(nn.BatchNorm2d(a) for a, _, _, _ in kernels)
            self.convs = nn.ModuleList(nn.Conv2d(a, b, k, s, k // 2, bias=False) for a, b, k, s in kernels)
            changes = stride != 1 or before != after
            self.shortcut = nn.Conv2d(before, after, 1, stride, bias=False) if changes else None

        def forward(self, x):
            y = first = self.norms[0](x).relu()
            for number, conv in enumerate(self.convs):
                y = conv(y if number == 0 else self.norms[number](y).relu())
            return y + (x if self.shortcut is None else self.shortcut(first))

    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.stem = nn.Conv2d(3, 64, 7, 2, 3, bias=False)
            self.pool = nn.Sequential(nn.ZeroPad2d(1), nn.MaxPool2d(3, 2))
            blocks, channels = [], 64
            for stage, count in enumerate(repeats):
                width = 64 * 2**stage
                for number in range(count):
                    blocks.append(Block(channels, width, 2 if stage and not number else 1))
                    channels = width * 4 if bottleneck else width
            self.blocks = nn.Sequential(*blocks)
            self.head = nn.BatchNorm2d(channels)
            self.fc = nn.Linear(channels, 10)

        def forward(self, x):
            x = self.head(self.blocks(self.pool(self.stem(x)))).relu()
            return self.fc(x.mean((2, 3))).softmax(1)

    return Net()


def copied_v2(net, model: keras.Model) -> None:
    """Gives a Keras model of version 2 the weights of a PyTorch one, by name."""

    def give(conv, name):
        model.get_layer(name).set_weights([conv.weight.detach().numpy().transpose(2, 3, 1, 0)])

    def give_norm(norm, name):
        values = (norm.weight, norm.bias, norm.running_mean, norm.running_var)
        model.get_layer(f"{name}_bn").set_weights([v.detach().numpy() for v in values])

    give(net.stem, "stem_conv")
    blocks = iter(net.blocks)
    plan = DEPTHS[int(model.name.removeprefix("resnet").removesuffix("v2"))]
    for stage, count in enumerate(plan.repeats, start=1):
        for number in range(1, count + 1):
            block, name = next(blocks), f"stage{stage}_block{number}"
            for index, conv in enumerate(block.convs, start=1):
                give(conv, f"{name}_conv{index}")
            for index, norm in enumerate(block.norms):  # each belongs to the convolution before it
                give_norm(norm, f"{name}_conv{index}" if index else f"{name}_pre")
            if block.shortcut is not None:
                give(block.shortcut, f"{name}_shortcut")
    give_norm(net.head, "head")
    weight, bias = net.fc.weight.detach().numpy().T, net.fc.bias.detach().numpy()
    model.get_layer("logits").set_weights([weight, bias])


def copied(net, model: keras.Model) -> None:
    """Gives a Keras model the weights of a PyTorch one, by name."""

    def give(conv_bn, name):
        conv, norm = conv_bn
        model.get_layer(name).set_weights([conv.weight.detach().numpy().transpose(2, 3, 1, 0)])
        values = (norm.weight, norm.bias, norm.running_mean, norm.running_var)
        model.get_layer(f"{name}_bn").set_weights([v.detach().numpy() for v in values])

    give(net.stem, "stem_conv")
    blocks = iter(net.blocks)
    plan = DEPTHS[int(model.name.removeprefix("resnet"))]
    for stage, count in enumerate(plan.repeats, start=1):
        for number in range(1, count + 1):
            block = next(blocks)
            for index, conv_bn in enumerate(block.convs, start=1):
                give(conv_bn, f"stage{stage}_block{number}_conv{index}")
            if len(list(block.shortcut.parameters())):
                give(block.shortcut, f"stage{stage}_block{number}_shortcut")
    weight, bias = net.fc.weight.detach().numpy().T, net.fc.bias.detach().numpy()
    model.get_layer("logits").set_weights([weight, bias])


@pytest.mark.slow
@pytest.mark.parametrize(
    ("depth", "version"),
    [
        (18, 1),
        pytest.param(18, 2, marks=pytest.mark.sweep),
        pytest.param(50, 1, marks=pytest.mark.sweep),
        (50, 2),
    ],
)
def test_with_pytorchs_weights_it_answers_like_pytorch(depth, version):
    torch = pytest.importorskip("torch", reason='needs pip install "l2zoo[torch]"')
    torch.manual_seed(0)
    net = torch_resnet(depth) if version == 1 else torch_resnet_v2(depth)
    for module in net.modules():
        if isinstance(module, torch.nn.BatchNorm2d):  # not the 0 and 1 of a new norm, which hide mistakes
            module.running_mean.uniform_(-0.2, 0.2)
            module.running_var.uniform_(0.8, 1.2)
            torch.nn.init.uniform_(module.weight, 0.8, 1.2)
            torch.nn.init.uniform_(module.bias, -0.2, 0.2)
    net.fc.weight.data *= 10  # classes far from each other
    net.eval()
    model = build_resnet((64, 96, 3), num_classes=10, depth=depth, version=version)
    (copied if version == 1 else copied_v2)(net, model)
    images = np.random.default_rng(0).integers(0, 256, (2, 64, 96, 3)).astype("float32")
    with torch.no_grad():
        theirs = net(torch.from_numpy(images.transpose(0, 3, 1, 2) / 255)).numpy()
    np.testing.assert_allclose(model.predict(images, verbose=0), theirs, atol=1e-4)
    assert theirs.max() > 0.15  # not the same for every class


def test_every_convolution_is_penalised_and_the_stages_have_names():
    model = build_resnet((32, 32, 3), num_classes=10, depth=20, l2=5e-5)
    assert audit(model).summary.startswith("l2: 20 kernels at 5e-05")
    shapes = [model.get_layer(f"stage{number}").output.shape[1:] for number in (1, 2, 3)]
    assert shapes == [(32, 32, 16), (16, 16, 32), (8, 8, 64)]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"depth": 19},
            r"`depth` must be one of \[18, 20, 32, 34, 44, 50, 56, 101, 110, 152\], got depth=19",
        ),
        ({"version": 3}, "`version` must be 1 or 2, got version=3"),
        ({"input_shape": (4, 4, 3)}, "at least 8x8 pixels"),
        ({"input_shape": (31, 64, 3), "depth": 18}, "at least 32x32 pixels"),
        ({"num_classes": 1}, "`num_classes` must be a whole number >= 2"),
    ],
)
def test_bad_arguments_are_refused(changes, message):
    arguments = {"input_shape": (32, 32, 3), "num_classes": 10, **changes}
    with pytest.raises(ValueError, match=message):
        build_resnet(arguments.pop("input_shape"), **arguments)


@pytest.mark.parametrize("depth", [[20], 20.0, True])
def test_a_depth_that_is_no_whole_number_is_refused(depth):
    with pytest.raises(TypeError, match="`depth` must be a whole number"):
        build_resnet((32, 32, 3), num_classes=10, depth=depth)
