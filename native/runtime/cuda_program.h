// A checked Program as the CUDA backend takes it (cuda/backend.h): flat, everything by its index.
#pragma once

#include <vector>

#include "cuda/backend.h"
#include "graph/graph.h"
#include "graph/passes.h"

namespace tvn {

/** Refers to the names of the program and to the values: both must live as long. */
class CudaProgram {
 public:
  CudaProgram(const Program& program, const ParameterValues& values);
  CudaProgram(const CudaProgram&) = delete;
  CudaProgram& operator=(const CudaProgram&) = delete;

  const TvnCudaProgram& table() const { return table_; }

 private:
  std::vector<TvnCudaTensor> tensors_;
  std::vector<TvnCudaParameter> parameters_;
  std::vector<TvnCudaNode> nodes_;
  TvnCudaProgram table_;
};

}  // namespace tvn
