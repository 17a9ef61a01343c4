"""Times the networks of native/cuda/networks in PyTorch and in this project's CUDA backend, in turns; scripts/gpu-day.sh runs it.

    python3 scripts/gpu-day-rivals.py --bench build/gpu-day/tools/tvn_cuda_bench --seconds 180 > rivals.jsonl
    python3 scripts/gpu-day-rivals.py --dry-run           every network's shapes, parameters and multiply-accumulates, without PyTorch

Prints a line of JSON for each engine: `pytorch` (eager, cuDNN, channels_last, fp16, norms folded), `pytorch-graph` (the same as one CUDA graph),
`pytorch-compile` (torch.compile) and `tvn`; for training steps `pytorch` with autocast and a loss scale. All have the same weights; an engine
whose logits are not near ours is reported and not timed. A case for which there is no time any more is a row `skipped`.
`--device cpu --size 32 --networks tvn-1` tries all of it in small without a GPU, beside the emulation.

Exit status: 0, 1 (wrong figures or logits), 3 (no PyTorch, or no GPU).
"""

import argparse
import json
import sys
import time

from gpu_day.network import NetworkError, preset_file, read_network

PRESETS = ("tvn-1", "tvn-2", "tvn-3", "tvn-4", "tvn-mobile-1", "tvn-mobile-2")
# the most important first; what there is no time for is left out
CASES = (
    [("inference", name, 1) for name in ("tvn-1", "tvn-4", "tvn-2", "tvn-3")]
    + [("training", "tvn-1", 8), ("inference", "tvn-1", 8), ("inference", "tvn-1", 64), ("training", "tvn-1", 16)]
    + [("inference", name, 8) for name in ("tvn-4", "tvn-2", "tvn-3")]
    + [("training", name, 8) for name in ("tvn-4", "tvn-2", "tvn-3")]
    + [("inference", name, 64) for name in ("tvn-4", "tvn-3", "tvn-2")]
    + [("training", name, 16) for name in ("tvn-4", "tvn-2", "tvn-3")]
    + [("compile", name, 1) for name in ("tvn-1", "tvn-4")]
)


def dry_run():
    """Walks every network; 1 where one is not what its file says."""
    wrong = 0
    print(f"{'network':14}{'ops':>6}{'MACs':>16}{'parameters':>14}  widest tensor")
    for name in PRESETS:
        try:
            network = read_network(preset_file(name))
        except (NetworkError, OSError) as error:
            wrong = 1
            print(f"{name:14}{error}")
            continue
        widest = max(network.shapes.values(), key=lambda shape: shape[0] * shape[1] * shape[2] * shape[3])
        print(f"{name:14}{len(network.ops):>6}{network.macs:>16,}{network.trainable:>14,}  {'×'.join(map(str, widest))}")
    return wrong


def emit(row):
    print(json.dumps(row), flush=True)


def run(options):
    """All cases, as long as there is time."""
    from gpu_day.turns import Bench, compare

    end = time.monotonic() + options.seconds
    bench = Bench(options)
    emit({"kind": "rival", **bench.versions()})
    longest = {}  # seconds that a case of a kind took
    for task, name, batch in CASES:
        if options.networks and name not in options.networks:
            continue
        if options.batches and batch not in options.batches:
            continue
        needed = longest.get((task, batch), 60 if task == "compile" else 6)
        if time.monotonic() + needed > end:
            emit({"kind": "skipped", "task": task, "network": name, "batch": batch, "reason": f"no time: about {needed:.0f} s are needed"})
            continue
        begin = time.monotonic()
        try:
            compare(bench, task, name, batch, emit, end)
        except Exception as error:  # the others go on
            emit({"kind": "failure", "task": task, "network": name, "batch": batch, "message": f"{type(error).__name__}: {error}"[:500]})
        bench.forget()
        longest[(task, batch)] = max(longest.get((task, batch), 0), 1.2 * (time.monotonic() - begin))
    bench.close()
    return 1 if bench.wrong else 0


def main():
    parser = argparse.ArgumentParser(description="PyTorch beside the CUDA backend")
    parser.add_argument("--bench", help="our tvn_cuda_bench; without it PyTorch is timed alone, with random weights")
    parser.add_argument("--seconds", type=float, default=180)
    parser.add_argument("--networks", nargs="*")
    parser.add_argument("--batches", nargs="*", type=int)
    parser.add_argument("--size", type=int, default=0, help="pixels of a side instead of each network's own")
    parser.add_argument("--device", default="cuda", choices=("cuda", "cpu"))
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--dry-run", action="store_true")
    options = parser.parse_args()
    if options.dry_run:
        return dry_run()
    try:
        import torch
    except Exception as error:
        emit({"kind": "failure", "message": f"there is no PyTorch: {error}"})
        return 3
    if options.device == "cuda" and not torch.cuda.is_available():
        emit({"kind": "failure", "message": "PyTorch sees no GPU"})
        return 3
    return run(options)


if __name__ == "__main__":
    sys.exit(main())
