// CUDA on the CPU: what device/platform.h includes in place of the toolkit's headers. See README.md.
#pragma once

#include "cuda/emulation/atomics.h"
#include "cuda/emulation/fault.h"
#include "cuda/emulation/half.h"
#include "cuda/emulation/language.h"
#include "cuda/emulation/launch.h"
#include "cuda/emulation/math.h"
#include "cuda/emulation/ptx.h"
#include "cuda/emulation/runtime.h"
#include "cuda/emulation/warp.h"
#include "cuda/emulation/wmma.h"
