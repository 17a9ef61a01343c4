// Work by request: rivals in other processes take turns with this one, and networks stay loaded between two turns. A request is a line on
// the standard input, its answer a line of JSON:
//
//   inference <network> <batch>     loads it, warms it up, forgets what was loaded before   {"kind":"loaded",…}
//   training <network> <batch>      the same for training steps
//   run <n>                         {"kind":"runs","host_ms":[…],"device_ms":[…]}; device_ms is empty for training
//
//   save <file>                     writes the values of its parameters (f32, by name in order) and one clip (u8), for the rivals to
//   compute the
//                                   same; {"kind":"saved","logits":[…]} of that clip, where it is loaded for inference
//
// What fails answers {"kind":"failure",…}. The end of the input ends it.
#pragma once

#include <cstdint>

#include "cuda/backend.h"

namespace tvn::cuda::tools {

/** The exit status. */
int serve(const TvnCudaBackend& backend, int64_t size, double tuning_seconds);

}  // namespace tvn::cuda::tools
