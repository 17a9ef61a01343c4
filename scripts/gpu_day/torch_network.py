"""A network of native/cuda/networks in PyTorch, as fast as PyTorch's own ops make it.

Memory is NTHWC throughout: a spatial convolution sees frames as a channels_last batch, a temporal one sees (T, H·W) as a channels_last image,
both without a copy. At inference batch norms are folded into the convolutions before them and relu works in place; gates are linear layers.
"""

import torch
import torch.nn.functional as F


def parameter_values(network, path):
    """Values by name from a file of f32, in the order of their names, and the bytes of a clip that follow them."""
    values, offset = {}, 0
    with open(path, "rb") as file:
        data = bytearray(file.read())
    for name in sorted(network.parameters):
        extents = network.parameters[name]
        count = 1
        for extent in extents:
            count *= extent
        values[name] = torch.frombuffer(data, dtype=torch.float32, count=count, offset=offset).reshape(extents)
        offset += 4 * count
    t, h, w, c = network.shapes[network.input]
    clip = torch.frombuffer(data, dtype=torch.uint8, count=t * h * w * c, offset=offset).reshape(1, t, h, w, c)
    return values, clip


def _key(name):
    return name.replace(".", "_")


class TorchNetwork(torch.nn.Module):
    """u8 [N, T, H, W, 3] → logits [N, classes]. `training`: norms use the batch's statistics and are not folded.

    The network becomes this module's own: what it says of parameters is changed.
    """

    def __init__(self, network, values, training):
        super().__init__()
        self.network = network
        self.batch_statistics = training
        values = dict(values)
        folded = {} if training else self._fold(values)
        self.skipped = {op.name for op in network.ops if op.name in folded.values()}
        statistics = {op.slots[slot] for op in network.ops if op.kind == "batch_norm" for slot in ("mean", "variance")}
        for op in network.ops:
            if op.name in self.skipped:
                continue
            for slot, name in op.slots.items():
                value = self._as_torch_has_it(op, slot, values[name])
                if name in statistics:
                    self.register_buffer(_key(name), value)
                else:
                    self.register_parameter(_key(name), torch.nn.Parameter(value, requires_grad=training))
        self.steps = [(op, self._step(op)) for op in network.ops if op.name not in self.skipped]
        self.last_use = {}
        for index, (op, _) in enumerate(self.steps):
            for name in op.inputs:
                self.last_use[self._resolve(name)] = index

    def _fold(self, values):
        """Puts norms into the weights before them: {convolution: norm}. Their outputs become other names of the convolutions' outputs."""
        by_output = {op.output: op for op in self.network.ops}
        folded, self.alias = {}, {}
        for norm in self.network.ops:
            if norm.kind != "batch_norm":
                continue
            before = by_output[norm.inputs[0]]
            gamma, beta, mean, variance = (values[norm.slots[slot]].double() for slot in ("gamma", "beta", "mean", "variance"))
            scale = gamma / torch.sqrt(variance + 1e-5)
            weight = before.slots["weight"]
            bias = values[before.slots["bias"]].double() if "bias" in before.slots else torch.zeros_like(mean)
            values[weight] = (values[weight].double() * scale).float()
            values[weight + ".folded_bias"] = (beta + (bias - mean) * scale).float()
            before.slots = {"weight": weight, "bias": weight + ".folded_bias"}
            self.alias[norm.output] = before.output
            folded[before.name] = norm.name
        return folded

    def _resolve(self, name):
        return name if self.batch_statistics else self.alias.get(name, name)

    def _as_torch_has_it(self, op, slot, value):
        if op.kind == "conv" and slot == "weight":
            if self._is_vector(op):
                return value.reshape(value.shape[3:]).t().contiguous()
            kt, kh, kw, c, outputs = value.shape
            if kt > 1 and kh * kw > 1:
                raise NotImplementedError(op.name + ": a kernel over time and space")
            image = value.reshape(kt, 1, c, outputs) if kt > 1 else value.reshape(kh, kw, c, outputs)
            return image.permute(3, 2, 0, 1).contiguous(memory_format=torch.channels_last)
        if op.kind == "depthwise" and slot == "weight":
            return value.permute(2, 0, 1).unsqueeze(1).contiguous()
        if op.kind == "dense" and slot == "weight":
            return value.t().contiguous()
        return value.clone()

    def _is_vector(self, op):
        return self.network.shapes[op.inputs[0]][:3] == (1, 1, 1) == op.kernel

    def _step(self, op):
        """The op as a function of its inputs, [N, T, H, W, C] all of them."""
        get = lambda slot: getattr(self, _key(op.slots[slot])) if slot in op.slots else None
        if op.kind == "normalize":
            return lambda x: x.to(self.dtype).mul_(1 / 127.5).sub_(1)
        if op.kind in ("conv", "dense") and (op.kind == "dense" or self._is_vector(op)):
            return lambda x: F.linear(x, get("weight"), get("bias"))
        if op.kind in ("conv", "depthwise"):
            groups = self.network.shapes[op.inputs[0]][3] if op.kind == "depthwise" else 1
            return lambda x: self._windowed(x, op, lambda image, stride, pad: F.conv2d(image, get("weight"), get("bias"), stride, pad, 1, groups), 0)
        if op.kind == "pool":
            return lambda x: self._pool(x, op)
        if op.kind == "batch_norm":
            def norm(x):
                image = x.reshape(-1, x.shape[2] * x.shape[3], 1, x.shape[4]).permute(0, 3, 1, 2)
                y = F.batch_norm(image, get("mean"), get("variance"), get("gamma"), get("beta"), self.batch_statistics, 0.1, 1e-5)
                return y.permute(0, 2, 3, 1).reshape(x.shape)
            return norm
        if op.kind == "activation":
            functions = {"relu": F.relu if self.batch_statistics else F.relu_, "hswish": F.hardswish, "sigmoid": torch.sigmoid}
            function = functions[op.function]
            if function is F.relu_ and not self._owns(op):
                function = F.relu
            return function
        if op.kind == "mean":
            axes = (1, 2, 3) if op.extent == "clip" else (2, 3)
            return lambda x: x.mean(axes, keepdim=True)
        if op.kind == "attention":
            def attention(theta, phi, g):
                rows = lambda x: x.reshape(x.shape[0], -1, x.shape[4])
                scores = torch.softmax(rows(theta) @ rows(phi).transpose(1, 2) / theta.shape[4] ** 0.5, -1)
                return (scores @ rows(g)).reshape(theta.shape)
            return attention
        return {
            "add": lambda a, b: a + b,
            "gate": lambda x, z: x * torch.sigmoid(z),
            "dropout": lambda x: F.dropout(x, op.rate, self.batch_statistics) if op.rate else x,
            "temporal_softmax": lambda x: (x * torch.softmax(x / x.shape[1] ** 0.5, 1)).sum(1, keepdim=True),
        }[op.kind]

    def _owns(self, op):
        """Whether nothing else reads what the op reads, so that it may be written over."""
        mine = self._resolve(op.inputs[0])
        return sum(self._resolve(name) == mine for other in self.network.ops if other.name not in self.skipped for name in other.inputs) == 1

    def _windowed(self, x, op, function, fill):
        """Runs function(image, stride, padding) over frames, or over time where the kernel spans it. Uneven padding is done apart."""
        over_time = op.kernel[0] > 1 or op.stride[0] > 1
        if not all(front == back for front, back in op.pads):
            (t0, t1), (h0, h1), (w0, w1) = op.pads
            x = F.pad(x, (0, 0, w0, w1, h0, h1, t0, t1), value=fill)
            pads = (0, 0, 0)
        else:
            pads = tuple(front for front, _ in op.pads)
        n, t, h, w, c = x.shape
        if over_time:
            y = function(x.reshape(n, t, h * w, c).permute(0, 3, 1, 2), (op.stride[0], 1), (pads[0], 0)).permute(0, 2, 3, 1)
            return y.reshape(n, y.shape[1], h, w, y.shape[3])
        y = function(x.reshape(n * t, h, w, c).permute(0, 3, 1, 2), op.stride[1:], pads[1:]).permute(0, 2, 3, 1)
        return y.reshape(n, t, *y.shape[1:])

    def _pool(self, x, op):
        over_time = op.kernel[0] > 1 or op.stride[0] > 1
        kernel = (op.kernel[0], 1) if over_time else op.kernel[1:]
        if op.pooling == "max":
            return self._windowed(x, op, lambda image, stride, pad: F.max_pool2d(image, kernel, stride, pad), float("-inf"))
        if all(front == back for front, back in op.pads):
            return self._windowed(x, op, lambda image, stride, pad: F.avg_pool2d(image, kernel, stride, pad, count_include_pad=False), 0)
        sums = self._windowed(x, op, lambda image, stride, pad: F.avg_pool2d(image, kernel, stride, pad, divisor_override=1), 0)
        return sums * self._reciprocal_counts(op).to(x)

    def _reciprocal_counts(self, op):
        """1 / the number of real elements of each window, where padding is uneven."""
        if not hasattr(op, "reciprocal_counts"):
            axes = []
            for extent, outputs, k, s, (front, _) in zip(self.network.shapes[op.inputs[0]], self.network.shapes[op.output], op.kernel, op.stride, op.pads):
                first = torch.arange(outputs) * s - front
                axes.append((torch.clamp(first + k, max=extent) - torch.clamp(first, min=0)).float())
            t, h, w = axes
            op.reciprocal_counts = 1 / (t[:, None, None] * h[:, None] * w)[None, ..., None]
        if op.reciprocal_counts.device != self.device:
            op.reciprocal_counts = op.reciprocal_counts.to(self.device)
        return op.reciprocal_counts

    @property
    def dtype(self):
        return next(self.parameters()).dtype

    @property
    def device(self):
        return next(self.parameters()).device

    def forward(self, clips):
        tensors = {self.network.input: clips}
        for index, (op, step) in enumerate(self.steps):
            inputs = [self._resolve(name) for name in op.inputs]
            tensors[op.output] = step(*(tensors[name] for name in inputs))
            for name in inputs:
                if self.last_use[name] == index:
                    tensors.pop(name, None)
        return tensors[self._resolve(self.network.output)].flatten(1)
