"""Engines that take turns: a block of runs each, round after round, so that clocks and neighbours are the same for all."""

import json
import os
import signal
import statistics
import subprocess
import tempfile
import time
from contextlib import contextmanager, nullcontext

import torch
import torch.nn.functional as F

from gpu_day.network import preset_file, read_network
from gpu_day.torch_network import TorchNetwork, parameter_values

BLOCK_SECONDS = 0.15
MOST_RUNS, LEAST_RUNS = 60, 3
TOLERANCE = 3e-2  # of the largest logit: two networks in fp16


def summarize(times):
    """None where there are none."""
    if not times:
        return None
    ordered = sorted(times)
    return {
        "median": statistics.median(ordered),
        "p90": ordered[min(len(ordered) - 1, (len(ordered) * 9 + 9) // 10 - 1)],
        "min": ordered[0],
        "runs": len(ordered),
    }


class Ours:
    """tvn_cuda_bench --serve (native/cuda/tools/serve.h)."""

    name = "tvn"

    def __init__(self, program, size):
        arguments = [program, "--serve"] + (["--size", str(size)] if size else [])
        self.process = subprocess.Popen(arguments, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.device = self._read()

    def _read(self):
        line = self.process.stdout.readline()
        if not line:
            raise RuntimeError(f"tvn_cuda_bench ended with {self.process.wait()}")
        row = json.loads(line)
        if row["kind"] == "failure":
            raise RuntimeError(row["message"])
        return row

    def ask(self, request):
        self.process.stdin.write(request + "\n")
        self.process.stdin.flush()
        return self._read()

    def block(self, runs):
        answer = self.ask(f"run {runs}")
        return answer["host_ms"], answer["device_ms"]

    def close(self):
        self.process.stdin.close()
        self.process.wait()


class Torch:
    """What PyTorch engines share: clips and logits in pinned memory, blocks of runs by both clocks."""

    def __init__(self, clips, device):
        self.device = device
        self.clips = clips.pin_memory() if device == "cuda" else clips
        self.logits_on_host = None

    def download(self, logits):
        """As f32, in the memory of the first time; a copy to pinned memory has to be waited for."""
        if self.logits_on_host is None:
            self.logits_on_host = torch.empty(logits.shape, dtype=torch.float32, pin_memory=self.device == "cuda")
        self.logits_on_host.copy_(logits.float(), non_blocking=True)
        self.synchronize()
        return self.logits_on_host

    def synchronize(self):
        if self.device == "cuda":
            torch.cuda.synchronize()

    def block(self, runs):
        host, device = [], []
        for _ in range(runs):
            begin = time.perf_counter()
            self.run()
            host.append((time.perf_counter() - begin) * 1e3)
        if self.device != "cuda" or not hasattr(self, "kernels"):
            return host, device
        for _ in range(runs):
            begin, end = torch.cuda.Event(enable_timing=True), torch.cuda.Event(enable_timing=True)
            begin.record()
            self.kernels()
            end.record()
            end.synchronize()
            device.append(begin.elapsed_time(end))
        return host, device


class Eager(Torch):
    """Inference, op by op."""

    name = "pytorch"

    def __init__(self, module, clips, device):
        super().__init__(clips, device)
        self.module = module
        self.on_device = clips.to(device)

    def kernels(self):
        with torch.inference_mode():
            return self.module(self.on_device)

    def run(self):
        self.on_device.copy_(self.clips, non_blocking=True)
        return self.download(self.kernels())


class Graph(Eager):
    """The same as one CUDA graph."""

    name = "pytorch-graph"

    def __init__(self, module, clips, device):
        super().__init__(module, clips, device)
        side = torch.cuda.Stream()
        side.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(side):
            for _ in range(3):
                super().kernels()
        torch.cuda.current_stream().wait_stream(side)
        self.graph = torch.cuda.CUDAGraph()
        with torch.inference_mode(), torch.cuda.graph(self.graph):
            self.logits = self.module(self.on_device)

    def kernels(self):
        self.graph.replay()
        return self.logits


class Compiled(Eager):
    name = "pytorch-compile"

    def __init__(self, module, clips, device):
        super().__init__(torch.compile(module, mode="max-autotune"), clips, device)


class Training(Torch):
    """A step with autocast to fp16, a loss scale and fused SGD with Nesterov momentum."""

    name = "pytorch"

    def __init__(self, module, clips, labels, device):
        super().__init__(clips, device)
        self.module, self.labels = module, labels
        half = device == "cuda"
        self.autocast = (lambda: torch.autocast(device, torch.float16)) if half else nullcontext
        scaler = torch.amp.GradScaler if hasattr(torch.amp, "GradScaler") else torch.cuda.amp.GradScaler
        self.scaler = scaler(enabled=half)
        parameters = [parameter for parameter in module.parameters() if parameter.requires_grad]
        settings = {"lr": 1e-4, "momentum": 0.9, "nesterov": True, "weight_decay": 1e-4}
        try:
            self.optimizer = torch.optim.SGD(parameters, fused=half, **settings)
        except (TypeError, RuntimeError):  # before PyTorch 2.4
            self.optimizer = torch.optim.SGD(parameters, **settings)

    def run(self):
        clips = self.clips.to(self.device, non_blocking=True)
        labels = self.labels.to(self.device, non_blocking=True)
        self.optimizer.zero_grad(set_to_none=True)
        with self.autocast():
            logits = self.module(clips)
            loss = F.cross_entropy(logits.float(), labels)
        self.scaler.scale(loss).backward()
        self.scaler.step(self.optimizer)
        self.scaler.update()
        self.download(logits.detach())
        return loss.item()


class Bench:
    """Our process and what is loaded for the current network."""

    def __init__(self, options):
        self.options = options
        self.wrong = False
        self.ours = Ours(options.bench, options.size) if options.bench else None
        self.loaded = None  # name, values, clip
        torch.backends.cudnn.benchmark = True
        torch.manual_seed(1)

    def versions(self):
        on_gpu = self.options.device == "cuda"
        return {
            "torch": torch.__version__,
            "cuda": torch.version.cuda,
            "cudnn": torch.backends.cudnn.version(),
            "device": torch.cuda.get_device_name() if on_gpu else "cpu",
        }

    def values(self, name):
        """Weights and one clip as ours has them, or random ones; our process has the network loaded."""
        if self.loaded and self.loaded[0] == name:
            return self.loaded[1:]
        network = read_network(preset_file(name), self.options.size or None)
        if self.ours:
            with tempfile.TemporaryDirectory() as folder:
                path = os.path.join(folder, "weights")
                self.ours.ask(f"save {path}")
                values, clip = parameter_values(network, path)
        else:
            values = {key: torch.randn(extents) * 0.05 for key, extents in network.parameters.items()}
            values.update({key: value.abs() + 0.5 for key, value in values.items() if key.endswith("variance")})
            clip = torch.randint(0, 256, (1, *network.shapes[network.input]), dtype=torch.uint8)
        self.loaded = (name, values, clip)
        return values, clip

    def module(self, name, training):
        """Without dropout, as our steps are timed."""
        network = read_network(preset_file(name), self.options.size or None)
        for op in network.ops:
            op.rate = 0
        module = TorchNetwork(network, self.values(name)[0], training).to(self.options.device)
        if self.options.device == "cuda" and not training:
            module = module.half()
        return module

    def forget(self):
        if self.options.device == "cuda":
            torch.cuda.empty_cache()

    def close(self):
        if self.ours:
            self.ours.close()


@contextmanager
def limited(seconds):
    """Gives up on what takes longer."""
    def stop(*_):
        raise TimeoutError(f"took more than {seconds:.0f} s")

    before = signal.signal(signal.SIGALRM, stop)
    signal.setitimer(signal.ITIMER_REAL, max(1.0, seconds))
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def compare(bench, task, name, batch, emit, end):
    """One case: loads the engines, holds their logits against ours, lets them take turns, emits a row for each."""
    options = bench.options
    training = task == "training"
    engines = []
    if bench.ours:
        bench.ours.ask(f"{'training' if training else 'inference'} {name} {batch}")
        engines.append(bench.ours)
    _, clip = bench.values(name)
    clips = clip.repeat(batch, 1, 1, 1, 1)
    module = bench.module(name, training)
    row = {"task": "training" if training else "inference", "network": name, "batch": batch, "size": options.size or clip.shape[2]}

    def add(make):
        """An engine that cannot be had is a row, and the others go on."""
        try:
            engine = make()
            for _ in range(3):
                engine.run()
            engines.append(engine)
        except Exception as error:
            emit({"kind": "failure", **row, "message": f"{type(error).__name__}: {error}"[:500]})

    if training:
        add(lambda: Training(module, clips, torch.arange(batch) % bench_classes(name), options.device))
    elif task == "compile":
        with limited(end - time.monotonic()):
            add(lambda: Compiled(module, clips, options.device))
    else:
        add(lambda: Eager(module, clips, options.device))
        if options.device == "cuda":
            add(lambda: Graph(module, clips, options.device))
    if not training and bench.ours:
        want = torch.tensor(bench.ours.ask(f"save {os.devnull}")["logits"])
        for engine in list(engines[1:]):
            error = ((engine.run()[0] - want).abs().max() / want.abs().max()).item()
            ok = error <= TOLERANCE
            emit({"kind": "agreement", **row, "engine": engine.name, "error": error, "tolerance": TOLERANCE, "ok": ok})
            if not ok:
                bench.wrong = True
                engines.remove(engine)
    take_turns(engines, options.rounds, row, emit)


def bench_classes(name):
    return read_network(preset_file(name)).classes


def take_turns(engines, rounds, row, emit):
    """Blocks of about as much time for each, in rounds."""
    runs = {}
    for engine in engines:
        host, _ = engine.block(1)
        least = 1 if host[0] > 1e3 else LEAST_RUNS
        runs[engine] = max(least, min(MOST_RUNS, int(BLOCK_SECONDS * 1e3 / max(host[0], 1e-3))))
    times = {engine: ([], []) for engine in engines}
    for _ in range(rounds):
        for engine in engines:
            for to, block in zip(times[engine], engine.block(runs[engine])):
                to += block
    for engine in engines:
        host, device = times[engine]
        emit({"kind": "turns", **row, "engine": engine.name, "host_ms": summarize(host), "device_ms": summarize(device)})
