// The data gradient by Strassen's algorithm, stride 1.
#include "kernels/conv/strassen.inl"

namespace tvn::TVN_ISA {
namespace {

bool strassen_gradient_supports(const ConvShape& s) {
  const Window& k = s.window;
  return is_pixel_matrix(s) && k.st == 1 && k.sh == 1 && k.sw == 1;
}
/** dx is dy times the transposed weights. */
constexpr ConvShape transposed(const ConvShape& s) { return {s.y, s.x, s.window}; }

std::size_t strassen_gradient_packed_size(const ConvShape& s) { return strassen_forward_packed_size(transposed(s)); }
void strassen_gradient_pack(const ConvShape& s, const float* w, float* packed, ThreadPool& pool) {
  strassen_pack(strassen_matrix(transposed(s)), {w, 1, s.y.c}, packed, pool);
}
std::size_t strassen_gradient_scratch_size(const ConvShape& s, int threads) {
  return strassen_forward_scratch_size(transposed(s), threads);
}
void strassen_gradient(const ConvShape& s, const ConvDataGradientArgs& a, ThreadPool& pool) {
  strassen_forward(transposed(s), {a.dy, a.packed, nullptr, a.accumulate ? a.dx : nullptr, Function::none, a.dx, a.scratch}, pool);
}
bool strassen_gradient_pays(const ConvShape& s, Precision precision) {
  return strassen_gradient_supports(s) && strassen_forward_pays(transposed(s), precision);
}

}  // namespace
}  // namespace tvn::TVN_ISA
