// Convolution with large kernels: overlapping 64 x 64 tiles, each Fourier transformed, multiplied by the kernels' spectra, and back.
// About 20 times fewer operations than the direct form for 15 x 15; all in fp32.
//
// Two neighbouring channels make one complex picture, so that one transform serves both; their spectra are told apart when they are
// written. The transform leaves positions with their octal digits swapped, and the way back starts from there.
//
// Spectra: complex [tile][channel pair][frequency][2], frequency = ky * 33 + kx. Kernels: [frequency / 8][input channel][output pair][frequency % 8][2],
// conjugated. They are kept in fp32 or, by the kernels whose name ends in 16, in fp16: these kernels wait for memory, and half the bytes are
// half the time. The 64 * 64 a transform and its way back leave too much is taken out in two parts, FFT_DOWN on the way in and FFT_UP on the
// way back, so that in fp16 neither the mean of a tile becomes infinite (below 4094) nor what is left of a flat one lost.
#define FFT 64
#define FFT_PITCH 72  // complex numbers from row to row: rows a half-warp touches together fall on different banks
#define FFT_FREQUENCIES (FFT * 33)
#define FFT_TILES 9   // tiles a pass of the multiplication keeps in registers
#define FFT_FEW 4     // where there are no more than so many
#define FFT_DOWN (1.0f / 256.0f)
#define FFT_UP (256.0f / (FFT * FFT))
struct FftArgs {
    View in;
    u64 out32, out16;
    int out_cs, out_c, oh, ow;
    u64 weights, bias;
    u64 spectra_in, spectra_out;
    u64 twiddles;  // float2[64]: exp(-2 pi i k / 64)
    int tiles_y, tiles_x, valid_y, valid_x, pad_y, pad_x;
    u64 skip, counter;
    Part part;
    Measure measure;
};

// Whether nothing that a tile makes is to be made again.
DEV bool clean_tile(const FftArgs& p, const Part& part, int tile) {
    const int y = tile / p.tiles_x * p.valid_y, x = tile % p.tiles_x * p.valid_x;
    return clean(part, (long)y * p.ow + x, p.oh - y < p.valid_y ? p.oh - y : p.valid_y, p.ow - x < p.valid_x ? p.ow - x : p.valid_x, p.ow);
}

DEV float2 c_add(float2 a, float2 b) { return make_float2(a.x + b.x, a.y + b.y); }
DEV float2 c_sub(float2 a, float2 b) { return make_float2(a.x - b.x, a.y - b.y); }
DEV float2 c_mul(float2 a, float2 b) { return make_float2(a.x * b.x - a.y * b.y, a.x * b.y + a.y * b.x); }
// A spectrum's value at `at`.
template <bool HALF> DEV float2 load_complex(u64 spectra, long at) {
    if (!HALF) return ((const float2*)spectra)[at];
    const u32 w = ((const u32*)spectra)[at];
    return make_float2(h2f((u16)w), h2f((u16)(w >> 16)));
}
template <bool HALF> DEV void store_complex(u64 spectra, long at, float2 v) {
    if (HALF) ((u32*)spectra)[at] = f2h(v.x) | ((u32)f2h(v.y) << 16); else ((float2*)spectra)[at] = v;
}
DEV int swapped(int k) { return (k & 7) * 8 + (k >> 3); }

// Eight-point transform in place, natural order in and out; SIGN -1 forward, 1 back.
template <int SIGN> DEV void fft8(float2 (&v)[8]) {
    const float h = 0.70710678118654752f, s = (float)SIGN;
    float2 e[4], o[4];
#pragma unroll
    for (int half = 0; half < 2; half++) {
        const float2 a = v[half], b = v[half + 2], c = v[half + 4], d = v[half + 6];
        const float2 p = c_add(a, c), q = c_sub(a, c), r = c_add(b, d), t = c_sub(b, d);
        const float2 it = make_float2(-s * t.y, s * t.x);
        float2* out = half ? o : e;
        out[0] = c_add(p, r); out[1] = c_add(q, it); out[2] = c_sub(p, r); out[3] = c_sub(q, it);
    }
    o[1] = c_mul(o[1], make_float2(h, s * h));
    o[2] = make_float2(-s * o[2].y, s * o[2].x);
    o[3] = c_mul(o[3], make_float2(-h, s * h));
#pragma unroll
    for (int k = 0; k < 4; k++) { v[k] = c_add(e[k], o[k]); v[k + 4] = c_sub(e[k], o[k]); }
}

// One pass over a 64 x 64 picture: transforms of 8 values `stride` apart. Forward twiddles follow the transform, backward ones too, with the
// roles of the two digits exchanged.
template <int SIGN, bool FIRST> DEV void fft_pass(float2* picture, const float2* twiddles, bool columns) {
    for (int item = threadIdx.x; item < FFT * 8; item += 256) {
        // Along columns neighbouring threads take neighbouring columns; along rows, neighbouring digits of one row.
        const int line = columns ? item & 63 : item >> 3, digit = columns ? item >> 6 : item & 7;
        const int step = columns ? FFT_PITCH : 1;
        const bool outer = (SIGN < 0) == FIRST;  // 8 values one octal digit apart: 8 places
        float2* at = picture + (columns ? line : line * FFT_PITCH) + digit * (outer ? 1 : 8) * step;
        const int stride = (outer ? 8 : 1) * step;
        float2 v[8];
#pragma unroll
        for (int k = 0; k < 8; k++) v[k] = at[k * stride];
        fft8<SIGN>(v);
#pragma unroll
        for (int k = 0; k < 8; k++) {
            if (FIRST && k) {
                float2 w = twiddles[(digit * k) & 63];
                if (SIGN > 0) w.y = -w.y;
                v[k] = c_mul(v[k], w);
            }
            at[k * stride] = v[k];
        }
    }
    __syncthreads();
}

// A transformed picture's frequencies are taken by warps of whole rows: in round r, warp w has row 8 r + w, a lane one of its first 32
// columns; the 33rd comes last. Where row 8 r + w lies, and where the row with the opposite frequency:
DEV int frequency_row(int warp, int round) { return warp * 8 + round; }
DEV int mirrored_row(int warp, int round) { return warp ? (8 - warp) * 8 + 7 - round : (8 - round) & 7; }

// The spectra of the two channels of one complex picture, told apart by its value `z` at a frequency and `m` at the opposite one.
template <bool HALF> DEV void split_spectra(u64 spectra, long at, float2 z, float2 m) {
    const float half = 0.5f * FFT_DOWN;
    store_complex<HALF>(spectra, at, make_float2(half * (z.x + m.x), half * (z.y - m.y)));
    store_complex<HALF>(spectra, at + 1, make_float2(half * (z.y + m.y), half * (m.x - z.x)));
}

// blockIdx.x: tile, blockIdx.y: channel pair.
template <bool HALF> DEV void fft_forward(const FftArgs& p, unsigned char* shared) {
    float2* picture = (float2*)shared;
    float2* twiddles = picture + FFT * FFT_PITCH;
    const int t = threadIdx.x, tile = blockIdx.x, pair = blockIdx.y;
    if (clean_tile(p, p.part, tile)) return;
    if (t < 64) twiddles[t] = ((const float2*)p.twiddles)[t];
    const int y0 = tile / p.tiles_x * p.valid_y - p.pad_y, x0 = tile % p.tiles_x * p.valid_x - p.pad_x;
    // A thread stays in its column, so that little is computed for each value.
    const int dx = t & 63, x = x0 + dx, row = p.in.w * (p.in.cs >> 1);
    const bool column_in = x >= 0 && x < p.in.w;
    const long first = ((long)y0 * p.in.w + x) * (p.in.cs >> 1) + pair;
    for (int dy = t >> 6; dy < FFT; dy += 4) {
        float2 v = make_float2(0.0f, 0.0f);
        if (column_in && y0 + dy >= 0 && y0 + dy < p.in.h) {
            const long at = first + (long)dy * row;
            v = p.in.half ? load_complex<true>(p.in.data, at) : load_complex<false>(p.in.data, at);
        }
        picture[dy * FFT_PITCH + dx] = v;
    }
    __syncthreads();
    fft_pass<-1, true>(picture, twiddles, true);
    fft_pass<-1, false>(picture, twiddles, true);
    fft_pass<-1, true>(picture, twiddles, false);
    fft_pass<-1, false>(picture, twiddles, false);
    const long out = ((long)tile * (p.in.cs >> 1) + pair) * FFT_FREQUENCIES * 2;
    const int lane = t & 31, warp = t >> 5;
    const float2 *z = picture + swapped(lane), *m = picture + swapped((64 - lane) & 63);
    for (int round = 0; round < 8; round++)
        split_spectra<HALF>(p.spectra_in, out + ((round * 8 + warp) * 33 + lane) * 2, z[frequency_row(warp, round) * FFT_PITCH], m[mirrored_row(warp, round) * FFT_PITCH]);
    if (t < FFT) split_spectra<HALF>(p.spectra_in, out + (t * 33 + 32) * 2, picture[swapped(t) * FFT_PITCH + swapped(32)], picture[swapped((64 - t) & 63) * FFT_PITCH + swapped(32)]);
}

// blockIdx.x: eight frequencies; a thread makes one output channel at one of them for up to FFT_TILES tiles at once.
template <bool HALF, int TILES> DEV void fft_products(const FftArgs& p, float2* in, int tile0, int count) {
    const int t = threadIdx.x, first = blockIdx.x * 8, in_pairs = p.in.cs >> 1, out_pairs = p.out_cs >> 1;
    __syncthreads();
    // Tiles there are none of are zero: the products below take no notice of how many there are.
    for (int i = t; i < TILES * in_pairs * 16; i += 256) {
        const bool there = i < count * in_pairs * 16;
        in[i] = there ? load_complex<HALF>(p.spectra_in, ((long)(tile0 * in_pairs + (i >> 4)) * FFT_FREQUENCIES + first) * 2 + (i & 15)) : make_float2(0.0f, 0.0f);
    }
    __syncthreads();
    for (int item = t; item < out_pairs * 16; item += 256) {
        const int f = (item & 15) >> 1;
        const long w = (long)blockIdx.x * p.in.c * out_pairs * 16 + item;
        float2 sum[TILES];
#pragma unroll
        for (int k = 0; k < TILES; k++) sum[k] = make_float2(0.0f, 0.0f);
        for (int i = 0; i < p.in.c; i++) {
            const float2 weight = load_complex<HALF>(p.weights, w + (long)i * out_pairs * 16);
            const float2* x = in + (i >> 1) * 16 + f * 2 + (i & 1);
#pragma unroll
            for (int k = 0; k < TILES; k++) {
                // Four fused multiply-adds.
                const float2 v = x[k * in_pairs * 16];
                sum[k].x += v.x * weight.x; sum[k].x -= v.y * weight.y;
                sum[k].y += v.x * weight.y; sum[k].y += v.y * weight.x;
            }
        }
#pragma unroll
        for (int k = 0; k < TILES; k++)
            if (k < count) store_complex<HALF>(p.spectra_out, ((long)((tile0 + k) * out_pairs + (item >> 4)) * FFT_FREQUENCIES + first) * 2 + (item & 15), sum[k]);
    }
}
template <bool HALF> DEV void fft_multiply(const FftArgs& p, unsigned char* shared) {
    if (threadIdx.x == 0 && blockIdx.x == 0) atomicAdd((u32*)p.counter, 1u);
    const int tiles = p.tiles_y * p.tiles_x;
    for (int tile0 = 0; tile0 < tiles; tile0 += FFT_TILES) {
        const int count = tiles - tile0 < FFT_TILES ? tiles - tile0 : FFT_TILES;
        // Those multiplied at once are multiplied if one of them is to be made again: the others' spectra are what they were.
        bool rests = p.part.mask != 0;
        for (int k = 0; k < count && rests; k++) rests = clean_tile(p, Part{p.part.mask, 0, 0, 0}, tile0 + k);
        if (rests) continue;
        // [tile][input pair][frequency][2]
        if (count <= FFT_FEW) fft_products<HALF, FFT_FEW>(p, (float2*)shared, tile0, count); else fft_products<HALF, FFT_TILES>(p, (float2*)shared, tile0, count);
    }
}

// blockIdx.x: tile, blockIdx.y: channel pair.
template <bool HALF> DEV void fft_back(const FftArgs& p, unsigned char* shared) {
    float2* picture = (float2*)shared;
    float2* twiddles = picture + FFT * FFT_PITCH;
    const int t = threadIdx.x, tile = blockIdx.x, pair = blockIdx.y;
    if (clean_tile(p, p.part, tile)) return;
    if (t < 64) twiddles[t] = ((const float2*)p.twiddles)[t];
    const long in = ((long)tile * (p.out_cs >> 1) + pair) * FFT_FREQUENCIES * 2;
    const int lane = t & 31, warp = t >> 5;
    float2 *z = picture + swapped(lane), *m = picture + swapped((64 - lane) & 63);
    for (int round = 0; round < 8; round++) {
        const long at = in + ((round * 8 + warp) * 33 + lane) * 2;
        const float2 a = load_complex<HALF>(p.spectra_out, at), b = load_complex<HALF>(p.spectra_out, at + 1);
        z[frequency_row(warp, round) * FFT_PITCH] = make_float2(a.x - b.y, a.y + b.x);
        // The other half follows from the pictures being real.
        if (lane > 0) m[mirrored_row(warp, round) * FFT_PITCH] = make_float2(a.x + b.y, b.x - a.y);
    }
    if (t < FFT) {
        const float2 a = load_complex<HALF>(p.spectra_out, in + (t * 33 + 32) * 2), b = load_complex<HALF>(p.spectra_out, in + (t * 33 + 32) * 2 + 1);
        picture[swapped(t) * FFT_PITCH + swapped(32)] = make_float2(a.x - b.y, a.y + b.x);
    }
    __syncthreads();
    fft_pass<1, true>(picture, twiddles, false);
    fft_pass<1, false>(picture, twiddles, false);
    fft_pass<1, true>(picture, twiddles, true);
    fft_pass<1, false>(picture, twiddles, true);
    const int y0 = tile / p.tiles_x * p.valid_y, x0 = tile % p.tiles_x * p.valid_x;
    const float bias0 = ((const float*)p.bias)[pair * 2], bias1 = ((const float*)p.bias)[pair * 2 + 1];
    const int dx = t & 63, x = x0 + dx;
    // The second channel of the last pair may be padding, which stays zero.
    const float up1 = pair * 2 + 1 < p.out_c ? FFT_UP : 0.0f;
    const int row = p.ow * (p.out_cs >> 1);
    const int rows = dx >= p.valid_x || x >= p.ow ? 0 : p.oh - y0 < p.valid_y ? p.oh - y0 : p.valid_y;
    const long first = ((long)y0 * p.ow + x) * (p.out_cs >> 1) + pair;
    float2* to32 = p.out32 ? (float2*)p.out32 + first : 0;
    u32* to16 = p.out16 ? (u32*)p.out16 + first : 0;
    for (int dy = t >> 6; dy < rows; dy += 4) {
        const float2 v = picture[dy * FFT_PITCH + dx];
        const float v0 = v.x * FFT_UP + bias0, v1 = v.y * up1 + bias1;
        if (to32) to32[dy * row] = make_float2(v0, v1);
        if (to16) to16[dy * row] = f2h(v0) | ((u32)f2h(v1) << 16);
    }
    if (!p.measure.mean) return;
    // Mean and squared deviations of the tile, while it is at hand.
    const float n = (float)((p.oh - y0 < p.valid_y ? p.oh - y0 : p.valid_y) * (p.ow - x0 < p.valid_x ? p.ow - x0 : p.valid_x));
    float2 mean = make_float2(0.0f, 0.0f), sum = mean;
    for (int pass = 0; pass < 2; pass++) {
        sum = make_float2(0.0f, 0.0f);
        for (int dy = t >> 6; dy < rows; dy += 4) {
            const float2 v = picture[dy * FFT_PITCH + dx];
            const float d0 = v.x * FFT_UP + bias0 - mean.x, d1 = v.y * up1 + bias1 - mean.y;
            sum.x += pass ? d0 * d0 : d0;
            sum.y += pass ? d1 * d1 : d1;
        }
        sum = block_total(sum);
        if (!pass) mean = make_float2(sum.x / n, sum.y / n);
    }
    const Measure& to = p.measure;
    if (t == 0) {
        float* partial = (float*)to.partials + ((long)tile * p.out_cs + pair * 2) * 2;
        partial[0] = mean.x; partial[1] = sum.x;
        partial[2] = mean.y; partial[3] = sum.y;
        if (pair == 0) ((float*)to.counts)[tile] = n;
    }
    merge_parts(to, gridDim.x * gridDim.y, gridDim.x, p.out_cs, p.oh * p.ow);
}

#define FFT_KERNEL(name, body, half)          \
    KERNEL(256) name(FftArgs p) {             \
        if (*(const int*)p.skip) return;      \
        DYN_SMEM(name##_shared);              \
        body<half>(p, name##_shared);         \
    }
FFT_KERNEL(conv_fft_forward, fft_forward, false)
FFT_KERNEL(conv_fft_forward16, fft_forward, true)
FFT_KERNEL(conv_fft_multiply, fft_multiply, false)
FFT_KERNEL(conv_fft_multiply16, fft_multiply, true)
FFT_KERNEL(conv_fft_back, fft_back, false)
FFT_KERNEL(conv_fft_back16, fft_back, true)
