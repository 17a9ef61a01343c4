#include "cuda/runtime/cudnn.h"

#include <filesystem>

#include "cuda/test/cudnn_stand_in.h"

namespace tvn::cuda::test {
namespace {

bool holds(const std::string& text, const std::string& part) {
  if (text.find(part) != std::string::npos) return true;
  fail("expected \"" + part + "\" in \"" + text + "\"");
  return false;
}

void expect_refusal(const std::string& setting, const std::string& why) {
  const Trace trace("TVN_CUDNN=" + setting);
  const CudnnSearch search = find_cudnn(setting);
  EXPECT(!search.found && holds(search.refusal, why));
}

/** A folder that is gone at the end. */
class Folder {
 public:
  Folder() {
    std::string name = (std::filesystem::temp_directory_path() / "tvn-cudnn-XXXXXX").string();
    path_ = mkdtemp(name.data()) ? name : "";
    EXPECT(!path_.empty());
  }
  ~Folder() { std::filesystem::remove_all(path_); }
  std::string file(const char* name) const { return (path_ / name).string(); }

 private:
  std::filesystem::path path_;
};

}  // namespace

CUDA_TEST(cudnn_is_found_where_the_setting_says) {
  const CudnnSearch search = find_cudnn(CUDNN_STAND_IN);
  EXPECT(search.found && search.refusal.empty());
  if (!search.found) return;
  EXPECT(search.found->version == "9.1.0");
  EXPECT(search.found->path == CUDNN_STAND_IN);

  expect_refusal("off", "TVN_CUDNN is off");
  expect_refusal("9", "neither on nor off nor a path");
  expect_refusal("/nowhere/libcudnn.so.9", "/nowhere/libcudnn.so.9 is not there");
  expect_refusal(CUDNN_STAND_IN_LACKING, "version 9.1.0 (" CUDNN_STAND_IN_LACKING ") has no cudnnConvolutionForward");
  const CudnnSearch by_name = find_cudnn("on");  // as the machine has it
  EXPECT(by_name.found ? by_name.refusal.empty() : holds(by_name.refusal, "libcudnn.so."));
}

CUDA_TEST(cudnn_is_described) {
  {
    const WithEnvironment setting("TVN_CUDNN", nullptr);
    EXPECT(cudnn_description() == "not used: TVN_CUDNN is off");
    EXPECT(!cudnn_for_plans().found);
  }
  {
    const WithEnvironment setting("TVN_CUDNN", "off");
    EXPECT(cudnn_description() == "not used: TVN_CUDNN is off");
    EXPECT(!cudnn_for_benchmarks().found);
  }
  {
    const WithEnvironment setting("TVN_CUDNN", "/nowhere/libcudnn.so");
    EXPECT(cudnn_description() == "not used: /nowhere/libcudnn.so is not there");
  }
  const WithEnvironment setting("TVN_CUDNN", CUDNN_STAND_IN);
  EXPECT(cudnn_description() == "9.1.0 (" CUDNN_STAND_IN ")");
  EXPECT(cudnn_for_plans().found && cudnn_for_plans().found == cudnn_for_benchmarks().found);
}

CUDA_TEST(cudnn_has_versions_8_and_9) {
  const auto text = [](const char* version) {
    const WithEnvironment environment("CUDNN_STAND_IN_VERSION", version);
    const CudnnSearch search = find_cudnn(CUDNN_STAND_IN);
    return search.found ? search.found->version : search.refusal;
  };
  EXPECT(text("8000") == "8.0.0");
  EXPECT(text("8907") == "8.9.7");
  EXPECT(text("90000") == "9.0.0");
  EXPECT(text("92412") == "9.24.12");
  EXPECT(holds(text("7605"), "version 7.6.5 (" CUDNN_STAND_IN ") is older than 8"));
  EXPECT(holds(text("100000"), "version 10.0.0 (" CUDNN_STAND_IN ") is newer than 9"));
}

CUDA_TEST(cudnn_without_its_parts_is_not_called) {
  const auto expect_needs = [](const char* name, const std::initializer_list<const char*>& parts) {
    const Folder folder;
    const std::string file = folder.file(name);
    std::filesystem::copy_file(CUDNN_STAND_IN, file);
    for (const char* const part : parts) {
      const Trace trace(std::string(name) + " without " + part);
      if (void* const elsewhere = dlopen(part, RTLD_NOW | RTLD_LOCAL)) {
        dlclose(elsewhere);  // this machine has the real one
      } else {
        expect_refusal(file, file + " is not complete: " + part + " is not there");
      }
      std::filesystem::copy_file(CUDNN_STAND_IN, folder.file(part));
    }
    EXPECT(find_cudnn(file).found);
  };
  expect_needs("libcudnn.so.9", {"libcudnn_graph.so.9", "libcudnn_ops.so.9", "libcudnn_cnn.so.9"});
  expect_needs("libcudnn.so.8.9.7", {"libcudnn_ops_infer.so.8", "libcudnn_cnn_infer.so.8"});
}

CUDA_TEST(cudnn_errors_say_what_failed) {
  const CudnnSearch search = find_cudnn(CUDNN_STAND_IN);
  const WithEnvironment environment("CUDNN_STAND_IN_FAILS", "cudnnCreate");
  bool thrown = false;
  try {
    const CudnnHandle handle(*search.found);
  } catch (const CudnnError& error) {
    thrown = true;
    EXPECT(std::string(error.code()) == "ERR_NATIVE");
    EXPECT(std::string(error.what()) == "cuDNN 9.1.0, creating a handle: CUDNN_STATUS_NOT_SUPPORTED");
  }
  EXPECT(thrown);
}

}  // namespace tvn::cuda::test
