// Reads clips from files of raw RGB frames, crops and resizes them.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "core/isa.h"

namespace tvn {

struct ClipRequest {
  std::string path;  // frame i starts at offset + i·width·height·3
  int64_t offset, width, height;
  std::vector<int64_t> frames;
  int64_t left, top, side;  // the square, inside the frame
  bool flip;
  float gain, bias;
};

/** Clips one after the other into out: u8 [clips, frames, size, size, 3]. Throws Error("ERR_FILE") naming the file. */
void load_clips(const std::vector<ClipRequest>& clips, int64_t size, int threads, Isa isa, uint8_t* out);

}  // namespace tvn
