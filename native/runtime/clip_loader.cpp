#include "runtime/clip_loader.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <mutex>

#include "core/buffer.h"
#include "core/error.h"
#include "core/thread_pool.h"
#include "kernels/resize/resize.h"

namespace tvn {
namespace {

class File {
 public:
  explicit File(const std::string& path) : path_(path), descriptor_(open(path.c_str(), O_RDONLY | O_CLOEXEC)) {
    if (descriptor_ < 0) fail(std::strerror(errno));
  }
  ~File() { close(descriptor_); }
  File(const File&) = delete;
  File& operator=(const File&) = delete;

  void read(uint8_t* to, int64_t bytes, int64_t offset) const {
    while (bytes > 0) {
      const ssize_t got = pread(descriptor_, to, static_cast<size_t>(bytes), offset);
      if (got < 0 && errno == EINTR) continue;
      if (got < 0) fail(std::strerror(errno));
      if (got == 0) fail("it ends before the frame that was asked for");
      to += got;
      offset += got;
      bytes -= got;
    }
  }

 private:
  [[noreturn]] void fail(const std::string& why) const { throw Error("ERR_FILE", path_ + " cannot be read: " + why); }

  std::string path_;
  int descriptor_;
};

void load_clip(const ClipRequest& clip, int64_t size, const Kernel<Resize>& resize, uint8_t* frame, uint8_t* scratch, uint8_t* out) {
  const File file(clip.path);
  const int64_t row = clip.width * 3;
  for (size_t i = 0; i < clip.frames.size(); i++) {
    uint8_t* to = out + static_cast<int64_t>(i) * size * size * 3;
    if (i > 0 && clip.frames[i] == clip.frames[i - 1]) {  // a short video repeats its last frame
      std::memcpy(to, to - size * size * 3, static_cast<size_t>(size * size * 3));
      continue;
    }
    file.read(frame, clip.side * row, clip.offset + (clip.frames[i] * clip.height + clip.top) * row);
    resize.run({frame, clip.width, clip.side, clip.left, 0, clip.side, clip.flip, clip.gain, clip.bias, size, to, scratch});
  }
}

}  // namespace

void load_clips(const std::vector<ClipRequest>& clips, int64_t size, int threads, Isa isa, uint8_t* out) {
  size_t frame_bytes = 0, scratch_bytes = 0, frames = clips.empty() ? 0 : clips[0].frames.size();
  for (const ClipRequest& clip : clips) {
    frame_bytes = std::max(frame_bytes, static_cast<size_t>(clip.side * clip.width * 3));
    scratch_bytes = std::max(scratch_bytes, resize_scratch(clip.side, size));
  }
  frame_bytes = round_up(frame_bytes + cache_line, cache_line);
  scratch_bytes = round_up(scratch_bytes + cache_line, cache_line);
  ThreadPool pool(threads);
  Buffer<uint8_t> memory(static_cast<size_t>(threads) * (frame_bytes + scratch_bytes));
  const auto& resize = select(resize_kernels(), isa);
  std::mutex mutex;
  std::string failure;
  pool.run(static_cast<int64_t>(clips.size()), [&](int64_t i, int thread) {
    uint8_t* frame = memory.data() + static_cast<size_t>(thread) * (frame_bytes + scratch_bytes);
    try {
      load_clip(clips[static_cast<size_t>(i)], size, resize, frame, frame + frame_bytes,
                out + i * static_cast<int64_t>(frames) * size * size * 3);
    } catch (const Error& error) {
      const std::lock_guard lock(mutex);
      failure = error.what();
    }
  });
  if (!failure.empty()) throw Error("ERR_FILE", failure);
}

}  // namespace tvn
