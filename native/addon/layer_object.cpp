#include "addon/layer_object.h"

#include "addon/convert.h"
#include "addon/here.h"
#include "addon/instance.h"
#include "kernels/elementwise/elementwise.h"

namespace tvn::addon {
namespace {

constexpr int64_t max_extent = int64_t{1} << 31;

Shape shape(Napi::Value value, const std::string& name) {
  const std::vector<int64_t> extents = whole_numbers(value, name, 1, max_extent);
  if (extents.size() != 5) bad_argument(value.Env(), name + ": expected [N, T, H, W, C]");
  return {extents[0], extents[1], extents[2], extents[3], extents[4]};
}

SingleOp read_op(Napi::Object from) {
  const Napi::Env env = from.Env();
  SingleOp op;
  const std::string name = text(from, "op");
  const auto kind = find_op(name);
  if (!kind) bad_argument(env, "op: there is no " + name);
  op.kind = *kind;
  const Napi::Value inputs = property(from, "x");
  if (!inputs.IsArray()) bad_argument(env, "x: expected a list of shapes");
  const Napi::Array list = inputs.As<Napi::Array>();
  if (list.Length() > 3) bad_argument(env, "x: expected at most 3 shapes");
  for (uint32_t i = 0; i < list.Length(); i++) op.x.push_back(shape(list.Get(i), "x[" + std::to_string(i) + "]"));
  op.y = shape(property(from, "y"), "y");
  read_attributes(from, op.kind, "", op.attributes);
  if (const Napi::Value pad = property(from, "pad"); !pad.IsUndefined()) {
    const std::vector<int64_t> front = whole_numbers(pad, "pad", 0, 63);
    if (front.size() != 3) bad_argument(env, "pad: expected [T, H, W]");
    op.pad = {static_cast<int>(front[0]), static_cast<int>(front[1]), static_cast<int>(front[2])};
  }
  op.bias = boolean(from, "bias");
  op.purpose = boolean(from, "training") ? Purpose::training : Purpose::inference;
  return op;
}

/** Float32Arrays of these sizes; null where a size is 0, and in an optional list where there is none. */
class Arrays {
 public:
  /** What `value` lists now: later, when the arrays' memory is at hand, no JavaScript may run. */
  Arrays(Napi::Value value, const std::string& name, const std::vector<int64_t>& sizes, bool optional)
      : name_(name), sizes_(sizes), optional_(optional) {
    if (!value.IsArray()) bad_argument(value.Env(), name + ": expected a list of Float32Arrays");
    for (uint32_t i = 0; i < sizes.size(); i++) values_.push_back(value.As<Napi::Array>().Get(i));
  }
  bool none(size_t i) const { return sizes_[i] == 0 || (optional_ && (values_[i].IsNull() || values_[i].IsUndefined())); }
  bool any() const {
    for (size_t i = 0; i < sizes_.size(); i++)
      if (!none(i)) return true;
    return false;
  }
  std::vector<float*> data(Napi::Env env) const {
    std::vector<float*> list;
    for (size_t i = 0; i < sizes_.size(); i++) {
      list.push_back(none(i) ? nullptr : typed_array<float>(env, values_[i], name_ + "[" + std::to_string(i) + "]", sizes_[i]).data());
    }
    return list;
  }

 private:
  std::string name_;
  std::vector<int64_t> sizes_;
  bool optional_;
  std::vector<Napi::Value> values_;
};

}  // namespace

Napi::Function LayerObject::define(Napi::Env env) {
  return DefineClass(env, "NativeLayer",
                     {InstanceMethod<&LayerObject::forward>("forward"), InstanceMethod<&LayerObject::backward>("backward"),
                      InstanceMethod<&LayerObject::dispose>("dispose"), InstanceAccessor<&LayerObject::kernel>("kernel"),
                      InstanceAccessor<&LayerObject::bytes>("bytes")});
}

LayerObject::LayerObject(const Napi::CallbackInfo& info) : ObjectWrap(info), layer_(std::move(instance(info.Env()).next_layer)) {
  if (!layer_) bad_argument(info.Env(), "a layer is made by createLayer()");
  threads_ = instance(info.Env()).next_layer_threads;
}

Napi::Value LayerObject::create(const Napi::CallbackInfo& info) {
  const Napi::Object options = object_argument(info, 0, "options");
  const SingleOp op = read_op(options);
  const int threads = static_cast<int>(whole(options, "threads", 1, max_threads));
  const Isa isa = isa_for(info.Env());
  return here(info.Env(), [&] {
    Instance& shared = instance(info.Env());
    shared.next_layer = std::make_unique<SingleLayer>(op, isa, threads);
    shared.next_layer_threads = threads;
    return shared.layer_class.New({});
  });
}

void LayerObject::forward(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  SingleLayer& single = live(env);
  const Arrays x(info[0], "x", single.x_sizes(), false), parameters(info[1], "parameters", single.parameter_sizes(), false);
  const Isa isa = isa_for(env);
  here(env, [&] {
    Workspace& workspace = instance(env).workspace;
    Layer& layer = single.layer();
    Operands at;
    for (const float* data : x.data(env)) at.x.push_back(data);
    at.parameters = parameters.data(env);
    at.parameters.resize(2);
    at.y = typed_array<float>(env, info[2], "y", single.y_size()).data();
    at.scratch = workspace.scratch(layer.scratch());
    const Run run{workspace.pool(threads_), 0};
    if (layer.packs(0)) {
      const uint64_t weights = select(fingerprint_kernels(), isa).run(at.parameters[0], single.parameter_sizes()[0]);
      if (packed_ != weights) layer.pack(at, run.pool);
      packed_ = weights;
    }
    layer.forward(at, run);
  });
}

void LayerObject::backward(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  SingleLayer& single = live(env);
  if (!single.trains()) bad_argument(env, "the layer was made without training");
  const Arrays dx(info[4], "dx", single.x_sizes(), single.layer().accumulates());
  const Arrays gradients(info[5], "parameterGradients", single.parameter_sizes(), true);
  // weights are for the gradient of x, and x for that of the weights
  const bool weighted = !single.parameter_sizes().empty(), needs_x = weighted ? gradients.any() : single.layer().keeps_x();
  const Arrays x(info[0], "x", single.x_sizes(), !needs_x), parameters(info[3], "parameters", single.parameter_sizes(), !dx.any());
  if (gradients.any() && gradients.none(0)) bad_argument(env, "parameterGradients: the weight's is missing");
  here(env, [&] {
    Workspace& workspace = instance(env).workspace;
    Layer& layer = single.layer();
    Operands at;
    for (const float* data : x.data(env)) at.x.push_back(data);
    if (layer.keeps_y()) at.y = typed_array<float>(env, info[1], "y", single.y_size()).data();
    at.dy = typed_array<float>(env, info[2], "dy", single.y_size()).data();
    at.parameters = parameters.data(env);
    at.parameters.resize(2);
    at.dx = dx.data(env);
    at.accumulate.assign(at.dx.size(), 0);
    at.parameter_gradients = gradients.data(env);
    at.parameter_gradients.resize(2);
    at.scratch = workspace.scratch(layer.scratch());
    layer.backward(at, {workspace.pool(threads_), 0});
  });
}

SingleLayer& LayerObject::live(Napi::Env env) const {
  if (!layer_) throw make_error(env, "ERR_DISPOSED", "the layer has been disposed");
  return *layer_;
}

Napi::Value LayerObject::kernel(const Napi::CallbackInfo& info) { return Napi::String::New(info.Env(), live(info.Env()).layer().kernel()); }

Napi::Value LayerObject::bytes(const Napi::CallbackInfo& info) {
  return Napi::Number::New(info.Env(), static_cast<double>(live(info.Env()).bytes()));
}

void LayerObject::dispose(const Napi::CallbackInfo&) { layer_.reset(); }

}  // namespace tvn::addon
