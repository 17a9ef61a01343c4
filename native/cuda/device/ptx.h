// The instructions that CUDA C++ has no word for. The emulation has functions of the same names.
#pragma once

#include "cuda/device/platform.h"

#ifdef TVN_EMULATION
#include "cuda/emulation/ptx.h"
#else
namespace tvn::cuda {

#if defined(__CUDA_ARCH__) && __CUDA_ARCH__ >= 800
#define TVN_AMPERE(...) __VA_ARGS__
#else
#define TVN_AMPERE(...)
#endif

/** d[16×8] += a[16×16]·b[16×8], fragments as PTX has them (mma.m16n8k16). From sm_80. */
__device__ __forceinline__ void mma_m16n8k16(float (&d)[4], const unsigned (&a)[4], const unsigned (&b)[2]) {
  TVN_AMPERE(asm volatile("mma.sync.aligned.m16n8k16.row.col.f32.f16.f16.f32 {%0,%1,%2,%3}, {%4,%5,%6,%7}, {%8,%9}, {%0,%1,%2,%3};"
                          : "+f"(d[0]), "+f"(d[1]), "+f"(d[2]), "+f"(d[3])
                          : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b[0]), "r"(b[1]));)
}

/** d[8×8] += a[8×4]·b[4×8] in each of the four quad pairs, fragments as PTX has them (mma.m8n8k4). Of sm_70; slow on later ones. */
template <bool a_by_rows, bool b_by_columns>
__device__ __forceinline__ void mma_m8n8k4(float (&d)[8], const unsigned (&a)[2], const unsigned (&b)[2]) {
#define TVN_MMA_M8N8K4(layouts)                                                                                 \
  asm volatile("mma.sync.aligned.m8n8k4." layouts                                                               \
               ".f32.f16.f16.f32 {%0,%1,%2,%3,%4,%5,%6,%7}, {%8,%9}, {%10,%11}, {%0,%1,%2,%3,%4,%5,%6,%7};"     \
               : "+f"(d[0]), "+f"(d[1]), "+f"(d[2]), "+f"(d[3]), "+f"(d[4]), "+f"(d[5]), "+f"(d[6]), "+f"(d[7]) \
               : "r"(a[0]), "r"(a[1]), "r"(b[0]), "r"(b[1]))
  if (a_by_rows && b_by_columns) TVN_MMA_M8N8K4("row.col");
  if (a_by_rows && !b_by_columns) TVN_MMA_M8N8K4("row.row");
  if (!a_by_rows && b_by_columns) TVN_MMA_M8N8K4("col.col");
  if (!a_by_rows && !b_by_columns) TVN_MMA_M8N8K4("col.row");
#undef TVN_MMA_M8N8K4
}

/** Four 8×8 tiles of halves from shared memory; lane l gives the address of row l % 8 of tile l / 8. From sm_75. */
__device__ __forceinline__ void ldmatrix_x4(unsigned (&r)[4], const half* row) {
  TVN_AMPERE(const unsigned at = static_cast<unsigned>(__cvta_generic_to_shared(row));
             asm volatile("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0,%1,%2,%3}, [%4];"
                          : "=r"(r[0]), "=r"(r[1]), "=r"(r[2]), "=r"(r[3])
                          : "r"(at)
                          : "memory");)
}

/** The same, each tile transposed. */
__device__ __forceinline__ void ldmatrix_x4_trans(unsigned (&r)[4], const half* row) {
  TVN_AMPERE(const unsigned at = static_cast<unsigned>(__cvta_generic_to_shared(row));
             asm volatile("ldmatrix.sync.aligned.m8n8.x4.trans.shared.b16 {%0,%1,%2,%3}, [%4];"
                          : "=r"(r[0]), "=r"(r[1]), "=r"(r[2]), "=r"(r[3])
                          : "r"(at)
                          : "memory");)
}

/** Begins to copy 16 bytes into shared memory, or zeros where not `valid`. From sm_80. */
__device__ __forceinline__ void copy16_async(void* shared, const void* global, bool valid) {
  TVN_AMPERE(const unsigned to = static_cast<unsigned>(__cvta_generic_to_shared(shared)); const int bytes = valid ? 16 : 0;
             asm volatile("cp.async.cg.shared.global [%0], [%1], 16, %2;" ::"r"(to), "l"(global), "r"(bytes)
                          : "memory");)
}
/** Ends a group of copies. */
__device__ __forceinline__ void copy_commit() { TVN_AMPERE(asm volatile("cp.async.commit_group;" ::: "memory");) }
/** Waits until at most N groups of this thread are under way. */
template <int N>
__device__ __forceinline__ void copy_wait() {
  TVN_AMPERE(asm volatile("cp.async.wait_group %0;" ::"n"(N) : "memory");)
}

#undef TVN_AMPERE

}  // namespace tvn::cuda
#endif

namespace tvn::cuda {

// What the architecture that is compiled for has. On the host, where nothing of this runs, it is the least.
#if defined(TVN_EMULATION)
constexpr int compiled_for = TVN_EMULATED_SM;
#elif defined(__CUDA_ARCH__)
constexpr int compiled_for = __CUDA_ARCH__ / 10;
#else
constexpr int compiled_for = 70;
#endif
constexpr bool has_async_copies = compiled_for >= 80;
/** Tensor cores that work on quad pairs; later ones only imitate it. */
constexpr bool has_quad_pairs = compiled_for < 75;

}  // namespace tvn::cuda
