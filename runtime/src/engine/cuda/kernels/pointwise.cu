// A whole chain of element-wise operations in one pass: a small program over registers, the same for every element.
// Each thread carries two pairs of neighbouring channels, so an instruction is decoded once for four values.
// The prologue runs once a block over the channels alone and leaves per-channel vectors in shared memory.
//
// Moments: a program may compare a tensor with its successor; the last block to finish adds up all blocks' sums in a fixed order
// and decides whether stepping stops.
enum {
    OP_LOAD32, OP_LOAD16, OP_LOAD_VIEW, OP_LOAD_MAP, OP_LOAD_VECTOR, OP_LOAD_CONSTANT, OP_LOAD_SLOT, OP_IMMEDIATE,
    OP_STORE32, OP_STORE16, OP_STORE_VIEW, OP_STORE_SLOT, OP_MOMENTS,
    OP_ADD, OP_SUB, OP_MUL, OP_DIV, OP_MAX, OP_MIN, OP_LESS, OP_KEEP, OP_POW,
    OP_NEG, OP_ABS, OP_SQRT, OP_RSQRT, OP_EXP, OP_LOG, OP_ROUND, OP_ERF, OP_SIGMOID, OP_TANH, OP_SOFTPLUS, OP_SQUARE
};
struct Instruction {
    u8 op, to, a, b;
    u32 word;  // immediate bits; offset of a constant vector; or channel offset << 16 | channel stride of a view
};
#define PW_THREADS 128
#define PW_BUFFERS 16
struct PointwiseArgs {
    u64 buffers[PW_BUFFERS];
    u64 code;        // Instruction[prologue + body]
    u64 constants;   // fp32 vectors
    int prologue, body;
    int pairs, cs, c;  // pairs of values in all; channel stride; channels in use
    int registers;
    u64 skip;
    u64 partials;    // fp32 [blocks of all programs before this one + this one][6]
    int partials_before;
    u64 ticket;
    int decide;      // 0 no moments, 1 only sums, 2 decides a step, 3 the drive's distance
    u64 control, report, order;
    Part part;
};

struct ALIGN16 Lanes { float2 v[2]; };

// Adds up what every thread of the block holds; thread 0 has the sums afterwards.
DEV void block_sum(float (&m)[6], float (*scratch)[6]) {
#pragma unroll
    for (int k = 0; k < 6; k++)
#pragma unroll
        for (int o = 16; o; o >>= 1) m[k] += __shfl_xor_sync(0xffffffffu, m[k], o);
    if ((threadIdx.x & 31) == 0)
        for (int k = 0; k < 6; k++) scratch[threadIdx.x >> 5][k] = m[k];
    __syncthreads();
    if (threadIdx.x == 0)
        for (int k = 0; k < 6; k++) {
            m[k] = 0.0f;
            for (int w = 0; w < PW_THREADS / 32; w++) m[k] += scratch[w][k];
        }
}

DEV float ratio(float num, float den) { return num == 0.0f ? 0.0f : num / den; }

// m: sums of (b-a)^2, |b-a|, b^2, |b|, a^2, ab.
DEV float distance_of(const float (&m)[6], int metric) {
    float d;
    if (metric == 0) d = sqrtf(ratio(m[0], m[2]));
    else if (metric == 1) d = ratio(m[1], m[3]);
    else if (m[0] == 0.0f) d = 0.0f;
    else {
        // 1 - cos, written so that nearly equal states do not cancel.
        const float na = sqrtf(m[4]), nb = sqrtf(m[2]), gap = na - nb;
        d = fmaxf((m[0] - gap * gap) / (2.0f * na * nb), 0.0f);
        if (!(m[0] == m[0]) || !(na * nb > 0.0f)) d = infinity();
    }
    return d == d ? d : infinity();
}

// As in network/halting.rs: how fast the floor rises from one stepped frame to the next, and its least share of `floor`.
#define FLOOR_RISE 1.02f
#define FLOOR_LEAST 0.25f

// The same rules as network/halting.rs, after a step.
DEV void decide_step(Control* c, Report* r, float distance) {
    const int steps = c->steps + 1;
    c->steps = steps;
    r->steps = steps;
    if (c->tiles) {
        c->moving_drive = 0;
        c->moving_states = c->moving_next;
        c->moving_next = 0;
    }
    if (steps <= MAX_STEPS) r->distances[steps - 1] = distance;
    if (steps == 1 && !c->slow && c->has_surprise && distance > c->surprise) {
        c->slow = 1;
        c->cap = c->slow_cap;
        r->limit = c->cap;
    }
    bool still = c->has_threshold && distance < c->threshold;
    if (c->has_wake && steps == 1) {
        if (c->slow) c->floor_now = c->floor;
        else {
            c->floor_now = fmaxf(fminf(c->floor_now * FLOOR_RISE, distance), c->floor * FLOOR_LEAST);
            still = distance * distance <= c->wake * c->floor_now;
        }
    }
    int stop = -1;
    if (still && steps >= c->min) stop = 0;
    else if (steps >= c->cap || steps >= MAX_STEPS) stop = c->slow ? 3 : 1;
    else if (c->tiles && !c->dense && !c->moving_states) stop = 0;
    else if (steps >= c->deadline_cap) stop = 4;
    if (stop >= 0) {
        r->stop = stop;
        c->stop = 1;
        c->pending = 0;
    }
}

// Two channels as they are stored: one beyond the last is 0, whatever an operator made of it. Sums over channels give it a weight of 0, and 0
// times infinity is no number.
DEV float2 padded(float2 v, int channel, int channels) {
    const float y = v.y;
    return make_float2(v.x, channel + 1 < channels ? y : 0.0f);
}

// One instruction over the four values a thread carries.
#define UNARY(op, formula)                                                    \
    case op:                                                                  \
        _Pragma("unroll") for (int k = 0; k < 2; k++) {                       \
            { const float x = a.v[k].x; r.v[k].x = formula; }                 \
            { const float x = a.v[k].y; r.v[k].y = formula; }                 \
        }                                                                     \
        break;
#define BINARY(op, formula)                                                   \
    case op:                                                                  \
        _Pragma("unroll") for (int k = 0; k < 2; k++) {                       \
            { const float x = a.v[k].x, y = b.v[k].x; r.v[k].x = formula; }   \
            { const float x = a.v[k].y, y = b.v[k].y; r.v[k].y = formula; }   \
        }                                                                     \
        break;

KERNEL(128) pointwise(PointwiseArgs p) {
    if (*(const int*)p.skip) return;
    DYN_SMEM(pointwise_shared);
    Lanes* registers = (Lanes*)pointwise_shared + threadIdx.x;              // [register][thread]
    float* slots = (float*)((Lanes*)pointwise_shared + p.registers * PW_THREADS);  // [slot][cs]
    __shared__ float scratch[PW_THREADS / 32][6];
    __shared__ u32 last;
    const Instruction* code = (const Instruction*)p.code;
    const float* constants = (const float*)p.constants;
    const int t = threadIdx.x, channel_pairs = p.cs >> 1;
    float m[6] = {0.0f, 0.0f, 0.0f, 0.0f, 0.0f, 0.0f};
    const int tile = PW_THREADS * 2, total = p.pairs;
    // Round -1 is the prologue: its "picture" is one pixel.
    const int prologue_rounds = p.prologue ? (channel_pairs + tile - 1) / tile : 0;
    for (int round = -prologue_rounds; ; round++) {
        const bool body = round >= 0;
        if (round == 0 && prologue_rounds) __syncthreads();
        const int limit = body ? total : channel_pairs;
        const int base = body ? (blockIdx.x + round * (int)gridDim.x) * tile : (round + prologue_rounds) * tile;
        if (body && base >= total) break;
        if (body && clean_run(p.part, base / channel_pairs, (tile - 1) / channel_pairs + 2, total / channel_pairs)) continue;
        int pair[2], channel[2];
        bool on[2];
#pragma unroll
        for (int k = 0; k < 2; k++) {
            pair[k] = base + k * PW_THREADS + t;
            on[k] = pair[k] < limit;
            channel[k] = (pair[k] % channel_pairs) * 2;
        }
        const int begin = body ? p.prologue : 0, end = body ? p.prologue + p.body : p.prologue;
        for (int pc = begin; pc < end; pc++) {
            const Instruction i = code[pc];
            Lanes r;
            // Registers are read only where an instruction has them: shared memory is what binds this kernel.
            Lanes a = {};
            if (i.op >= OP_STORE32) a = registers[i.a * PW_THREADS];
            if (i.op >= OP_ADD) {
                Lanes b = {};
                if (i.op < OP_NEG) b = registers[i.b * PW_THREADS];
                switch (i.op) {
                    BINARY(OP_ADD, x + y)
                    BINARY(OP_SUB, x - y)
                    BINARY(OP_MUL, x * y)
                    BINARY(OP_DIV, x / y)
                    BINARY(OP_MAX, fmaxf(x, y))
                    BINARY(OP_MIN, fminf(x, y))
                    BINARY(OP_LESS, x < y ? 1.0f : 0.0f)
                    BINARY(OP_KEEP, x > 0.0f ? y : 0.0f)
                    BINARY(OP_POW, powf(x, y))
                    UNARY(OP_NEG, -x)
                    UNARY(OP_ABS, fabsf(x))
                    UNARY(OP_SQRT, sqrtf(x))
                    UNARY(OP_RSQRT, 1.0f / sqrtf(x))
                    UNARY(OP_EXP, expf(x))
                    UNARY(OP_LOG, logf(x))
                    UNARY(OP_ROUND, rintf(x))
                    UNARY(OP_ERF, erff(x))
                    UNARY(OP_SIGMOID, sigmoid(x))
                    UNARY(OP_TANH, tanhf(x))
                    UNARY(OP_SOFTPLUS, softplus(x))
                    UNARY(OP_SQUARE, x * x)
                }
                registers[i.to * PW_THREADS] = r;
                continue;
            }
#pragma unroll
            for (int k = 0; k < 2; k++) {
                r.v[k] = make_float2(0.0f, 0.0f);
                if (!on[k]) continue;
                const u64 data = p.buffers[i.b & (PW_BUFFERS - 1)];
                const long pixel = pair[k] / channel_pairs;
                switch (i.op) {
                    case OP_LOAD32: r.v[k] = ((const float2*)data)[pair[k]]; break;
                    case OP_LOAD16: { const u32 w = ((const u32*)data)[pair[k]]; r.v[k] = make_float2(h2f((u16)w), h2f((u16)(w >> 16))); break; }
                    case OP_LOAD_VIEW: {  // a: 1 when fp16; channels from an offset of a wider tensor; nothing beyond the channels in use
                        View v; v.data = data; v.half = i.a;
                        const long at = pixel * (i.word & 0xffff) + (i.word >> 16) + channel[k];
                        if (channel[k] < p.c) r.v[k].x = load_value(v, at);
                        if (channel[k] + 1 < p.c) r.v[k].y = load_value(v, at + 1);
                        break;
                    }
                    case OP_LOAD_MAP: {  // a: 1 when fp16; one value a pixel
                        View v; v.data = data; v.half = i.a;
                        const float x = load_value(v, pixel * (i.word & 0xffff) + (i.word >> 16));
                        r.v[k] = make_float2(x, x);
                        break;
                    }
                    case OP_LOAD_VECTOR: r.v[k] = ((const float2*)data)[channel[k] >> 1]; break;
                    case OP_LOAD_CONSTANT: r.v[k] = ((const float2*)(constants + i.word))[channel[k] >> 1]; break;
                    case OP_LOAD_SLOT: r.v[k] = ((const float2*)(slots + i.word * p.cs))[channel[k] >> 1]; break;
                    case OP_IMMEDIATE: { const float x = __uint_as_float(i.word); r.v[k] = make_float2(x, x); break; }
                    case OP_STORE32: ((float2*)data)[pair[k]] = padded(a.v[k], channel[k], p.c); break;
                    case OP_STORE16: { const float2 v = padded(a.v[k], channel[k], p.c); ((u32*)data)[pair[k]] = f2h(v.x) | ((u32)f2h(v.y) << 16); break; }
                    case OP_STORE_VIEW: {  // to: 1 when fp16
                        const long at = pixel * (i.word & 0xffff) + (i.word >> 16) + channel[k];
                        if (channel[k] < p.c) store_value(data, i.to, at, a.v[k].x);
                        if (channel[k] + 1 < p.c) store_value(data, i.to, at + 1, a.v[k].y);
                        break;
                    }
                    case OP_STORE_SLOT: ((float2*)(slots + i.word * p.cs))[channel[k] >> 1] = a.v[k]; break;
                    default: {  // OP_MOMENTS of a (before) and b (after)
                        const float2 b = registers[i.b * PW_THREADS].v[k];
#pragma unroll
                        for (int side = 0; side < 2; side++) {
                            if (channel[k] + side >= p.c) continue;
                            const float before = side ? a.v[k].y : a.v[k].x, after = side ? b.y : b.x, d = after - before;
                            m[0] += d * d; m[1] += fabsf(d); m[2] += after * after; m[3] += fabsf(after); m[4] += before * before; m[5] += before * after;
                        }
                    }
                }
            }
            if (i.op < OP_STORE32) registers[i.to * PW_THREADS] = r;
        }
    }
    if (!p.decide) return;
    block_sum(m, scratch);
    if (t == 0) {
        volatile float* mine = (volatile float*)p.partials + (long)(p.partials_before + blockIdx.x) * 6;
        for (int k = 0; k < 6; k++) mine[k] = m[k];
        __threadfence();
        last = atomicAdd((u32*)p.ticket, 1u) == gridDim.x - 1;
    }
    __syncthreads();
    if (!last) return;
    if (t == 0) *(u32*)p.ticket = 0;
    if (p.decide == 1) return;
    __threadfence();
    for (int k = 0; k < 6; k++) m[k] = 0.0f;
    const int all = p.partials_before + gridDim.x;
    for (int b = t; b < all; b += PW_THREADS)
        for (int k = 0; k < 6; k++) m[k] += ((const volatile float*)p.partials)[(long)b * 6 + k];
    block_sum(m, scratch);
    if (t) return;
    Control* control = (Control*)p.control;
    if (p.decide == 2) {
        decide_step(control, (Report*)p.report, distance_of(m, control->metric));
    } else {
        control->drive_distance = ((const volatile Order*)p.order)->drive_known ? distance_of(m, 0) : infinity();
    }
}
