// A result as one line of JSON.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace tvn::cuda::tools {

/** Of milliseconds. */
struct Times {
  double median, p90, least;
  int runs;
};
/** All zero where there are none. */
Times summarize(std::vector<double> milliseconds);

class JsonRow {
 public:
  explicit JsonRow(std::string_view kind) { add("kind", kind); }

  JsonRow& add(std::string_view key, std::string_view text);
  JsonRow& add(std::string_view key, const char* text) { return add(key, std::string_view(text)); }
  JsonRow& add(std::string_view key, double number);
  JsonRow& add(std::string_view key, int64_t number);
  JsonRow& add(std::string_view key, int number) { return add(key, int64_t{number}); }
  JsonRow& add(std::string_view key, bool value);
  JsonRow& add(std::string_view key, const Times& times);
  JsonRow& add(std::string_view key, std::span<const double> numbers);
  JsonRow& add(std::string_view key, std::span<const std::string> texts);

  /** To the standard output, at once. */
  void print() const;

 private:
  void key(std::string_view name);
  std::string text_ = "{";
};

}  // namespace tvn::cuda::tools
