#include "core/isa.h"

#include <gtest/gtest.h>

#include <cstdlib>
#include <optional>

#include "core/error.h"

namespace tvn {
namespace {

class MaxIsa : public testing::Test {
 protected:
  void SetUp() override {
    if (const char* value = std::getenv("TVN_MAX_ISA")) before_ = value;
  }
  void TearDown() override {
    if (before_)
      setenv("TVN_MAX_ISA", before_->c_str(), 1);
    else
      unsetenv("TVN_MAX_ISA");
  }
  std::optional<std::string> before_;
};

TEST_F(MaxIsa, CapsWhatTheCpuHas) {
  for (const Isa cap : {Isa::reference, Isa::avx2, Isa::avx512, Isa::avx512_bf16}) {
    setenv("TVN_MAX_ISA", isa_name(cap), 1);
    EXPECT_EQ(allowed_isa(), std::min(cap, detected_isa())) << isa_name(cap);
  }
  unsetenv("TVN_MAX_ISA");
  EXPECT_EQ(allowed_isa(), detected_isa());
}

TEST_F(MaxIsa, RefusesUnknownNames) {
  setenv("TVN_MAX_ISA", "sse9", 1);
  try {
    allowed_isa();
    FAIL() << "accepted";
  } catch (const Error& error) {
    EXPECT_STREQ(error.code(), "ERR_ARGUMENT");
    EXPECT_NE(std::string(error.what()).find("sse9"), std::string::npos);
  }
}

}  // namespace
}  // namespace tvn
