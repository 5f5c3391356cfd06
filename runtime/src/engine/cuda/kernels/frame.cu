// The beginning and the end of a frame, and the way in and out of host memory.

// Takes the order and decides whether the frame needs any step at all. The order lies in host memory, which a card with memory of its own
// reads in a microsecond: once, a word a thread.
struct BeginArgs {
    u64 control, report, order;
    int tiles;        // 1: only what moved is computed
    float tiles_cut;  // share of the input from which on a carried frame takes the slow path
    float high;       // of the choice between dense frames and tiles, as in engine/cpu/tiles/switch.rs
    int calm, most;
    u32 total;        // work of the whole encoder
};

// Takes note of the work of a frame by tiles; one that was computed as a whole tells nothing.
DEV void note_work(Control* c, const BeginArgs& p) {
    if (c->whole || !c->changed) return;
    const float work = (float)c->done_encode / (float)p.total;
    c->mean_work = c->tried ? c->mean_work + (work - c->mean_work) / 4.0f : work;
    c->tried += 1;
    if (c->mean_work > p.high) {
        c->prefers_dense = 1;
        c->wait = 2 * c->wait < p.most ? 2 * c->wait : p.most;
    } else if (c->tried > p.most && c->mean_work < p.high / 2.0f) {
        c->wait = p.calm;
    }
}
KERNEL(32) begin_steps(BeginArgs p) {
    __shared__ u32 words[ORDER_WORDS];
    if (threadIdx.x < ORDER_WORDS) words[threadIdx.x] = ((const volatile u32*)p.order)[threadIdx.x];
    __syncthreads();
    if (threadIdx.x) return;
    Control* c = (Control*)p.control;
    Report* r = (Report*)p.report;
    const Order* order = (const Order*)words;
    const int slow = order->slow || (order->has_cut && c->drive_distance > order->cut) || (p.tiles && c->share >= p.tiles_cut);
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
    c->label_threshold = order->label_threshold;
    const bool unmoved = !slow && order->has_zero && c->drive_distance < order->zero;
    // By tiles a frame rests where nothing moved that a step has not seen.
    const bool rests = order->has_step && (p.tiles ? !c->whole && !c->moving_drive && !c->moving_states : unmoved);
    c->tiles = p.tiles;
    if (p.tiles) note_work(c, p);
    c->done_step = 0;
    c->stop = rests || !order->has_step;
    c->pending = !c->stop;
    c->convolutions = 0;
    r->frame += 1;
    r->steps = 0;
    r->limit = c->cap;
    r->stop = !order->has_step ? 1 : rests ? 2 : -1;
    r->drive_distance = c->drive_distance;
    r->convolutions = 0;
    r->moved = p.tiles ? c->share : 1.0f;
    r->done_encode = c->done_encode;
}

// What the frame did so far, to host memory; by the first block of a frame's last kernel, also where there is no answer yet.
DEV void tell_host(u64 control, u64 report, u64 told) {
    if (blockIdx.x || threadIdx.x >= REPORT_WORDS) return;
    // The words before the distances: frame, stop, steps, limit, distance of the drive, convolutions, share, work of the encoder, work of the steps.
    const Control* c = (const Control*)control;
    const u32 word = threadIdx.x == 5 ? c->convolutions : threadIdx.x == 8 ? c->done_step : ((const u32*)report)[threadIdx.x];
    ((volatile u32*)told)[threadIdx.x] = word;
}

struct PlaneArgs {
    View tensor;
    u64 planes;   // fp32 [c][h][w], mapped host memory
    u64 extra16;  // import: a second, fp16 copy of the tensor; may be 0
    u64 skip;
    u64 control, report, told;  // export: the report, and where the host reads it
    Part part;    // export: pixels that may have changed since the last one
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
    tell_host(p.control, p.report, p.told);
    if (*(const int*)p.skip) return;
    const int pixels = p.tensor.h * p.tensor.w;
    const int pixel = blockIdx.x * 256 + threadIdx.x;
    if (clean_run(p.part, (long)blockIdx.x * 256, 256, pixels)) return;
    if (pixel >= pixels) return;
    for (int c = 0; c < p.tensor.c; c++) ((float*)p.planes)[(long)c * pixels + pixel] = load_value(p.tensor, (long)pixel * p.tensor.cs + c);
}

struct LabelArgs {
    View logits;
    u64 labels;  // u16 [h][w], mapped host memory: class, and its probability in 1/255 above it
    u64 skip;
    u64 control, report, told;
};

// Logits to what they say: softmax over the channels; a pixel shows the likeliest class other than background where that is likelier than
// the threshold, and background otherwise. The rule of task/mask.
KERNEL(256) label_pixels(LabelArgs p) {
    tell_host(p.control, p.report, p.told);
    if (*(const int*)p.skip) return;
    const int pixel = blockIdx.x * 256 + threadIdx.x;
    if (pixel >= p.logits.h * p.logits.w) return;
    const long at = (long)pixel * p.logits.cs;
    int best = 1;
    float most = load_value(p.logits, at + 1), sum = 0.0f;
    for (int c = 2; c < p.logits.c; c++) {
        const float x = load_value(p.logits, at + c);
        if (x > most) { most = x; best = c; }
    }
    for (int c = 0; c < p.logits.c; c++) sum += expf(load_value(p.logits, at + c) - most);
    const float probability = 1.0f / sum;
    const bool seen = probability > ((const Control*)p.control)->label_threshold;
    const int score = (int)((seen ? probability : 1.0f - probability) * 255.0f + 0.5f);
    ((u16*)p.labels)[pixel] = (u16)((seen ? best : 0) | (score << 8));
}
