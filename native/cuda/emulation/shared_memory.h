// Shared memory of a block. It begins as bytes of 0xFF, which are NaN in every float type.
#pragma once

#include <cstddef>
#include <vector>

namespace tvn::emulation {

/** Of one OS thread, for one block after another. */
class SharedMemory {
 public:
  SharedMemory() = default;
  SharedMemory(const SharedMemory&) = delete;
  SharedMemory& operator=(const SharedMemory&) = delete;
  ~SharedMemory();

  /** Dynamic memory of that size for the next blocks: under ASan exactly that, else with a guard behind it. */
  void allocate(std::size_t bytes);
  /** Fills it, and the static variables that the block before has used. */
  void begin_block();
  /** Whether nobody wrote behind it. */
  bool intact() const;

  /**
   * Under ASan static variables are one for all blocks. Blocks that take turns keep theirs here while others run: exchanges them with what
   * is kept, which are those of the first call at first.
   */
  void exchange_static();

  void* dynamic() const { return memory_; }
  std::size_t bytes() const { return bytes_; }

 private:
  unsigned char* memory_ = nullptr;
  std::size_t bytes_ = 0;
  std::vector<unsigned char> kept_;
};

}  // namespace tvn::emulation
