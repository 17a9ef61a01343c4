#include "cuda/tools/serve.h"

#include <fstream>
#include <iostream>
#include <sstream>

#include "core/error.h"
#include "cuda/tools/contenders.h"

namespace tvn::cuda::tools {
namespace {

class Server {
 public:
  Server(const TvnCudaBackend& backend, int64_t size, double tuning_seconds) : backend_(backend), size_(size), seconds_(tuning_seconds) {}

  void answer(const std::string& line) {
    std::istringstream words(line);
    std::string what, network;
    words >> what;
    if (what == "run") {
      int runs = 0;
      words >> runs;
      if (!contender_) throw Error("ERR_ARGUMENT", "nothing is loaded");
      const auto [host, device] = contender_->block(runs);
      JsonRow("runs").add("host_ms", std::span<const double>(host)).add("device_ms", std::span<const double>(device)).print();
      return;
    }
    if (what == "save") {
      std::string path;
      std::getline(words >> std::ws, path);
      return save(path);
    }
    int64_t batch = 0;
    words >> network >> batch;
    if ((what != "inference" && what != "training") || batch < 1) throw Error("ERR_ARGUMENT", "no request: " + line);
    contender_.reset();
    if (!subject_ || loaded_ != network) {
      subject_ = std::make_unique<Subject>(read_subject(network, size_, Weights::random));
      loaded_ = network;
    }
    inference_ = nullptr;
    if (what == "inference") {
      auto inference = std::make_unique<Inference>(backend_, *subject_, batch, Tuning{{}, seconds_});
      inference_ = inference.get();
      contender_ = std::move(inference);
    } else {
      contender_ = std::make_unique<Training>(backend_, *subject_, batch);
    }
    contender_->warm_up(0.3, seconds_ > 0 ? 200 : 1);
    JsonRow("loaded").add("network", subject_->name).add("task", what).add("batch", batch).print();
  }

 private:
  void save(const std::string& path) {
    if (!subject_) throw Error("ERR_ARGUMENT", "nothing is loaded");
    std::ofstream to(path, std::ios::binary);
    for (const auto& [name, values] : subject_->parameters)
      to.write(reinterpret_cast<const char*>(values.data()), static_cast<std::streamsize>(values.size() * sizeof(float)));
    const auto clip = subject_->clips(1);
    to.write(reinterpret_cast<const char*>(clip.data()), static_cast<std::streamsize>(clip.size()));
    if (!to.flush()) throw Error("ERR_FILE", path + " cannot be written");
    std::vector<double> logits;
    if (inference_)
      for (const float logit : inference_->first_logits()) logits.push_back(static_cast<double>(logit));
    JsonRow("saved").add("logits", std::span<const double>(logits)).print();
  }

  const TvnCudaBackend& backend_;
  int64_t size_;
  double seconds_;
  std::string loaded_;
  std::unique_ptr<Subject> subject_;
  std::unique_ptr<Contender> contender_;
  Inference* inference_ = nullptr;  // the contender, if it is one
};

}  // namespace

int serve(const TvnCudaBackend& backend, int64_t size, double tuning_seconds) {
  Server server(backend, size, tuning_seconds);
  for (std::string line; std::getline(std::cin, line);) {
    try {
      server.answer(line);
    } catch (const std::exception& error) {
      JsonRow("failure").add("request", line).add("message", error.what()).print();
    }
  }
  return 0;
}

}  // namespace tvn::cuda::tools
