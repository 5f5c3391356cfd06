// The beginning and the end of a frame, and the way in and out of host memory.

// One thread: takes the order and decides whether the frame needs any step at all.
struct BeginArgs {
    u64 control, report, order;
};
KERNEL(32) begin_steps(BeginArgs p) {
    if (threadIdx.x) return;
    Control* c = (Control*)p.control;
    Report* r = (Report*)p.report;
    const volatile Order* order = (const volatile Order*)p.order;
    c->steps = 0;
    c->slow = order->slow;
    c->cap = order->slow ? order->slow_cap : order->fast_cap;
    c->metric = order->metric;
    c->has_threshold = order->has_threshold;
    c->threshold = order->threshold;
    c->has_surprise = order->has_surprise;
    c->surprise = order->surprise;
    c->min = order->min;
    c->slow_cap = order->slow_cap;
    c->deadline_cap = order->deadline_cap;
    const bool rests = order->has_step && !order->slow && order->has_zero && c->drive_distance < order->zero;
    c->stop = rests || !order->has_step;
    c->pending = !c->stop;
    c->convolutions = 0;
    r->frame += 1;
    r->steps = 0;
    r->limit = c->cap;
    r->stop = !order->has_step ? 1 : rests ? 2 : -1;
    r->drive_distance = c->drive_distance;
    r->convolutions = 0;
    __threadfence_system();
}

struct PlaneArgs {
    View tensor;
    u64 planes;   // fp32 [c][h][w], mapped host memory
    u64 extra16;  // import: a second, fp16 copy of the tensor; may be 0
    u64 skip;
    u64 control, report;  // export: the counter is reported once all work of the frame is done
};

// Network input: planes to a tensor; channels beyond `c` become 0.
KERNEL(256) import_planes(PlaneArgs p) {
    if (*(const int*)p.skip) return;
    const int pixels = p.tensor.h * p.tensor.w;
    const int pixel = blockIdx.x * 256 + threadIdx.x;
    if (pixel >= pixels) return;
    for (int c = 0; c < p.tensor.cs; c++) {
        const float x = c < p.tensor.c ? ((const float*)p.planes)[(long)c * pixels + pixel] : 0.0f;
        const long at = (long)pixel * p.tensor.cs + c;
        store_value(p.tensor.data, p.tensor.half, at, x);
        if (p.extra16) ((u16*)p.extra16)[at] = f2h(x);
    }
}

// Logits: a tensor to planes.
KERNEL(256) export_planes(PlaneArgs p) {
    if (*(const int*)p.skip) return;
    const int pixels = p.tensor.h * p.tensor.w;
    const int pixel = blockIdx.x * 256 + threadIdx.x;
    if (pixel >= pixels) return;
    if (pixel == 0) ((Report*)p.report)->convolutions = ((const Control*)p.control)->convolutions;
    for (int c = 0; c < p.tensor.c; c++) ((float*)p.planes)[(long)c * pixels + pixel] = load_value(p.tensor, (long)pixel * p.tensor.cs + c);
}
