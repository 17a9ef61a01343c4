// CpuPlan::run allocates nothing after the first run: every allocation of the engine is counted. The linker sends the calls of this
// binary to the __wrap functions below (CMakeLists.txt).
#include <gtest/gtest.h>
#include <sys/mman.h>

#include <atomic>
#include <cstdlib>
#include <new>
#include <set>

#include "runtime/cpu_plan.h"
#include "test/graphs.h"
#include "test/run_graph.h"

namespace {
std::atomic<int64_t> allocations{0};
}  // namespace

extern "C" {
// NOLINTBEGIN: names that the linker gives
void* __real_malloc(size_t);
void* __real_calloc(size_t, size_t);
void* __real_realloc(void*, size_t);
void* __real_aligned_alloc(size_t, size_t);
int __real_posix_memalign(void**, size_t, size_t);
void* __real_mmap(void*, size_t, int, int, int, off_t);
void* __real__Znwm(size_t);
void* __real__Znam(size_t);
void* __real__ZnwmSt11align_val_t(size_t, std::align_val_t);

void* __wrap_malloc(size_t n) { return allocations++, __real_malloc(n); }
void* __wrap_calloc(size_t n, size_t size) { return allocations++, __real_calloc(n, size); }
void* __wrap_realloc(void* p, size_t n) { return allocations++, __real_realloc(p, n); }
void* __wrap_aligned_alloc(size_t alignment, size_t n) { return allocations++, __real_aligned_alloc(alignment, n); }
int __wrap_posix_memalign(void** p, size_t alignment, size_t n) { return allocations++, __real_posix_memalign(p, alignment, n); }
void* __wrap_mmap(void* at, size_t n, int protection, int flags, int file, off_t offset) {
  return allocations++, __real_mmap(at, n, protection, flags, file, offset);
}
void* __wrap__Znwm(size_t n) { return allocations++, __real__Znwm(n); }
void* __wrap__Znam(size_t n) { return allocations++, __real__Znam(n); }
void* __wrap__ZnwmSt11align_val_t(size_t n, std::align_val_t a) { return allocations++, __real__ZnwmSt11align_val_t(n, a); }
// NOLINTEND
}

namespace tvn {
namespace {

/** What no pass can fuse, so that every op runs on its own. */
std::string unfused_network(test::GraphBuilder& g) {
  const auto pool = [&](const std::string& name, Pooling pooling, Int3 kernel) {
    Op& op = g.op(OpKind::pool, name, {"normalized"});
    op.attributes.pooling = pooling;
    op.attributes.kernel = kernel;
    return name;
  };
  const std::string a = g.norm(pool("max", Pooling::max, {1, 3, 3}), 3), b = g.norm(pool("average", Pooling::avg, {3, 1, 1}), 3);
  const std::string sum = g.activation(g.op(OpKind::add, "sum", {a, b}).output, Function::hswish);
  const std::string gated = g.gate(sum, g.activation(g.mean(b), Function::relu));
  const std::string attention = g.op(OpKind::attention, "attention", {gated, a, b}).output;
  const std::string dropped = g.op(OpKind::dropout, "dropout", {g.mean(attention, Extent::frame)}).output;
  const std::string logits = g.dense(dropped, 3, 7);
  return g.op(OpKind::temporal_softmax, "softmax", {logits}).output;
}

TEST(SteadyState, AllocatesNothing) {
  test::Random random;
  std::set<std::string> kinds;
  const auto watch = [&](const Shape& clip, std::string (*network)(test::GraphBuilder&)) {
    test::GraphBuilder builder(random, clip);
    const Graph graph = builder.build(network(builder));
    for (const int threads : {1, 2}) {
      CpuPlan plan(graph, builder.parameters(), {1, threads, allowed_isa()});
      for (const Stage& stage : plan.stages()) kinds.insert(stage.kind);
      const auto clips = test::random_clips(random, graph, 1);
      std::vector<float> logits(static_cast<size_t>(plan.logits_size()));
      plan.run(clips.data(), logits.data());
      const int64_t before = allocations;
      for (int i = 0; i < 10; i++) plan.run(clips.data(), logits.data());
      EXPECT_EQ(allocations - before, 0) << plan.stages().front().shape << ", " << threads << " threads";
    }
  };
  const auto blocks = [](test::GraphBuilder& g) { return block_network(g); };
  for (const Shape& clip : {Shape{1, 4, 9, 7, 3}, Shape{1, 2, 40, 40, 3}}) {
    watch(clip, blocks);
    watch(clip, unfused_network);
  }
  for (const OpRow& row : op_table) EXPECT_TRUE(kinds.contains(std::string(row.kind))) << row.kind << " did not run";
  const int64_t before = allocations;
  Buffer<float> seen(100);
  EXPECT_GT(allocations, before) << "allocations are counted";
}

}  // namespace
}  // namespace tvn
