#include "test/networks/read_networks.h"

#include <map>
#include <sstream>

#include "core/error.h"

namespace tvn::test {
namespace {

using Fields = std::map<std::string, std::string, std::less<>>;

/** The field of that name; "" where there is none. */
const std::string& take(const Fields& fields, std::string_view name) {
  static const std::string absent;
  const auto found = fields.find(name);
  return found == fields.end() ? absent : found->second;
}

void read(const std::string& text, Float& to) { to = std::stof(text); }
void read(const std::string& text, Int3& to) {
  const auto parts = split_names(text);
  to = {std::stoi(std::string(parts.at(0))), std::stoi(std::string(parts.at(1))), std::stoi(std::string(parts.at(2)))};
}
template <class E>
void read(const std::string& text, E& to) {
  to = find_value<E>(text).value();
}

Op read_op(std::istream& line) {
  std::string kind, field;
  line >> kind;
  Fields fields;
  while (line >> field) fields[field.substr(0, field.find('='))] = field.substr(field.find('=') + 1);
  Op op{find_op(kind).value(), take(fields, "name"), {}, take(fields, "output"), {}, {}};
  for (const std::string_view input : split_names(take(fields, "inputs"))) op.inputs.emplace_back(input);
  for (const std::string_view slot : split_names(row(op.kind).parameters))
    op.parameters.push_back(take(fields, slot.substr(0, slot.find('?'))));
  for_each_attribute(op.attributes, [&](const char* name, auto& attribute) {
    const std::string& value = take(fields, name);
    if (!value.empty()) read(value, attribute);
  });
  return op;
}

void read_line(std::istream& line, std::vector<NamedGraph>& networks) {
  std::string what, name;
  line >> what;
  if (what == "network") {
    NamedGraph& network = networks.emplace_back();
    line >> network.name >> network.seed;
    return;
  }
  NamedGraph& network = networks.at(networks.size() - 1);
  Graph& graph = network.graph;
  if (what == "repeat") {
    std::getline(line >> std::ws, network.repeat);
  } else if (what == "cost") {
    line >> network.macs >> network.trainable;
  } else if (what == "input") {
    Shape& s = graph.input_shape;
    line >> graph.input >> s.t >> s.h >> s.w >> s.c;
  } else if (what == "parameter") {
    line >> name;
    std::vector<int64_t>& extents = graph.parameters[name];
    for (int64_t extent; line >> extent;) extents.push_back(extent);
  } else if (what == "op") {
    graph.ops.push_back(read_op(line));
  } else if (what == "output") {
    line >> graph.output;
  } else {
    throw std::invalid_argument(what);
  }
}

}  // namespace

std::vector<NamedGraph> read_networks(std::istream& in) {
  std::vector<NamedGraph> networks;
  for (std::string text; std::getline(in, text);) {
    std::istringstream line(text);
    try {
      read_line(line, networks);
    } catch (const std::exception&) {
      throw Error("ERR_FILE", "no line of a network: " + text);
    }
  }
  return networks;
}

}  // namespace tvn::test
