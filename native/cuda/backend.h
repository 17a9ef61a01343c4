/*
 * The C table between the addon and the CUDA backend, a shared library of its own that is loaded at run time (runtime/cuda in the addon's
 * engine). Plain C: no type of C++, no exception and no allocation crosses it, so the two may be built by different compilers.
 *
 * Functions that can fail return 0 or fill in the error and return 1. Handles are used by one thread at a time. Nothing here is called
 * before device_count() has said that there is a device.
 */
#ifndef TVN_CUDA_BACKEND_H
#define TVN_CUDA_BACKEND_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Changes whenever anything below does. */
#define TVN_CUDA_ABI 1u

typedef struct {
  char code[32]; /* ERR_MEMORY: device memory is full. ERR_DEVICE: the device cannot be used. ERR_DEVICE_LOST: it failed in the middle;
                    every handle on it is dead. ERR_GRAPH_INVALID: a network that the GPU cannot run. ERR_NATIVE: anything else. */
  char message[480];
} TvnCudaError;

typedef struct {
  char name[256];
  int32_t major, minor; /* compute capability */
  int32_t multiprocessors;
  int64_t memory;   /* bytes */
  char driver[32];  /* the CUDA version it speaks, "12.4" */
  char runtime[32]; /* the one this backend is built with */
  char cudnn[160];  /* version and path, or why it is not used */
  int32_t emulated; /* 1: kernels run on the CPU; times mean nothing */
} TvnCudaDevice;

/* ---- a checked network: graph/graph.h's Program, flat. Tensors, parameters and nodes refer to each other by index; -1 is absent. */

typedef struct {
  int64_t t, h, w, c; /* of one clip */
} TvnCudaTensor;

typedef struct {
  const char* name;
  int32_t rank;
  int64_t extents[5];
  int32_t trainable;
  const float* values; /* dense, as many as the extents say; read while the call lasts */
} TvnCudaParameter;

typedef struct {
  const char* name;
  int32_t kind; /* OpKind: the table of ops has the same hash on both sides */
  int32_t inputs[4], output, parameters[4];
  int32_t kernel[3], stride[3], pad[3], shortcut_stride[3]; /* T, H, W; pad in front */
  int32_t padding, pooling, function, extent;
  float rate;
} TvnCudaNode;

typedef struct {
  int32_t tensors, parameters, nodes;
  int32_t input, output; /* tensors */
  const TvnCudaTensor* tensor;
  const TvnCudaParameter* parameter;
  const TvnCudaNode* node; /* in topological order */
} TvnCudaProgram;

/* ---- inference */

typedef struct {
  int32_t device;
  int64_t batch;
  const char* known_choices; /* of tuner and device, "key\tname\n" repeated, as choices() gives them; null: none */
  double tuning_seconds;     /* about so long choices that are not known may be measured */
} TvnCudaPlanOptions;

typedef struct {
  const int32_t* nodes; /* of the program, that this kernel computes, in order */
  int32_t node_count;
  const char* kernel;
  const char* cut; /* what the tuner chose; "" for the usual */
  int64_t macs, bytes;
} TvnCudaStage;

typedef struct {
  int64_t weights, arena, activations, scratch; /* bytes */
} TvnCudaMemory;

typedef struct TvnCudaPlan TvnCudaPlan;
typedef void (*TvnCudaStageVisitor)(void* context, const TvnCudaStage* stage);
typedef void (*TvnCudaTextVisitor)(void* context, const char* text);

/* ---- training */

typedef struct {
  int32_t device;
  int32_t multi_label;
  float label_smoothing, dropout, momentum, weight_decay;
  int32_t nesterov;
  uint64_t seed;
} TvnCudaTrainerOptions;

typedef struct {
  double loss;           /* before the update */
  float loss_scale;      /* of this step */
  int32_t skipped;       /* 1: a gradient was not finite, and nothing was changed but the scale */
  int64_t skipped_steps; /* so far */
} TvnCudaStepResult;

typedef struct TvnCudaTrainer TvnCudaTrainer;

typedef struct {
  uint32_t abi;         /* TVN_CUDA_ABI; nothing else is read when it differs */
  const char* ops_hash; /* of native/ops.def */

  /* Devices that can be used; where 0, the reason is one sentence. */
  int32_t (*device_count)(char* reason, size_t capacity);
  int32_t (*device)(int32_t device, TvnCudaDevice* info, TvnCudaError* error);

  int32_t (*plan_create)(const TvnCudaProgram* program, const TvnCudaPlanOptions* options, TvnCudaPlan** plan, TvnCudaError* error);
  /* u8 [batch, T, H, W, 3] to logits [batch, classes], both in host memory. device_ms: of the kernels alone, by the device's clock; or
   * null. */
  int32_t (*plan_run)(TvnCudaPlan* plan, const uint8_t* clips, float* logits, double* device_ms, TvnCudaError* error);
  /* Milliseconds of each stage by the device's clock. */
  int32_t (*plan_profile)(TvnCudaPlan* plan, const uint8_t* clips, double* stage_ms, TvnCudaError* error);
  void (*plan_stages)(const TvnCudaPlan* plan, TvnCudaStageVisitor visit, void* context);
  void (*plan_choices)(const TvnCudaPlan* plan, TvnCudaTextVisitor visit, void* context); /* one text, "key\tname\n" repeated */
  void (*plan_memory)(const TvnCudaPlan* plan, TvnCudaMemory* memory);
  void (*plan_destroy)(TvnCudaPlan* plan);

  int32_t (*trainer_create)(const TvnCudaProgram* program, const TvnCudaTrainerOptions* options, TvnCudaTrainer** trainer,
                            TvnCudaError* error);
  /* labels: [batch] or, multi-label, [batch, classes], in range. logits: [batch, classes], written. */
  int32_t (*trainer_step)(TvnCudaTrainer* trainer, const uint8_t* clips, int64_t batch, const int32_t* labels, float rate, float* logits,
                          TvnCudaStepResult* result, TvnCudaError* error);
  /* The values of a parameter now, or, of trainable ones, the gradient of the last step's loss without weight decay and loss scale; dense,
   * as the extents say.
   */
  int32_t (*trainer_read)(TvnCudaTrainer* trainer, int32_t parameter, int32_t gradient, float* to, TvnCudaError* error);
  void (*trainer_destroy)(TvnCudaTrainer* trainer);
} TvnCudaBackend;

/* The only symbol that the library exports (exports.map). */
#define TVN_CUDA_ENTRY "tvn_cuda_backend"
typedef const TvnCudaBackend* (*TvnCudaEntry)(void);

#ifdef __cplusplus
}
#endif
#endif
