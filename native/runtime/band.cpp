#include "runtime/band.h"

#include <unistd.h>

#include <cstdlib>
#include <cstring>
#include <string_view>

#include "core/buffer.h"

namespace tvn {
namespace {

/** Weights are read again for every band: where there are more bytes of them, a band must have so many positions. */
constexpr size_t most_weights = 1 << 20;
constexpr int64_t least_positions = 256;

/** Among several threads: so many that who is slowed down can leave some to the others. Rows between segments are computed twice. */
constexpr int64_t tasks_per_thread = 4;

constexpr int64_t ceil_div(int64_t n, int64_t by) { return (n + by - 1) / by; }
constexpr int64_t line = cache_line / sizeof(float);

}  // namespace

BandLimits band_limits() {
  if (const char* bands = std::getenv("TVN_BANDS"); bands && std::string_view(bands) == "off") return no_bands;
  const long l2 = sysconf(_SC_LEVEL2_CACHE_SIZE);  // 0 or −1 where it is not known
  const size_t bytes = static_cast<size_t>(std::clamp(l2 > 0 ? l2 : 1 << 20, 256L << 10, 2L << 20));
  return {bytes / 2, bytes / 4 * 3};  // weights stream through the rest
}

std::optional<Band> Band::find(const Program& program, const std::vector<std::unique_ptr<Layer>>& layers, size_t first, int64_t batch,
                               int threads, const BandLimits& limits) {
  std::array<Link, most_layers> links;
  size_t size = 0;
  for (size_t i = first; i < layers.size() && size < most_layers; i++) {
    const Node& node = program.nodes[i];
    const std::optional<RowWindow> window = layers[i]->row_window();
    if (!window) break;
    const Shape &x = program.shape(node.inputs[0]), &y = program.shape(node.output);
    if (size > 0) {
      const int between = program.nodes[i - 1].output;
      const bool follows = node.inputs[0] == between && program.tensors[static_cast<size_t>(between)].uses == 1;
      const size_t share = static_cast<size_t>(batched(x, batch).size()) * sizeof(float) / static_cast<size_t>(threads);
      if (!follows || share < limits.least_tensor || links[size - 1].window.unit != 1) break;
    }
    links[size++] = {layers[i].get(), *window, x.h, y.h, y.w, x.w * x.c * window->x_bytes, y.w * y.c};
  }
  for (; size > 1; size--) {
    const Shape& y = program.shape(program.nodes[first + size - 1].output);
    Band band(std::span<const Link>(links.data(), size), y, batch, threads, limits.rows);
    if (band.fit()) return band;
  }
  return std::nullopt;
}

std::optional<Band> Band::with_rows(int shift) const {
  Band other = *this;
  other.bytes_ = shift < 0 ? bytes_ >> -shift : bytes_ << shift;
  if (!other.fit() || other.rows_ == rows_) return std::nullopt;
  return other;
}

Band::Band(std::span<const Link> links, const Shape& y, int64_t batch, int threads, size_t bytes)
    : size_(links.size()), frames_(y.t), all_frames_(batch * y.t), threads_(threads), bytes_(bytes) {
  std::copy(links.begin(), links.end(), links_.begin());
}

/** Floats of the buffers for so many rows of the last layer at a time; places them. */
int64_t Band::place_buffers(int64_t rows) {
  int64_t sum = 0;
  for (size_t i = size_ - 1; i > 0; i--) {
    const RowWindow& window = links_[i].window;
    rows = std::min((rows - 1) * window.stride + window.kernel, links_[i].x_height);
    links_[i - 1].buffer = sum;
    sum += round_up(rows * links_[i - 1].row, line);
  }
  return sum;
}

/** Chooses the largest bands whose rows fit and of which every thread has several; says whether they are worth it. */
bool Band::fit() {
  const Link& last = links_[size_ - 1];
  const int64_t unit = last.window.unit, most = static_cast<int64_t>(bytes_ / sizeof(float));
  const int64_t share = threads_ == 1 ? last.height : std::min(last.height * all_frames_ / (tasks_per_thread * threads_), last.height);
  if (last.height == 0 || place_buffers(unit) > most) return false;
  rows_ = unit;
  while (rows_ < share && place_buffers(rows_ + unit) <= most) rows_ += unit;
  for (size_t i = 0; i < size_; i++)
    if (links_[i].layer->packed().size_bytes() > most_weights && rows_ * last.width < least_positions) return false;
  rows_ = round_up(ceil_div(last.height, bands()), unit);  // all of nearly the same height
  plan_scratch();
  return bands() * all_frames_ > 1;
}

int64_t Band::bands() const { return ceil_div(links_[size_ - 1].height, rows_); }

void Band::plan_scratch() {
  buffers_ = place_buffers(rows_);
  segments_ = threads_ == 1 ? 1 : std::min(bands(), ceil_div(tasks_per_thread * threads_, all_frames_));
  size_t scratch = 0;
  for (int64_t i = 0; i < segments_; i++)
    walk(
        segment(i), [](size_t, Range, Range) {},
        [&](size_t layer, Range rows, Range x, const Range*) {
          scratch = std::max(scratch, links_[layer].layer->row_scratch({0, 0, rows.begin, rows.size(), nullptr, x.size(), nullptr}));
        });
  thread_scratch_ = buffers_ + round_up(static_cast<int64_t>(scratch), line);
}

/** Rows of x that rows of y are made from, without the padding. */
Band::Range Band::reads(size_t layer, Range rows) const {
  const RowWindow& window = links_[layer].window;
  const auto inside = [&](int64_t row) { return std::clamp<int64_t>(row, 0, links_[layer].x_height); };
  return {inside(rows.begin * window.stride - window.pad), inside((rows.end - 1) * window.stride - window.pad + window.kernel)};
}

Band::Range Band::segment(int64_t i) const {
  return {bands() * i / segments_ * rows_, std::min(bands() * (i + 1) / segments_ * rows_, links_[size_ - 1].height)};
}

/**
 * Band after band of the last layer's rows: calls keep(layer, held, wanted) before the rows of a layer's buffer change, and
 * compute(layer, rows, rows of x, held) in the order of the layers, where held[i] are the rows that lie in the i-th buffer by then.
 */
template <class Keep, class Compute>
void Band::walk(Range rows, const Keep& keep, const Compute& compute) const {
  Range held[most_layers] = {}, fresh[most_layers];
  for (int64_t begin = rows.begin; begin < rows.end; begin += rows_) {
    fresh[size_ - 1] = {begin, std::min(begin + rows_, rows.end)};
    for (size_t i = size_ - 1; i > 0; i--) {
      Range& before = held[i - 1];
      const Range wanted = fresh[i].empty() ? before : reads(i, fresh[i]);
      fresh[i - 1] = {std::max(wanted.begin, before.end), wanted.end};
      keep(i - 1, before, wanted);
      before = wanted;
    }
    for (size_t i = 0; i < size_; i++)
      if (!fresh[i].empty()) compute(i, fresh[i], reads(i, fresh[i]), held);
  }
}

void Band::run(std::span<const Operands> at, float* scratch, ThreadPool& pool) const {
  pool.run(all_frames_ * segments_, [&](int64_t task, int thread) {
    float* const mine = scratch + thread * thread_scratch_;
    const int64_t image = task / segments_;
    const auto keep = [&](size_t i, Range held, Range wanted) {
      const int64_t dropped = wanted.begin - held.begin, kept = held.end - wanted.begin, row = links_[i].row;
      float* const buffer = mine + links_[i].buffer;
      if (dropped > 0 && kept > 0) std::memmove(buffer, buffer + dropped * row, static_cast<size_t>(kept * row) * sizeof(float));
    };
    const auto compute = [&](size_t i, Range rows, Range x, const Range* held) {
      const Link& link = links_[i];
      const auto in_buffer = [&](size_t layer, int64_t row) {
        return mine + links_[layer].buffer + (row - held[layer].begin) * links_[layer].row;
      };
      const auto in_x = [&](int64_t row) {
        const char* bytes = reinterpret_cast<const char*>(at[0].x[0]) + (image * link.x_height + row) * link.x_row_bytes;
        return reinterpret_cast<const float*>(bytes);
      };
      const auto in_y = [&](int64_t row) { return at[i].y + (image * link.height + row) * link.row; };
      const Rows now{.clip = image / frames_,
                     .frame = image % frames_,
                     .first = rows.begin,
                     .count = rows.size(),
                     .x = i == 0 ? in_x(x.begin) : in_buffer(i - 1, x.begin),
                     .x_rows = x.size(),
                     .y = i == size_ - 1 ? in_y(rows.begin) : in_buffer(i, rows.begin)};
      link.layer->forward_rows(at[i], now, mine + buffers_, ThreadPool::serial());
    };
    walk(segment(task % segments_), keep, compute);
  });
}

}  // namespace tvn
