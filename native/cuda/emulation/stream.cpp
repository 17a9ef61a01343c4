// Streams, events and graphs.
#include "cuda/emulation/device.h"

namespace tvn::emulation {
namespace {

/** Waits for what is queued; a stream that records has nothing to wait for. */
cudaError_t finish_stream(Device& device, cudaStream_t stream) {
  if (!stream) {
    const cudaError_t error = device.forbid_in_capture();
    return error != cudaSuccess ? error : device.finish();
  }
  if (!device.streams.count(stream)) return cudaErrorInvalidResourceHandle;
  if (!stream->capture) return device.finish();
  stream->capture->valid = false;
  return cudaErrorStreamCaptureUnsupported;
}

cudaError_t finish_event(Device& device, cudaEvent_t event) {
  if (!device.events.count(event)) return cudaErrorInvalidResourceHandle;
  if (!event->capture) return device.finish();
  event->capture->valid = false;
  return cudaErrorCapturedEvent;
}

cudaError_t record(Device& device, cudaEvent_t event, cudaStream_t stream) {
  if (!device.events.count(event) || (stream && !device.streams.count(stream))) return cudaErrorInvalidResourceHandle;
  if (event->device != (stream ? stream->device : current_device())) return cudaErrorInvalidResourceHandle;
  event->capture = stream ? stream->capture : nullptr;
  if (event->capture) return event->capture->valid ? cudaSuccess : cudaErrorStreamCaptureInvalidated;
  event->times->pending++;
  return device.enqueue(stream, {cudaGraphNodeTypeHost, [times = event->times] {
                                   times->pending--;
                                   times->recorded = true;
                                   times->at = std::chrono::steady_clock::now();
                                   return cudaSuccess;
                                 }});
}

/** A stream that waits for an event of a capture takes part in it. */
cudaError_t wait_for(Device& device, cudaStream_t stream, cudaEvent_t event) {
  if (!device.events.count(event) || (stream && !device.streams.count(stream))) return cudaErrorInvalidResourceHandle;
  if (!event->capture) return cudaSuccess;
  if (!stream || (stream->capture && stream->capture != event->capture)) {
    event->capture->valid = false;
    return cudaErrorStreamCaptureUnsupported;
  }
  stream->capture = event->capture;
  return cudaSuccess;
}

cudaError_t begin_capture(Device& device, cudaStream_t stream, cudaStreamCaptureMode mode) {
  if (!stream) return cudaErrorStreamCaptureUnsupported;
  if (!device.streams.count(stream)) return cudaErrorInvalidResourceHandle;
  if (stream->capture) return cudaErrorIllegalState;
  stream->capture = std::make_shared<Capture>(Capture{stream, mode, std::this_thread::get_id(), true, {}});
  device.captures.push_back(stream->capture);
  return cudaSuccess;
}

cudaError_t end_capture(Device& device, cudaStream_t stream, cudaGraph_t* graph) {
  *graph = nullptr;
  if (!stream || !device.streams.count(stream)) return cudaErrorInvalidResourceHandle;
  const auto capture = stream->capture;
  if (!capture) return cudaErrorIllegalState;
  if (capture->origin != stream) return cudaErrorStreamCaptureUnmatched;
  for (cudaStream_t other : device.streams)
    if (other->capture == capture) other->capture = nullptr;
  for (cudaEvent_t event : device.events)
    if (event->capture == capture) event->capture = nullptr;
  std::erase(device.captures, capture);
  if (!capture->valid) return cudaErrorStreamCaptureInvalidated;
  *graph = new CUgraph_st;
  for (Operation& operation : capture->operations) (*graph)->nodes.push_back({std::move(operation)});
  device.graphs.insert(*graph);
  return cudaSuccess;
}

cudaError_t launch_graph(Device& device, cudaGraphExec_t exec, cudaStream_t stream) {
  if (!device.execs.count(exec)) return cudaErrorInvalidResourceHandle;
  return device.enqueue(stream, {cudaGraphNodeTypeGraph, [nodes = exec->nodes] {
                                   for (const CUgraphNode_st& node : *nodes)
                                     if (const cudaError_t error = node.run(); error != cudaSuccess) return error;
                                   return cudaSuccess;
                                 }});
}

/** Forgets a handle that create() has made. */
template <class Handle>
cudaError_t destroy(std::set<Handle>& handles, Handle handle) {
  if (!handles.erase(handle)) return cudaErrorInvalidResourceHandle;
  delete handle;
  return cudaSuccess;
}

}  // namespace
}  // namespace tvn::emulation

using namespace tvn::emulation;

cudaError_t cudaStreamCreateWithFlags(cudaStream_t* stream, unsigned flags) {
  return api([&](Device& device) {
    if (flags > cudaStreamNonBlocking) return cudaErrorInvalidValue;
    device.streams.insert(*stream = new CUstream_st{flags, current_device(), nullptr});
    return cudaSuccess;
  });
}
cudaError_t cudaStreamCreate(cudaStream_t* stream) { return cudaStreamCreateWithFlags(stream, cudaStreamDefault); }
cudaError_t cudaStreamDestroy(cudaStream_t stream) {
  return api([&](Device& device) {
    if (!device.streams.count(stream)) return cudaErrorInvalidResourceHandle;
    if (stream->capture) {
      stream->capture->valid = false;
      std::erase(device.captures, stream->capture);
    }
    return destroy(device.streams, stream);
  });
}
cudaError_t cudaStreamSynchronize(cudaStream_t stream) {
  return api([&](Device& device) { return finish_stream(device, stream); });
}
cudaError_t cudaStreamQuery(cudaStream_t stream) { return cudaStreamSynchronize(stream); }

cudaError_t cudaEventCreate(cudaEvent_t* event) { return cudaEventCreateWithFlags(event, cudaEventDefault); }
cudaError_t cudaEventCreateWithFlags(cudaEvent_t* event, unsigned) {
  return api([&](Device& device) {
    device.events.insert(*event = new CUevent_st(current_device()));
    return cudaSuccess;
  });
}
cudaError_t cudaEventDestroy(cudaEvent_t event) {
  return api([&](Device& device) { return destroy(device.events, event); });
}
cudaError_t cudaEventRecord(cudaEvent_t event, cudaStream_t stream) {
  return api([&](Device& device) { return record(device, event, stream); });
}
cudaError_t cudaEventSynchronize(cudaEvent_t event) {
  return api([&](Device& device) { return finish_event(device, event); });
}
cudaError_t cudaEventQuery(cudaEvent_t event) { return cudaEventSynchronize(event); }
cudaError_t cudaEventElapsedTime(float* milliseconds, cudaEvent_t begin, cudaEvent_t end) {
  return api([&](Device& device) {
    if (!device.events.count(begin) || !device.events.count(end)) return cudaErrorInvalidResourceHandle;
    if (begin->times->pending || end->times->pending) return cudaErrorNotReady;
    if (!begin->times->recorded || !end->times->recorded) return cudaErrorInvalidResourceHandle;
    *milliseconds = std::chrono::duration<float, std::milli>(end->times->at - begin->times->at).count();
    return cudaSuccess;
  });
}
cudaError_t cudaStreamWaitEvent(cudaStream_t stream, cudaEvent_t event, unsigned) {
  return api([&](Device& device) { return wait_for(device, stream, event); });
}

cudaError_t cudaStreamBeginCapture(cudaStream_t stream, cudaStreamCaptureMode mode) {
  return api([&](Device& device) { return begin_capture(device, stream, mode); });
}
cudaError_t cudaStreamEndCapture(cudaStream_t stream, cudaGraph_t* graph) {
  return api([&](Device& device) { return end_capture(device, stream, graph); });
}
cudaError_t cudaStreamIsCapturing(cudaStream_t stream, cudaStreamCaptureStatus* status) {
  return api([&](Device& device) {
    if (stream && !device.streams.count(stream)) return cudaErrorInvalidResourceHandle;
    *status = !stream || !stream->capture ? cudaStreamCaptureStatusNone
              : stream->capture->valid    ? cudaStreamCaptureStatusActive
                                          : cudaStreamCaptureStatusInvalidated;
    return cudaSuccess;
  });
}

cudaError_t cudaGraphGetNodes(cudaGraph_t graph, cudaGraphNode_t* nodes, std::size_t* count) {
  return api([&](Device& device) {
    if (!device.graphs.count(graph) || !count) return cudaErrorInvalidValue;
    for (std::size_t i = 0; nodes && i < *count; i++) nodes[i] = i < graph->nodes.size() ? &graph->nodes[i] : nullptr;
    *count = graph->nodes.size();
    return cudaSuccess;
  });
}
cudaError_t cudaGraphNodeGetType(cudaGraphNode_t node, cudaGraphNodeType* type) {
  return api([&](Device&) {
    *type = node->type;
    return cudaSuccess;
  });
}
cudaError_t cudaGraphInstantiate(cudaGraphExec_t* exec, cudaGraph_t graph, unsigned long long) {
  return api([&](Device& device) {
    if (!device.graphs.count(graph)) return cudaErrorInvalidValue;
    device.execs.insert(*exec = new CUgraphExec_st{std::make_shared<std::vector<CUgraphNode_st>>(graph->nodes)});
    return cudaSuccess;
  });
}
cudaError_t cudaGraphInstantiate(cudaGraphExec_t* exec, cudaGraph_t graph, cudaGraphNode_t* error_node, char* log, std::size_t log_bytes) {
  if (error_node) *error_node = nullptr;
  if (log && log_bytes) *log = 0;
  return cudaGraphInstantiate(exec, graph, 0);
}
cudaError_t cudaGraphLaunch(cudaGraphExec_t exec, cudaStream_t stream) {
  return api([&](Device& device) { return launch_graph(device, exec, stream); });
}
cudaError_t cudaGraphExecDestroy(cudaGraphExec_t exec) {
  return api([&](Device& device) { return destroy(device.execs, exec); });
}
cudaError_t cudaGraphDestroy(cudaGraph_t graph) {
  return api([&](Device& device) { return destroy(device.graphs, graph); });
}
