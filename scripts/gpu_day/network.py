"""Networks of native/cuda/networks: the text format of native/test/networks/read_networks.h, with every shape worked out and checked.

Needs nothing but Python 3.8. Tensors are (T, H, W, C) of one clip; SAME padding is TensorFlow's, the smaller half in front.
"""

import os


class NetworkError(Exception):
    """A file that says something that cannot be."""


class Op:
    """One op: `slots` are the names of its parameters by slot, `pads` (front, back) of T, H, W where it has a window."""

    def __init__(self, kind, fields):
        triple = lambda text: tuple(int(part) for part in text.split(","))
        self.kind = kind
        self.name = fields.pop("name")
        self.inputs = fields.pop("inputs").split(",")
        self.output = fields.pop("output")
        self.kernel = triple(fields.pop("kernel", "1,1,1"))
        self.stride = triple(fields.pop("stride", "1,1,1"))
        self.padding = fields.pop("padding", "same")
        self.pooling = fields.pop("pooling", "max")
        self.function = fields.pop("function", "none")
        self.extent = fields.pop("extent", "clip")
        self.rate = float(fields.pop("rate", "0"))
        self.pads = ((0, 0),) * 3
        self.slots = fields


class Network:
    """`shapes` by tensor, `parameters` extents by name, `macs` of a clip and `trainable` parameters as counted here, `said` as the file says."""

    def __init__(self, name):
        self.name = name
        self.said = None
        self.input = self.output = None
        self.shapes, self.parameters, self.ops = {}, {}, []
        self.macs = self.trainable = 0

    @property
    def classes(self):
        return self.shapes[self.output][3]


def read_network(path, size=None):
    """The one network of a file; `size`: pixels of a side instead of its own, where what the file says of its cost is not compared."""
    network = None
    with open(path) as lines:
        for line in lines:
            what, *words = line.split()
            if what == "network":
                network = Network(words[0])
            elif what == "cost":
                network.said = (int(words[0]), int(words[1]))
            elif what == "input":
                t, h, w, c = (int(word) for word in words[1:])
                network.input = words[0]
                network.shapes[words[0]] = (t, size or h, size or w, c)
            elif what == "parameter":
                network.parameters[words[0]] = tuple(int(word) for word in words[1:])
            elif what == "op":
                network.ops.append(Op(words[0], dict(word.split("=", 1) for word in words[1:])))
            elif what == "output":
                network.output = words[0]
            elif what != "repeat":
                raise NetworkError("no line of a network: " + line.strip())
    for op in network.ops:
        network.shapes[op.output] = _infer(network, op)
    statistics = {op.slots[slot] for op in network.ops if op.kind == "batch_norm" for slot in ("mean", "variance")}
    network.trainable = sum(_product(extents) for name, extents in network.parameters.items() if name not in statistics)
    if network.said and not size and network.said != (network.macs, network.trainable):
        raise NetworkError(f"{network.name} has {network.macs} multiply-accumulates and {network.trainable} parameters, its file says {network.said}")
    return network


def preset_file(name):
    """Where a preset of the project lies."""
    root = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
    return os.path.join(root, "native", "cuda", "networks", name + ".txt")


def _product(extents):
    product = 1
    for extent in extents:
        product *= extent
    return product


def _axis(extent, kernel, stride, padding):
    """(outputs, padding in front, padding behind)"""
    if padding == "valid":
        return (extent - kernel) // stride + 1, 0, 0
    outputs = -(-extent // stride)
    total = max((outputs - 1) * stride + kernel - extent, 0)
    return outputs, total // 2, total - total // 2


def _infer(network, op):
    """The shape of an op's output; counts its multiply-accumulates and compares its parameters with what they must be."""
    shapes = []
    for name in op.inputs:
        if name not in network.shapes:
            raise NetworkError(f"{op.name} reads {name}, which is not there yet")
        shapes.append(network.shapes[name])
    t, h, w, c = shapes[0]

    def expect(slot, *extents):
        name = op.slots.get(slot)
        if name is not None and network.parameters.get(name) != extents:
            raise NetworkError(f"{op.name}: {slot} is {network.parameters.get(name)}, expected {extents}")

    def window():
        axes = [_axis(extent, k, s, op.padding) for extent, k, s in zip((t, h, w), op.kernel, op.stride)]
        op.pads = tuple((front, back) for _, front, back in axes)
        return tuple(outputs for outputs, _, _ in axes)

    taps = _product(op.kernel)
    if op.kind == "conv":
        places, outputs = window(), network.parameters[op.slots["weight"]][4]
        expect("weight", *op.kernel, c, outputs)
        expect("bias", outputs)
        network.macs += _product(places) * taps * c * outputs
        return places + (outputs,)
    if op.kind == "depthwise":
        places = window()
        expect("weight", *op.kernel[1:], c)
        network.macs += _product(places) * taps * c
        return places + (c,)
    if op.kind == "pool":
        return window() + (c,)
    if op.kind == "dense":
        outputs = network.parameters[op.slots["weight"]][1]
        expect("weight", c, outputs)
        expect("bias", outputs)
        network.macs += t * h * w * c * outputs
        return (t, h, w, outputs)
    if op.kind == "batch_norm":
        for slot in ("gamma", "beta", "mean", "variance"):
            expect(slot, c)
    elif op.kind == "add" and shapes[0] != shapes[1]:
        raise NetworkError(f"{op.name} adds {shapes[0]} and {shapes[1]}")
    elif op.kind == "gate" and shapes[1] != (1, 1, 1, c):
        raise NetworkError(f"{op.name} scales {shapes[0]} by {shapes[1]}")
    elif op.kind == "attention":
        network.macs += 2 * _product(shapes[0][:3]) * _product(shapes[1][:3]) * c
    elif op.kind == "mean":
        return (1, 1, 1, c) if op.extent == "clip" else (t, 1, 1, c)
    elif op.kind == "temporal_softmax":
        return (1, 1, 1, c)
    elif op.kind not in ("normalize", "activation", "add", "gate", "dropout"):
        raise NetworkError(f"{op.name}: {op.kind} is unknown")
    return (t, h, w, c)
