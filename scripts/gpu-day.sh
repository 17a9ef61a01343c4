#!/usr/bin/env bash
# Proves and times the CUDA backend on this machine's GPU, in less than eight minutes: nvcc, cmake and a C++ compiler are needed, python3 for the
# table, PyTorch for the rivals; no Node, no network.
#
#   scripts/gpu-day.sh DIR               builds for this GPU, tests, checks whole networks, benchmarks, rivals, sanitizers
#   scripts/gpu-day.sh --emulated DIR    the same path without a GPU, in small: the emulation of the kernels on the CPU
#
# DIR gets rows.jsonl (every result as it comes), results.json and table.txt (all of them), log.txt, build.log, tests.log, sanitizer.log, clocks.csv.
# The table also ends the output. GPU_DAY_SECONDS (450) is the time for everything: what no longer fits is left out, and the table says so.
# GPU_DAY_BUILD is the build folder (build/gpu-day), GPU_DAY_COMMIT the commit where there is no git.
#
# Exit status: 0, 1 (something is not right, or is not proven), 2 (arguments), 3 (it could not be built, or there is no GPU). Not proven is what
# failed, was stopped or was left out: tests, checks, benchmarks and sanitizers. Rivals that are not here (PyTorch, cuDNN), or for which there is
# no time, prove nothing and count for nothing; those that fail count.
set -u
emulated=
if [ "${1:-}" = --emulated ]; then emulated=1; shift; fi
if [ $# -ne 1 ]; then sed -n '5,6s/^# *//p' "$0" >&2; exit 2; fi
mkdir -p "$1" && dir=$(cd "$1" && pwd) || exit 2
root=$(cd "$(dirname "$0")/.." && pwd) && cd "$root" || exit 2
build=${GPU_DAY_BUILD:-$root/build/gpu-day${emulated:+-emulated}}
rows=$dir/rows.jsonl
rm -f "$dir"/{rows.jsonl,results.json,table.txt,log.txt,build.log,tests.log,sanitizer.log,clocks.csv}
wrong=0
export PYTHONDONTWRITEBYTECODE=1
cudnn=${TVN_CUDNN:-}
unset TVN_CUDNN # plans are ours alone where nothing else is said
begin=$SECONDS
budget=${GPU_DAY_SECONDS:-450}
left() { echo $((budget - (SECONDS - begin))); }

# A text as JSON.
quote() {
  local text=${1//\\/\\\\}
  text=${text//\"/\\\"}
  printf '"%s"' "${text//[$'\t\r\n']/ }"
}
note() { echo "{\"kind\":\"part\",\"name\":$(quote "$1"),\"outcome\":$(quote "$2"),\"seconds\":$3}" >>"$rows"; echo "$1: $2 ($3 s)"; }

# part NAME SECONDS OUTPUT COMMAND…: runs it for at most so long and for what is left of the budget. Sets `status`: 124 is out of time, 125 not begun.
part() {
  local name=$1 limit=$2 output=$3 from=$SECONDS rest
  shift 3
  rest=$(left)
  if [ "$rest" -lt 5 ]; then status=125; note "$name" 'left out: no time' 0; return; fi
  [ "$limit" -gt "$rest" ] && limit=$rest
  timeout -k 5 "$limit" "$@" >>"$output" 2>>"$dir/log.txt"
  status=$?
  case $status in
    0) note "$name" ok $((SECONDS - from)) ;;
    124 | 137) status=124; note "$name" "stopped after $limit s" $((SECONDS - from)) ;;
    3) note "$name" 'not possible here' $((SECONDS - from)) ;;
    5) note "$name" 'left out: there is no cuDNN' $((SECONDS - from)) ;;
    *) note "$name" "exit status $status" $((SECONDS - from)) ;;
  esac
}
# The same for what must succeed.
proof() {
  part "$@"
  [ "$status" -eq 0 ] || wrong=1
}
# The same for what need not be here (3, 5) and may be left out, but must not fail.
rival() {
  part "$@"
  case $status in 0 | 3 | 5 | 125) ;; *) wrong=1 ;; esac
}

describe() {
  local commit gpu clocks cuda
  commit=$(git rev-parse HEAD 2>/dev/null || echo "${GPU_DAY_COMMIT:-unknown}")
  [ -n "$(git status --porcelain 2>/dev/null)" ] && commit="$commit, with changes"
  cuda=$(nvcc --version 2>/dev/null | sed -n 's/.*release \([0-9.]*\).*/\1/p')
  gpu=$(nvidia-smi --query-gpu=name,driver_version,power.limit,persistence_mode --format=csv,noheader 2>/dev/null | head -1)
  clocks=$(nvidia-smi --query-gpu=clocks.sm,clocks.mem,clocks.max.sm,clocks.max.mem --format=csv,noheader 2>/dev/null | head -1)
  echo "{\"kind\":\"day\",\"date\":\"$(date -u +%Y-%m-%dT%H:%M:%SZ)\",\"commit\":$(quote "$commit"),\"nvcc\":$(quote "$cuda"),\"gpu\":$(quote "$gpu"),\"clocks\":$(quote "$clocks"),\"emulated\":${emulated:-0}}" >>"$rows"
}

finish() {
  if ! python3 scripts/gpu_day/table.py "$rows" "$dir/results.json" >"$dir/table.txt" 2>>"$dir/log.txt"; then cp "$rows" "$dir/table.txt"; fi
  echo
  cat "$dir/table.txt"
  echo "$((SECONDS - begin)) s; exit status $1"
  exit "$1"
}

configure() {
  local generator=()
  ninja --version >/dev/null 2>&1 && generator=(-G Ninja)
  [ -f "$build/CMakeCache.txt" ] && generator=()
  cmake -S native/cuda -B "$build" "${generator[@]}" -DCMAKE_BUILD_TYPE=Release "$@"
}
export -f configure
export build

describe
if [ -n "$emulated" ]; then
  test=$build/tvn_cuda_test_80 bench=$build/tools/tvn_cuda_bench_80
  part configure 30 "$dir/build.log" bash -c 'configure -DTVN_EMULATION=ON'
else
  test=$build/tvn_cuda_test bench=$build/tools/tvn_cuda_bench
  capability=$(nvidia-smi --query-gpu=compute_cap --format=csv,noheader 2>/dev/null | head -1 | tr -d .)
  part configure 60 "$dir/build.log" bash -c "configure -DTVN_CUDA_ARCHITECTURES=${capability:-native}"
fi
[ "$status" -eq 0 ] && part build "$([ -n "$emulated" ] && echo 1500 || echo 260)" "$dir/build.log" cmake --build "$build" --parallel "$(nproc)" \
  --target "$(basename "$test")" "$(basename "$bench")"
if [ "$status" -ne 0 ]; then
  tail -30 "$dir/build.log"
  finish 3
fi

if [ -n "$emulated" ]; then
  export TVN_EMULATION_THREADS=$(nproc)
  begin=$SECONDS budget=170
  proof tests 60 "$dir/tests.log" "$test" stem_ mean_forward preset_means preset_pools
  proof check 60 "$rows" "$bench" --check --network tvn-1 --size 16 --batch 1 --train 2 --runs 0
  proof figures 20 "$dir/log.txt" python3 scripts/gpu-day-rivals.py --dry-run
  proof benchmark 60 "$rows" "$bench" --network tvn-1 --size 16 --batch 1 --train 2 --runs 1 --profile
  rival cudnn-convolutions 30 "$rows" env TVN_CUDNN="${cudnn:-on}" "$bench" --cudnn --network tvn-1 --size 16 --batch 1 --runs 1 --seconds 25
  rival rivals 60 "$rows" python3 scripts/gpu-day-rivals.py --bench "$bench" --device cpu --size 16 --networks tvn-1 --batches 1 --rounds 1 --seconds 50
  finish $wrong
fi

# Correctness, then our times, the rivals', and sanitizers with what is left.
nvidia-smi --query-gpu=timestamp,clocks.sm,clocks.mem,temperature.gpu,power.draw --format=csv -lms 500 \
  >"$dir/clocks.csv" 2>>"$dir/log.txt" &
watcher=$!
trap 'kill $watcher 2>/dev/null' EXIT
proof tests 90 "$dir/tests.log" "$test"
proof check 90 "$rows" "$bench" --check --batch 1,8,64 --train 8 --runs 0
[ "$status" -eq 3 ] && finish 3
proof figures 20 "$dir/log.txt" python3 scripts/gpu-day-rivals.py --dry-run
proof benchmark 90 "$rows" "$bench" --network tvn-1,tvn-4,tvn-2,tvn-3 --batch 1,8,64 --train 8,16 --profile --runs 50 --seconds 80

# PyTorch brings a cuDNN where the system has none.
[ -n "$cudnn" ] || cudnn=$(python3 -c 'import glob, os, nvidia.cudnn as c; print(glob.glob(os.path.join(list(c.__path__)[0], "lib", "libcudnn.so.*"))[0])' 2>/dev/null || echo on)
export bench cudnn
rival cudnn-convolutions 25 "$rows" env TVN_CUDNN="$cudnn" "$bench" --cudnn --network tvn-1,tvn-4,tvn-2,tvn-3 --batch 1,8,64 --seconds 20
if [ "$status" -ne 5 ]; then
  rival cudnn 45 "$rows" bash -c 'set -o pipefail
    TVN_CUDNN=$cudnn "$bench" --check --network tvn-1,tvn-4,tvn-2,tvn-3 --batch 1,8,64 --train none --runs 30 --tuning 1 --seconds 35 |
      sed -u "s/^{/{\"engine\":\"tvn, with cuDNN\",/"'
fi

sanitizers=75 # seconds that rivals leave to them
seconds=$(($(left) - sanitizers - 15))
if [ "$seconds" -gt 20 ]; then
  rival rivals $((seconds + 15)) "$rows" python3 scripts/gpu-day-rivals.py --bench "$bench" --seconds "$seconds"
else
  note rivals 'left out: no time' 0
fi

sanitizer=$(PATH=$PATH:${CUDA_HOME:-/usr/local/cuda}/bin command -v compute-sanitizer)
for tool in memcheck racecheck synccheck; do
  if [ -n "$sanitizer" ]; then
    proof $tool 25 "$dir/sanitizer.log" "$sanitizer" --tool $tool --error-exitcode 9 "$test" stem_ vector_ block_ window_ conv_forward_pools mean_forward gate_ update_
  else
    wrong=1
    note $tool 'not proven: there is no compute-sanitizer' 0
  fi
done
finish $wrong
