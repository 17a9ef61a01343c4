// Errors that cross the binding: a stable code and one sentence with the op, the tensors and the shapes concerned.
#pragma once

#include <stdexcept>
#include <string>

namespace tvn {

/** Thrown while a graph is checked or compiled, never by a kernel. The addon turns it into a JavaScript error with `code`. */
class Error : public std::runtime_error {
 public:
  Error(const char* code, const std::string& message) : std::runtime_error(message), code_(code) {}
  const char* code() const { return code_; }

 private:
  const char* code_;  // a string literal, e.g. "ERR_GRAPH_INVALID"
};

}  // namespace tvn
