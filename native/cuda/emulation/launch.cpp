#include "cuda/emulation/launch.h"

#include <mutex>
#include <numeric>
#include <thread>

#include "cuda/emulation/crash.h"
#include "cuda/emulation/device.h"
#include "cuda/emulation/multiprocessor.h"
#include "cuda/emulation/sanitizer.h"

namespace tvn::emulation {
namespace {

/** Multiprocessors are kept from launch to launch: their stacks have been touched. */
class Pool {
 public:
  std::unique_ptr<Multiprocessor> take() {
    const std::lock_guard lock(mutex_);
    if (free_.empty()) return std::make_unique<Multiprocessor>();
    auto processor = std::move(free_.back());
    free_.pop_back();
    return processor;
  }
  void give_back(std::unique_ptr<Multiprocessor> processor) {
    const std::lock_guard lock(mutex_);
    free_.push_back(std::move(processor));
  }

 private:
  std::mutex mutex_;
  std::vector<std::unique_ptr<Multiprocessor>> free_;
};

Pool& pool() {
  static Pool& pool = *new Pool;
  return pool;
}

std::uint64_t blocks_of(const Kernel& kernel) { return std::uint64_t{kernel.grid.x} * kernel.grid.y * kernel.grid.z; }
unsigned threads_of(const Kernel& kernel) { return kernel.block.x * kernel.block.y * kernel.block.z; }

/** A launch under way. */
class Run {
 public:
  explicit Run(const Kernel& kernel) : kernel_(kernel), blocks_(blocks_of(kernel)), seed_(option::seed()) {}

  /** What was wrong, or an empty text. */
  std::string all() {
    const CrashHandler handler;
    if (address_sanitizer()) {
      // __shared__ variables are not thread_local there
      if (kernel_.cooperative)
        take_turns();
      else
        work();
      return fault_;
    }
    const std::uint64_t wanted = kernel_.cooperative ? blocks_ : option::threads();
    const auto threads = static_cast<unsigned>(std::min(wanted, blocks_));
    if (threads == 1) {
      work();
    } else {
      std::vector<std::thread> workers;
      for (unsigned i = 0; i < threads; i++) workers.emplace_back([this] { work(); });
      for (std::thread& worker : workers) worker.join();
    }
    return fault_;
  }

 private:
  std::unique_ptr<Multiprocessor> take_processor() const {
    auto processor = pool().take();
    processor->shared().allocate(kernel_.dynamic_shared);
    return processor;
  }
  void give_back(std::unique_ptr<Multiprocessor> processor) const {
    processor->shared().allocate(0);
    pool().give_back(std::move(processor));
  }
  /** Blocks come in the order of their numbers, or by a seed in another one: every `stride_`-th of them, from some block on. */
  std::uint64_t block_at(std::uint64_t turn) const { return (turn * stride_ + seed_) % blocks_; }
  std::uint64_t stride_of_seed() const {
    if (seed_ == 0) return 1;
    std::uint64_t stride = 1 + seed_ * 0x9e3779b97f4a7c15u % blocks_;
    while (std::gcd(stride, blocks_) != 1) stride++;
    return stride;
  }
  void begin(Multiprocessor& processor, std::uint64_t block) const { processor.begin(kernel_, block, seed_ ? seed_ + block : 0, failed_); }
  void end(Multiprocessor& processor) {
    const char* fault = processor.end();
    if (!fault) return;
    const std::lock_guard lock(mutex_);
    failed_ = true;
    if (fault_.empty()) fault_ = fault;
  }

  /** One block after another. */
  void work() {
    auto processor = take_processor();
    for (std::uint64_t turn; !failed_ && (turn = next_++) < blocks_;) {
      begin(*processor, block_at(turn));
      processor->advance(false);
      end(*processor);
    }
    give_back(std::move(processor));
  }

  /** All blocks on this OS thread, each for as long as it does not wait for others. */
  void take_turns() {
    std::vector<std::unique_ptr<Multiprocessor>> processors;
    for (std::uint64_t block = 0; block < blocks_; block++) {
      processors.push_back(take_processor());
      begin(*processors.back(), block);
      processors.back()->shared().exchange_static();
    }
    while (!processors.empty()) {
      for (auto& processor : processors) {
        processor->shared().exchange_static();
        const bool at_end = processor->advance(true);
        processor->shared().exchange_static();
        if (!at_end) continue;
        end(*processor);
        give_back(std::move(processor));
      }
      std::erase(processors, nullptr);
    }
  }

  const Kernel& kernel_;
  const std::uint64_t blocks_, seed_, stride_ = stride_of_seed();
  std::atomic<std::uint64_t> next_{0};
  std::atomic<bool> failed_{false};
  std::mutex mutex_;
  std::string fault_;
};

cudaError_t check(const Device& device, const Kernel& kernel) {
  const dim3 &grid = kernel.grid, &block = kernel.block;
  if (blocks_of(kernel) == 0 || grid.x > 2147483647u || grid.y > 65535 || grid.z > 65535) return cudaErrorInvalidConfiguration;
  if (block.x == 0 || block.y == 0 || block.z == 0 || block.x > 1024 || block.y > 1024 || block.z > 64 || threads_of(kernel) > most_threads)
    return cudaErrorInvalidConfiguration;
  const auto allowed = device.dynamic_shared.find(kernel.address);
  if (kernel.dynamic_shared > default_dynamic_shared && (allowed == device.dynamic_shared.end() || kernel.dynamic_shared > allowed->second))
    return cudaErrorInvalidValue;
  if (kernel.cooperative &&
      blocks_of(kernel) > std::uint64_t{multiprocessors} * static_cast<unsigned>(active_blocks(threads_of(kernel), kernel.dynamic_shared)))
    return cudaErrorCooperativeLaunchTooLarge;
  return cudaSuccess;
}

}  // namespace

cudaError_t submit(Kernel kernel, cudaStream_t stream) {
  return api([&](Device& device) {
    if (const cudaError_t error = check(device, kernel); error != cudaSuccess) return error;
    kernel.device = current_device();
    if (stream && device.streams.count(stream) && stream->device != kernel.device) return cudaErrorInvalidResourceHandle;
    return device.enqueue(stream, {cudaGraphNodeTypeKernel, [kernel = std::move(kernel)] { return Device::get().execute(kernel); }});
  });
}

cudaError_t Device::execute(const Kernel& kernel) {
  const std::string name = std::string("kernel ") + kernel.name + " (" + kernel.where.file + ":" + std::to_string(kernel.where.line) + ")";
  if (const long limit = option::lost_after(); limit >= 0 && launches_ >= limit) return break_down(cudaErrorLaunchFailure, "");
  launches_++;
  for (std::size_t i = 0; i < kernel.pointers.size(); i++) {
    if (!kernel.pointers[i]) continue;
    const Allocation* const of = allocation_of(kernel.pointers[i], 0);
    if (of && of->device == kernel.device) continue;
    const std::string memory =
        of ? "memory of device " + std::to_string(of->device) + ", the kernel runs on device " + std::to_string(kernel.device)
           : "not memory of the device";
    return break_down(cudaErrorIllegalAddress, name + ": pointer argument number " + std::to_string(i + 1) + " is " + memory);
  }
  if (const std::string fault = Run(kernel).all(); !fault.empty()) return break_down(cudaErrorLaunchFailure, fault);
  if (const long bytes = overrun(); bytes >= 0)
    return break_down(cudaErrorIllegalAddress,
                      name + ": something was written behind an allocation of " + std::to_string(bytes) + " bytes");
  return cudaSuccess;
}

}  // namespace tvn::emulation
