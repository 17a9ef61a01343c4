#include "graph/op.h"

namespace tvn {

std::vector<std::string_view> split_names(std::string_view names) {
  std::vector<std::string_view> parts;
  for (size_t begin = 0; begin < names.size();) {
    const size_t end = std::min(names.find_first_of(" ,", begin), names.size());
    if (end > begin) parts.push_back(names.substr(begin, end - begin));
    begin = end + 1;
  }
  return parts;
}

std::optional<OpKind> find_op(std::string_view name) {
  for (size_t i = 0; i < op_table.size(); i++)
    if (op_table[i].kind == name) return static_cast<OpKind>(i);
  return std::nullopt;
}

}  // namespace tvn
