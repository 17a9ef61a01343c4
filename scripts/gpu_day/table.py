"""All rows of a GPU day as one table and one JSON file: python3 scripts/gpu_day/table.py ROWS RESULTS > TABLE"""

import json
import sys

RIVALS = ("pytorch", "pytorch-graph", "pytorch-compile")


def read_rows(path):
    """Lines that are no JSON (a program that was stopped in the middle of one) are left out."""
    rows = []
    with open(path) as lines:
        for line in lines:
            try:
                rows.append(json.loads(line))
            except ValueError:
                pass
    return rows


def of_kind(rows, *kinds):
    return [row for row in rows if row.get("kind") in kinds]


def milliseconds(times):
    return f"{times['median']:.3f} ({times['min']:.3f}–{times['p90']:.3f})" if times and times.get("runs") else "–"


def print_table(header, lines):
    widths = [max(len(line[i]) for line in [header] + lines) for i in range(len(header))]
    for line in [header] + lines:
        print("  ".join(text.ljust(width) for text, width in zip(line, widths)).rstrip())
    print()


def print_times(rows):
    """Milliseconds: median (min–p90), from the clips on the host to the logits there; and how many times as long a rival takes."""
    turns = {(row["task"], row["network"], row["batch"], row["engine"]): row for row in of_kind(rows, "turns")}
    cases = {(row["task"], row["network"], row["batch"]): None for row in of_kind(rows, "turns")}
    alone = {}
    for row in of_kind(rows, "inference", "training"):
        key = (row["kind"], row["network"], row["batch"])
        cases[key] = None
        alone[key + (row.get("engine", "tvn"),)] = row
    lines = []
    for case in sorted(cases):
        engines = [("tvn", turns), ("tvn", alone), ("tvn, with cuDNN", alone)] + [(rival, turns) for rival in RIVALS]
        ours = turns.get(case + ("tvn",)) or alone.get(case + ("tvn",))
        for engine, source in engines:
            row = source.get(case + (engine,))
            if row is None or (engine == "tvn" and source is alone and case + ("tvn",) in turns):
                continue
            ratio = f"{row['host_ms']['median'] / ours['host_ms']['median']:.2f}×" if ours and row is not ours and row["host_ms"] else ""
            how = "in turns" if source is turns else "alone"
            lines.append([*map(str, case), engine, milliseconds(row["host_ms"]), milliseconds(row.get("device_ms")), ratio, how])
    if lines:
        print_table(["task", "network", "batch", "engine", "host ms", "device ms", "× tvn", "measured"], lines)


def print_convolutions(rows):
    """Each distinct convolution of a network alone, by our fastest tile and by cuDNN's fastest algorithm: all of them, and those of TVN-1, one clip."""
    convolutions = of_kind(rows, "convolution")
    lines = []
    for network, batch in dict.fromkeys((row["network"], row["batch"]) for row in convolutions):
        all_of_it = [row for row in convolutions if (row["network"], row["batch"]) == (network, batch)]
        both = [row for row in all_of_it if "cudnn_ms" in row]
        ours, cudnn = (sum(row["count"] * row[key] for row in both) for key in ("ms", "cudnn_ms"))
        faster = sum(row["ms"] <= row["cudnn_ms"] for row in both)
        ratio = f"{cudnn / ours:.2f}×" if ours else "–"
        lines.append([network, str(batch), str(len(all_of_it)), str(len(all_of_it) - len(both)), f"{ours:.3f}", f"{cudnn:.3f}", ratio, str(faster)])
    if lines:
        print_table(["network", "batch", "convolutions", "not by cuDNN", "tvn ms", "cuDNN ms", "× tvn", "faster by tvn"], lines)
    of_one = [row for row in convolutions if (row["network"], row["batch"]) == ("tvn-1", 1)]
    if of_one:
        lines = []
        for row in of_one:
            cudnn = f"{row['cudnn_ms'] * 1e3:.1f}" if "cudnn_ms" in row else "–"
            ratio = f"{row['cudnn_ms'] / row['ms']:.2f}×" if "cudnn_ms" in row else row["refusal"][:40]
            lines.append([row["name"], str(row["count"]), row["shape"], f"{row['ms'] * 1e3:.1f}", cudnn, ratio])
        print_table(["convolution of tvn-1 alone", "times", "shape", "tvn µs", "cuDNN µs", "× tvn"], lines)


def print_stages(rows):
    """Of TVN-1, one clip."""
    stages = [row for row in of_kind(rows, "stage") if row["network"] == "tvn-1" and row["batch"] == 1 and "ms" in row]
    if stages:
        lines = [[str(row["index"]), row["kernel"], row["cut"], f"{row['ms'] * 1e3:.1f}", f"{row['macs'] / 1e6:.1f}", f"{row['bytes'] / 1e6:.2f}", row["name"][:70]] for row in stages]
        print_table(["", "kernel of tvn-1", "cut", "µs", "MMACs", "MB", "layers"], lines)


def main(rows_path, results_path):
    rows = read_rows(rows_path)
    for day in of_kind(rows, "day"):
        print(f"GPU day of {day['date']}, commit {day['commit']}")
        print(f"{day['gpu'] or 'no GPU'}; nvcc {day['nvcc'] or '–'}; clocks {day['clocks'] or '–'} (SM, memory, their limits)")
    for device in of_kind(rows, "device")[:1]:
        print(f"{device['name']}, compute capability {device['compute_capability']}, driver for CUDA {device['driver_cuda']}, cuDNN {device['cudnn']}; CPU {device['cpu']}")
    for rival in of_kind(rows, "rival"):
        print(f"PyTorch {rival['torch']}, CUDA {rival['cuda']}, cuDNN {rival['cudnn']} on {rival['device']}")
    print()
    print_table(["part", "outcome", "s"], [[row["name"], row["outcome"], str(row["seconds"])] for row in of_kind(rows, "part")])
    checks = []
    for row in of_kind(rows, "check", "agreement"):
        beside = "the CPU in f32" if row["kind"] == "check" else "tvn"
        gradients = f"{row['gradient_error']:.1e}" if "gradient_error" in row else ""
        checks.append([row["network"], row["task"], str(row["batch"]), row.get("engine", "tvn"), beside, f"{row['error']:.1e}", gradients, "ok" if row["ok"] else "WRONG"])
    if checks:
        print_table(["network", "task", "batch", "engine", "beside", "error", "of gradients", ""], checks)
    print_times(rows)
    print_convolutions(rows)
    print_stages(rows)
    for row in of_kind(rows, "skipped", "failure"):
        what = " ".join(str(row[key]) for key in ("task", "network", "batch") if key in row)
        print(f"{row['kind']}: {what + ': ' if what else ''}{row.get('reason') or row.get('message')}")
    with open(results_path, "w") as file:
        json.dump({"rows": rows}, file, indent=1, ensure_ascii=False)
        file.write("\n")


if __name__ == "__main__":
    main(*sys.argv[1:])
