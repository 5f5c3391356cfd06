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
    const int slow = order->slow || (order->has_cut && c->drive_distance > order->cut);
    c->steps = 0;
    c->slow = slow;
    c->cap = slow ? order->slow_cap : order->fast_cap;
    c->metric = order->metric;
    c->has_threshold = order->has_threshold;
    c->threshold = order->threshold;
    c->has_surprise = order->has_surprise;
    c->surprise = order->surprise;
    c->min = order->min;
    c->slow_cap = order->slow_cap;
    c->deadline_cap = order->deadline_cap;
    c->has_wake = order->has_wake;
    c->wake = order->wake;
    c->floor = order->floor;
    const bool rests = order->has_step && !slow && order->has_zero && c->drive_distance < order->zero;
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

struct LabelArgs {
    View logits;
    u64 labels;  // u16 [h][w], mapped host memory: class, and its probability in 1/255 above it
    u64 skip;
    u64 control, report, order;
};

// Logits to what they say: softmax over the channels; a pixel shows the likeliest class other than background where that is likelier than
// the threshold, and background otherwise. The rule of task/mask.
KERNEL(256) label_pixels(LabelArgs p) {
    if (*(const int*)p.skip) return;
    const int pixel = blockIdx.x * 256 + threadIdx.x;
    if (pixel >= p.logits.h * p.logits.w) return;
    if (pixel == 0) ((Report*)p.report)->convolutions = ((const Control*)p.control)->convolutions;
    const long at = (long)pixel * p.logits.cs;
    int best = 1;
    float most = load_value(p.logits, at + 1), sum = 0.0f;
    for (int c = 2; c < p.logits.c; c++) {
        const float x = load_value(p.logits, at + c);
        if (x > most) { most = x; best = c; }
    }
    for (int c = 0; c < p.logits.c; c++) sum += expf(load_value(p.logits, at + c) - most);
    const float probability = 1.0f / sum;
    const bool seen = probability > ((const volatile Order*)p.order)->label_threshold;
    const int score = (int)((seen ? probability : 1.0f - probability) * 255.0f + 0.5f);
    ((u16*)p.labels)[pixel] = (u16)((seen ? best : 0) | (score << 8));
}
