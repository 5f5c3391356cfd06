// What gathers pixels: pooling, resizing, pads and crops, and channels laid out as pixels or taken from them.
//
// One thread an output value, channels first: neighbouring threads read neighbouring values.
struct SpatialArgs {
    View in;
    u64 out32, out16;      // either may be 0
    int out_cs, out_c, oh, ow;
    int kind;              // as below
    // Of the window. INTERLEAVE and COLLECT: the block in stride; channels from one position of a block to the next in kh, from one
    // channel to the next in kw; INTERLEAVE: what is cut off in pad.
    int kh, kw, stride_y, stride_x, dilation_y, dilation_x, pad_y, pad_x;
    int divisor;           // MEAN: number the sum is divided by; 0: the taps that lie in the picture
    u64 rows, columns;     // RESIZE: Taps of each output row and column
    u64 skip;
    Part part;
};
// Two samples and what they weigh; clamped to the picture.
struct Taps {
    int first, second;
    float first_weight, second_weight;
};
#define LARGEST 0
#define MEAN 1
#define RESIZE 2
#define INTERLEAVE 3
#define COLLECT 4

KERNEL(128) spatial(SpatialArgs p) {
    if (*(const int*)p.skip) return;
    const long at = (long)blockIdx.x * 128 + threadIdx.x;
    if (clean_run(p.part, (long)blockIdx.x * 128 / p.out_cs, 127 / p.out_cs + 2, (long)p.oh * p.ow)) return;
    if (at >= (long)p.oh * p.ow * p.out_cs) return;
    const int channel = (int)(at % p.out_cs), pixel = (int)(at / p.out_cs), oy = pixel / p.ow, ox = pixel % p.ow;
    float value = 0.0f;
    if (channel < p.out_c) {
        if (p.kind == INTERLEAVE) {
            const int y = oy + p.pad_y, x = ox + p.pad_x;
            const int from = (y % p.stride_y * p.stride_x + x % p.stride_x) * p.kh + channel * p.kw;
            value = load_value(p.in, ((long)(y / p.stride_y) * p.in.w + x / p.stride_x) * p.in.cs + from);
        } else if (p.kind == COLLECT) {
            const int place = channel / p.kh % (p.stride_y * p.stride_x), from = channel / p.kw % p.in.c;
            const int y = oy * p.stride_y + place / p.stride_x, x = ox * p.stride_x + place % p.stride_x;
            value = load_value(p.in, ((long)y * p.in.w + x) * p.in.cs + from);
        } else if (p.kind == RESIZE) {
            const Taps row = ((const Taps*)p.rows)[oy], column = ((const Taps*)p.columns)[ox];
            const long top = (long)row.first * p.in.w, bottom = (long)row.second * p.in.w;
            const float a = load_value(p.in, (top + column.first) * p.in.cs + channel), b = load_value(p.in, (top + column.second) * p.in.cs + channel);
            const float c = load_value(p.in, (bottom + column.first) * p.in.cs + channel), d = load_value(p.in, (bottom + column.second) * p.in.cs + channel);
            value = row.first_weight * (column.first_weight * a + column.second_weight * b) + row.second_weight * (column.first_weight * c + column.second_weight * d);
        } else {
            int taps = 0;
            float sum = 0.0f, most = -infinity();
            for (int ky = 0; ky < p.kh; ky++) {
                const int y = oy * p.stride_y - p.pad_y + ky * p.dilation_y;
                for (int kx = 0; kx < p.kw; kx++) {
                    const int x = ox * p.stride_x - p.pad_x + kx * p.dilation_x;
                    if (y < 0 || y >= p.in.h || x < 0 || x >= p.in.w) continue;
                    const float v = load_value(p.in, ((long)y * p.in.w + x) * p.in.cs + channel);
                    sum += v;
                    most = fmaxf(most, v);
                    taps++;
                }
            }
            value = p.kind == LARGEST ? most : sum / (float)(p.divisor ? p.divisor : taps);
        }
    }
    if (p.out32) ((float*)p.out32)[at] = value;
    if (p.out16) ((u16*)p.out16)[at] = f2h(value);
}
