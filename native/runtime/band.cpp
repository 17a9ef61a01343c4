#include "runtime/band.h"

#include <cstring>
#include <numeric>

namespace tvn {
namespace {

constexpr int64_t round_up(int64_t n, int64_t unit) { return (n + unit - 1) / unit * unit; }
constexpr int64_t line = 16;  // floats

}  // namespace

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
      const Node& before = program.nodes[i - 1];
      const bool follows = node.inputs[0] == before.output && program.tensors[static_cast<size_t>(before.output)].uses == 1;
      const size_t bytes = static_cast<size_t>(batched(x, batch).size()) * sizeof(float);
      if (!follows || bytes < limits.least_tensor || links[size - 1].window.unit != 1) break;
    }
    links[size++] = {layers[i].get(), *window, x.h, y.h, x.w * x.c * window->x_bytes, y.w * y.c};
  }
  for (; size > 1; size--) {
    Band band(std::span<const Link>(links.data(), size), program.shape(program.nodes[first + size - 1].output), batch);
    if (!band.fit(limits.rows)) continue;
    band.reserve(threads);
    return band;
  }
  return std::nullopt;
}

Band::Band(std::span<const Link> links, const Shape& y, int64_t batch) : size_(links.size()), frames_(y.t), all_frames_(batch * y.t) {
  std::copy(links.begin(), links.end(), links_.begin());
}

/** Chooses the largest band whose rows between the layers fit into so many bytes. */
bool Band::fit(size_t bytes) {
  const Link& last = links_[size_ - 1];
  const auto floats = [&](int64_t rows) {
    int64_t sum = 0;
    for (size_t i = size_ - 1; i > 0; i--) {
      const auto& [kernel, stride, pad, unit, x_bytes] = links_[i].window;
      rows = std::min((rows - 1) * stride + kernel, links_[i].x_height);
      sum += round_up(rows * links_[i - 1].floats, line);
    }
    return sum;
  };
  const int64_t unit = last.window.unit, most = static_cast<int64_t>(bytes / sizeof(float));
  if (last.height == 0 || floats(unit) > most) return false;
  int64_t rows = unit;
  while (rows < last.height && floats(rows + unit) <= most) rows += unit;
  const int64_t bands = (last.height + rows - 1) / rows;
  rows_ = round_up((last.height + bands - 1) / bands, unit);  // all of nearly the same height
  of_thread_ = 0;
  rows = rows_;
  for (size_t i = size_ - 1; i > 0; i--) {
    const auto& [kernel, stride, pad, u, x_bytes] = links_[i].window;
    rows = std::min((rows - 1) * stride + kernel, links_[i].x_height);
    links_[i - 1].buffer = of_thread_;
    of_thread_ += round_up(rows * links_[i - 1].floats, line);
  }
  return true;
}

void Band::reserve(int threads) {
  threads_ = threads;
  const int64_t bands = (links_[size_ - 1].height + rows_ - 1) / rows_;
  segments_ = std::min(bands, threads / std::gcd(all_frames_, static_cast<int64_t>(threads)));
  size_t scratch = 0;
  for (int64_t i = 0; i < segments_; i++)
    walk(
        segment(i), [](size_t, Range, Range) {},
        [&](size_t layer, Range rows, Range x, const Range*) {
          const Rows of_frame{0, 0, rows.begin, rows.end - rows.begin, nullptr, x.end - x.begin, nullptr};
          scratch = std::max(scratch, links_[layer].layer->row_scratch(of_frame));
        });
  layer_scratch_ = of_thread_;
  of_thread_ += round_up(static_cast<int64_t>(scratch), line);
}

/** Rows of x that so many of y are made from, without the padding. */
Band::Range Band::reads(size_t layer, Range rows) const {
  const auto& [kernel, stride, pad, unit, x_bytes] = links_[layer].window;
  const int64_t height = links_[layer].x_height;
  return {std::clamp<int64_t>(rows.begin * stride - pad, 0, height), std::clamp<int64_t>((rows.end - 1) * stride - pad + kernel, 0, height)};
}

Band::Range Band::segment(int64_t i) const {
  const int64_t height = links_[size_ - 1].height, bands = (height + rows_ - 1) / rows_;
  return {bands * i / segments_ * rows_, std::min(bands * (i + 1) / segments_ * rows_, height)};
}

template <class Keep, class Compute>
void Band::walk(Range rows, const Keep& keep, const Compute& compute) const {
  const size_t last = size_ - 1;
  Range held[most_layers] = {};  // rows of a layer's y that lie in its buffer
  for (int64_t begin = rows.begin; begin < rows.end; begin += rows_) {
    Range fresh[most_layers];
    fresh[last] = {begin, std::min(begin + rows_, rows.end)};
    for (size_t i = last; i > 0; i--) {
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
    float* const mine = scratch + thread * of_thread_;
    const int64_t image = task / segments_, clip = image / frames_, frame = image % frames_;
    const auto buffer = [&](size_t i) { return mine + links_[i].buffer; };
    walk(
        segment(task % segments_),
        [&](size_t i, Range held, Range wanted) {
          if (wanted.begin <= held.begin || wanted.begin >= held.end) return;
          std::memmove(buffer(i), buffer(i) + (wanted.begin - held.begin) * links_[i].floats,
                       static_cast<size_t>((held.end - wanted.begin) * links_[i].floats) * sizeof(float));
        },
        [&](size_t i, Range rows, Range x, const Range* held) {
          const Link& link = links_[i];
          Rows r{clip, frame, rows.begin, rows.end - rows.begin, nullptr, x.end - x.begin, nullptr};
          if (i == 0)
            r.x = reinterpret_cast<const float*>(reinterpret_cast<const char*>(at[0].x[0]) +
                                                 (image * link.x_height + x.begin) * link.x_row_bytes);
          else
            r.x = buffer(i - 1) + (x.begin - held[i - 1].begin) * links_[i - 1].floats;
          r.y = i == size_ - 1 ? at[i].y + (image * link.height + rows.begin) * link.floats
                               : buffer(i) + (rows.begin - held[i].begin) * link.floats;
          link.layer->forward_rows(at[i], r, mine + layer_scratch_, ThreadPool::serial());
        });
  });
}

}  // namespace tvn
