// One number from all channels of a pixel: what the norm of a pixel and softmax are made of.
//
// One warp a pixel: its lanes take every 32nd channel, and add up in a fixed order.
struct AcrossArgs {
    View in;
    u64 out32, out16;  // either may be 0
    int out_cs;
    int kind;          // as below
    float scale;       // multiplies the result
    u64 skip;
    Part part;
};
#define ACROSS_SUM 0
#define ACROSS_SQUARES 1
#define ACROSS_GREATEST 2
#define ACROSS_LEAST 3

KERNEL(128) across(AcrossArgs p) {
    if (*(const int*)p.skip) return;
    const long pixel = (long)blockIdx.x * 4 + (threadIdx.x >> 5);
    const int lane = threadIdx.x & 31;
    if (clean_run(p.part, (long)blockIdx.x * 4, 4, (long)p.in.h * p.in.w)) return;
    if (pixel >= (long)p.in.h * p.in.w) return;
    float value = p.kind == ACROSS_GREATEST ? -infinity() : p.kind == ACROSS_LEAST ? infinity() : 0.0f;
    for (int c = lane; c < p.in.c; c += 32) {
        const float x = load_value(p.in, pixel * p.in.cs + c);
        if (p.kind == ACROSS_SUM) value += x;
        else if (p.kind == ACROSS_SQUARES) value += x * x;
        else value = p.kind == ACROSS_GREATEST ? fmaxf(value, x) : fminf(value, x);
    }
#pragma unroll
    for (int o = 16; o; o >>= 1) {
        const float other = __shfl_xor_sync(0xffffffffu, value, o);
        if (p.kind <= ACROSS_SQUARES) value += other;
        else value = p.kind == ACROSS_GREATEST ? fmaxf(value, other) : fminf(value, other);
    }
    if (lane >= p.out_cs) return;
    value = lane ? 0.0f : value * p.scale;
    if (p.out32) ((float*)p.out32)[pixel * p.out_cs + lane] = value;
    if (p.out16) ((u16*)p.out16)[pixel * p.out_cs + lane] = f2h(value);
}
