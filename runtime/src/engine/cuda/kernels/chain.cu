// Chains of element-wise operations: what both forms of them share, the interpreter (pointwise.cu) and kernels compiled for one network
// (book.rs), which may also have a chain where a convolution stores what it made.
enum {
    OP_LOAD32, OP_LOAD16, OP_LOAD_VIEW, OP_LOAD_MAP, OP_LOAD_VECTOR, OP_LOAD_CONSTANT, OP_LOAD_SLOT, OP_LOAD_MADE, OP_IMMEDIATE,
    OP_STORE32, OP_STORE16, OP_STORE_VIEW, OP_STORE_SLOT, OP_MOMENTS,
    OP_ADD, OP_SUB, OP_MUL, OP_DIV, OP_MAX, OP_MIN, OP_LESS, OP_KEEP, OP_POW,
    OP_NEG, OP_ABS, OP_SQRT, OP_RSQRT, OP_EXP, OP_LOG, OP_ROUND, OP_ERF, OP_SIGMOID, OP_TANH, OP_SOFTPLUS, OP_SQUARE
};
// Opcode, name and value, of the operations on two numbers and on one.
#define BINARY_OPERATIONS(X)                  \
    X(OP_ADD, op_add, x + y)                  \
    X(OP_SUB, op_sub, x - y)                  \
    X(OP_MUL, op_mul, x * y)                  \
    X(OP_DIV, op_div, x / y)                  \
    X(OP_MAX, op_max, fmaxf(x, y))            \
    X(OP_MIN, op_min, fminf(x, y))            \
    X(OP_LESS, op_less, x < y ? 1.0f : 0.0f)  \
    X(OP_KEEP, op_keep, x > 0.0f ? y : 0.0f)  \
    X(OP_POW, op_pow, powf(x, y))
#define UNARY_OPERATIONS(X)                   \
    X(OP_NEG, op_neg, -x)                     \
    X(OP_ABS, op_abs, fabsf(x))               \
    X(OP_SQRT, op_sqrt, sqrtf(x))             \
    X(OP_RSQRT, op_rsqrt, 1.0f / sqrtf(x))    \
    X(OP_EXP, op_exp, expf(x))                \
    X(OP_LOG, op_log, logf(x))                \
    X(OP_ROUND, op_round, rintf(x))           \
    X(OP_ERF, op_erf, erff(x))                \
    X(OP_SIGMOID, op_sigmoid, sigmoid(x))     \
    X(OP_TANH, op_tanh, tanhf(x))             \
    X(OP_SOFTPLUS, op_softplus, softplus(x))  \
    X(OP_SQUARE, op_square, x * x)

#define PW_THREADS 128
#define PW_BUFFERS 16
struct PointwiseArgs {
    u64 buffers[PW_BUFFERS];
    u64 code;        // Instruction[prologue + body], for the interpreter
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

// K pairs of neighbouring channels.
template <int K> struct ALIGN16 Pairs { float2 v[K]; };
// Where they are in a tensor as wide as the chain: pair = pixel * (cs / 2) + channel / 2.
template <int K> struct Place {
    int pair[K], pixel[K];
    int channel[K];  // the first of the two
    bool on[K];      // false: beyond the tensor; nothing is read or written
};

DEV float2 both(float x) { return make_float2(x, x); }
DEV float2 pair32(u64 data, int pair) { return ((const float2*)data)[pair]; }
DEV float2 pair16(u64 data, int pair) { const u32 w = ((const u32*)data)[pair]; return make_float2(h2f((u16)w), h2f((u16)(w >> 16))); }
DEV View viewed(u64 data, int half) { View v; v.data = data; v.half = half; return v; }
// Of a wider tensor: `word` is its first channel << 16 | its channel stride. Nothing beyond the channels in use.
DEV float2 pair_of_view(u64 data, int half, u32 word, int pixel, int channel, int channels) {
    const View v = viewed(data, half);
    const long at = (long)pixel * (word & 0xffff) + (word >> 16) + channel;
    return make_float2(channel < channels ? load_value(v, at) : 0.0f, channel + 1 < channels ? load_value(v, at + 1) : 0.0f);
}
// One value a pixel.
DEV float2 pair_of_map(u64 data, int half, u32 word, int pixel) { return both(load_value(viewed(data, half), (long)pixel * (word & 0xffff) + (word >> 16))); }
DEV float2 pair_of_vector(u64 data, int channel) { return ((const float2*)data)[channel >> 1]; }

// Two channels as they are stored: one beyond the last is 0, whatever an operator made of it. Sums over channels give it a weight of 0, and 0
// times infinity is no number.
DEV float2 padded(float2 v, int channel, int channels) {
    const float y = v.y;
    return make_float2(v.x, channel + 1 < channels ? y : 0.0f);
}
DEV void put32(u64 data, int pair, float2 v) { ((float2*)data)[pair] = v; }
DEV void put16(u64 data, int pair, float2 v) { ((u32*)data)[pair] = f2h(v.x) | ((u32)f2h(v.y) << 16); }
DEV void put_view(u64 data, int half, u32 word, int pixel, int channel, int channels, float2 v) {
    const long at = (long)pixel * (word & 0xffff) + (word >> 16) + channel;
    if (channel < channels) store_value(data, half, at, v.x);
    if (channel + 1 < channels) store_value(data, half, at + 1, v.y);
}
DEV void add_moments(float (&m)[6], float2 was, float2 is, int channel, int channels) {
#pragma unroll
    for (int side = 0; side < 2; side++) {
        if (channel + side >= channels) continue;
        const float before = side ? was.y : was.x, after = side ? is.y : is.x, d = after - before;
        m[0] += d * d; m[1] += fabsf(d); m[2] += after * after; m[3] += fabsf(after); m[4] += before * before; m[5] += before * after;
    }
}

// A chain with moments compares a tensor with its successor; the last block to finish adds up all blocks' sums in a fixed order and decides
// whether stepping stops. Asked by every thread of every block.
DEV void end_sums(const PointwiseArgs& p, float (&m)[6]) {
    if (!p.decide) return;
    __shared__ float scratch[8][6];
    __shared__ u32 last;
    const u32 t = threadIdx.x, blocks = gridDim.x * gridDim.y * gridDim.z;
    const u32 block = (blockIdx.z * gridDim.y + blockIdx.y) * gridDim.x + blockIdx.x;
    block_sum(m, scratch);
    if (t == 0) {
        volatile float* mine = (volatile float*)p.partials + (long)(p.partials_before + block) * 6;
        for (int k = 0; k < 6; k++) mine[k] = m[k];
        __threadfence();
        last = atomicAdd((u32*)p.ticket, 1u) == blocks - 1;
    }
    __syncthreads();
    if (!last) return;
    if (t == 0) *(u32*)p.ticket = 0;
    if (p.decide == 1) return;
    __threadfence();
    for (int k = 0; k < 6; k++) m[k] = 0.0f;
    const u32 all = p.partials_before + blocks;
    for (u32 b = t; b < all; b += blockDim.x)
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

// What becomes of what a convolution made: it is stored, in the formats there is a place for. Others in `Stored`'s place store it too.
template <class Args, int K> DEV void store_made(const Args& p, const Place<K>& at, const Pairs<K>& v) {
#pragma unroll
    for (int k = 0; k < K; k++) {
        if (!at.on[k]) continue;
        if (p.out32) put32(p.out32, at.pair[k], v.v[k]);
        if (p.out16) put16(p.out16, at.pair[k], v.v[k]);
    }
}
struct Stored {
    template <class Args, int K> INLINE void put(const Args& p, const Place<K>& at, const Pairs<K>& v) { store_made(p, at, v); }
};
