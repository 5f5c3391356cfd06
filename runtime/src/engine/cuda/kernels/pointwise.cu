// A whole chain of element-wise operations in one pass: a small program over registers, the same for every element.
// Each thread carries two pairs of neighbouring channels, so an instruction is decoded once for four values.
// The prologue runs once a block over the channels alone and leaves per-channel vectors in shared memory.
struct Instruction {
    u8 op, to, a, b;
    u32 word;  // immediate bits; offset of a constant vector; or channel offset << 16 | channel stride of a view
};
// One instruction over the four values a thread carries.
#define UNARY(op, name, formula)                                              \
    case op:                                                                  \
        _Pragma("unroll") for (int k = 0; k < 2; k++) {                       \
            { const float x = a.v[k].x; r.v[k].x = formula; }                 \
            { const float x = a.v[k].y; r.v[k].y = formula; }                 \
        }                                                                     \
        break;
#define BINARY(op, name, formula)                                             \
    case op:                                                                  \
        _Pragma("unroll") for (int k = 0; k < 2; k++) {                       \
            { const float x = a.v[k].x, y = b.v[k].x; r.v[k].x = formula; }   \
            { const float x = a.v[k].y, y = b.v[k].y; r.v[k].y = formula; }   \
        }                                                                     \
        break;

KERNEL(128) pointwise(PointwiseArgs p) {
    if (*(const int*)p.skip) return;
    DYN_SMEM(pointwise_shared);
    Pairs<2>* registers = (Pairs<2>*)pointwise_shared + threadIdx.x;              // [register][thread]
    float* slots = (float*)((Pairs<2>*)pointwise_shared + p.registers * PW_THREADS);  // [slot][cs]
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
            Pairs<2> r;
            // Registers are read only where an instruction has them: shared memory is what binds this kernel.
            Pairs<2> a = {};
            if (i.op >= OP_STORE32) a = registers[i.a * PW_THREADS];
            if (i.op >= OP_ADD) {
                Pairs<2> b = {};
                if (i.op < OP_NEG) b = registers[i.b * PW_THREADS];
                switch (i.op) {
                    BINARY_OPERATIONS(BINARY)
                    UNARY_OPERATIONS(UNARY)
                }
                registers[i.to * PW_THREADS] = r;
                continue;
            }
#pragma unroll
            for (int k = 0; k < 2; k++) {
                r.v[k] = make_float2(0.0f, 0.0f);
                if (!on[k]) continue;
                const u64 data = p.buffers[i.b & (PW_BUFFERS - 1)];
                const int pixel = pair[k] / channel_pairs;
                switch (i.op) {  // of views and maps `a`, and of stores `to`, is 1 when they are fp16
                    case OP_LOAD32: r.v[k] = pair32(data, pair[k]); break;
                    case OP_LOAD16: r.v[k] = pair16(data, pair[k]); break;
                    case OP_LOAD_VIEW: r.v[k] = pair_of_view(data, i.a, i.word, pixel, channel[k], p.c); break;
                    case OP_LOAD_MAP: r.v[k] = pair_of_map(data, i.a, i.word, pixel); break;
                    case OP_LOAD_VECTOR: r.v[k] = pair_of_vector(data, channel[k]); break;
                    case OP_LOAD_CONSTANT: r.v[k] = pair_of_vector((u64)(constants + i.word), channel[k]); break;
                    case OP_LOAD_SLOT: r.v[k] = pair_of_vector((u64)(slots + i.word * p.cs), channel[k]); break;
                    case OP_IMMEDIATE: r.v[k] = both(__uint_as_float(i.word)); break;
                    case OP_STORE32: put32(data, pair[k], padded(a.v[k], channel[k], p.c)); break;
                    case OP_STORE16: put16(data, pair[k], padded(a.v[k], channel[k], p.c)); break;
                    case OP_STORE_VIEW: put_view(data, i.to, i.word, pixel, channel[k], p.c, a.v[k]); break;
                    case OP_STORE_SLOT: ((float2*)(slots + i.word * p.cs))[channel[k] >> 1] = a.v[k]; break;
                    default: add_moments(m, a.v[k], registers[i.b * PW_THREADS].v[k], channel[k], p.c);  // OP_MOMENTS of a (before) and b (after)
                }
            }
            if (i.op < OP_STORE32) registers[i.to * PW_THREADS] = r;
        }
    }
    end_sums(p, m);
}
