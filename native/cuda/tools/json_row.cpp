#include "cuda/tools/json_row.h"

#include <algorithm>
#include <cmath>
#include <cstdio>

namespace tvn::cuda::tools {
namespace {

std::string quoted(std::string_view text) {
  std::string to = "\"";
  for (const char c : text) {
    if (c == '"' || c == '\\') to += '\\';
    if (static_cast<unsigned char>(c) < 0x20) {
      char code[8];
      std::snprintf(code, sizeof code, "\\u%04x", c);
      to += code;
    } else {
      to += c;
    }
  }
  return to + '"';
}

/** JSON knows no NaN. */
std::string number_text(double number) {
  if (!std::isfinite(number)) return "null";
  char text[32];
  std::snprintf(text, sizeof text, "%.6g", number);
  return text;
}

}  // namespace

Times summarize(std::vector<double> ms) {
  if (ms.empty()) return {0, 0, 0, 0};
  std::sort(ms.begin(), ms.end());
  const size_t n = ms.size(), p90 = std::min(n - 1, (n * 9 + 9) / 10 - 1);
  return {n % 2 ? ms[n / 2] : (ms[n / 2 - 1] + ms[n / 2]) / 2, ms[p90], ms[0], static_cast<int>(n)};
}

void JsonRow::key(std::string_view name) { text_ += (text_.size() > 1 ? "," : "") + quoted(name) + ":"; }

JsonRow& JsonRow::add(std::string_view name, std::string_view text) {
  key(name);
  text_ += quoted(text);
  return *this;
}
JsonRow& JsonRow::add(std::string_view name, double number) {
  key(name);
  text_ += number_text(number);
  return *this;
}
JsonRow& JsonRow::add(std::string_view name, int64_t number) {
  key(name);
  text_ += std::to_string(number);
  return *this;
}
JsonRow& JsonRow::add(std::string_view name, bool value) {
  key(name);
  text_ += value ? "true" : "false";
  return *this;
}
JsonRow& JsonRow::add(std::string_view name, const Times& times) {
  key(name);
  text_ += "{\"median\":" + number_text(times.median) + ",\"p90\":" + number_text(times.p90) + ",\"min\":" + number_text(times.least) +
           ",\"runs\":" + std::to_string(times.runs) + "}";
  return *this;
}
JsonRow& JsonRow::add(std::string_view name, std::span<const double> numbers) {
  key(name);
  text_ += '[';
  for (size_t i = 0; i < numbers.size(); i++) text_ += (i ? "," : "") + number_text(numbers[i]);
  text_ += ']';
  return *this;
}
JsonRow& JsonRow::add(std::string_view name, std::span<const std::string> texts) {
  key(name);
  text_ += '[';
  for (size_t i = 0; i < texts.size(); i++) text_ += (i ? "," : "") + quoted(texts[i]);
  text_ += ']';
  return *this;
}

void JsonRow::print() const {
  std::printf("%s}\n", text_.c_str());
  std::fflush(stdout);
}

}  // namespace tvn::cuda::tools
