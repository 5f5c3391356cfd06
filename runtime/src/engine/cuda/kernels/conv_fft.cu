// Convolution with large kernels: overlapping 64 x 64 tiles, each Fourier transformed, multiplied by the kernels' spectra, and back.
// About 20 times fewer operations than the direct form for 15 x 15; all in fp32.
//
// Two neighbouring channels make one complex picture, so that one transform serves both; their spectra are told apart when they are
// written. The transform leaves positions with their octal digits swapped, and the way back starts from there.
//
// Spectra: float2 [tile][channel pair][frequency][2], frequency = ky * 33 + kx. Kernels: [frequency / 8][input channel][output pair][frequency % 8][2],
// conjugated and divided by 64 * 64.
#define FFT 64
#define FFT_PITCH 72  // complex numbers from row to row: rows a half-warp touches together fall on different banks
#define FFT_FREQUENCIES (FFT * 33)
#define FFT_TILES 9   // tiles a pass of the multiplication keeps in registers
struct FftArgs {
    View in;
    u64 out32, out16;
    int out_cs, out_c, oh, ow;
    u64 weights, bias;
    u64 spectra_in, spectra_out;
    u64 twiddles;  // float2[64]: exp(-2 pi i k / 64)
    int tiles_y, tiles_x, valid_y, valid_x, pad_y, pad_x;
    u64 skip, counter;
};

DEV float2 c_add(float2 a, float2 b) { return make_float2(a.x + b.x, a.y + b.y); }
DEV float2 c_sub(float2 a, float2 b) { return make_float2(a.x - b.x, a.y - b.y); }
DEV float2 c_mul(float2 a, float2 b) { return make_float2(a.x * b.x - a.y * b.y, a.x * b.y + a.y * b.x); }
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

// blockIdx.x: tile, blockIdx.y: channel pair.
KERNEL(256) conv_fft_forward(FftArgs p) {
    if (*(const int*)p.skip) return;
    DYN_SMEM(fft_forward_shared);
    float2* picture = (float2*)fft_forward_shared;
    float2* twiddles = picture + FFT * FFT_PITCH;
    const int t = threadIdx.x, tile = blockIdx.x, pair = blockIdx.y;
    if (t < 64) twiddles[t] = ((const float2*)p.twiddles)[t];
    const int y0 = tile / p.tiles_x * p.valid_y - p.pad_y, x0 = tile % p.tiles_x * p.valid_x - p.pad_x;
    for (int i = t; i < FFT * FFT; i += 256) {
        const int y = y0 + (i >> 6), x = x0 + (i & 63);
        float2 v = make_float2(0.0f, 0.0f);
        if (y >= 0 && y < p.in.h && x >= 0 && x < p.in.w) {
            const long at = ((long)y * p.in.w + x) * (p.in.cs >> 1) + pair;
            if (p.in.half) { const u32 w = ((const u32*)p.in.data)[at]; v = make_float2(h2f((u16)w), h2f((u16)(w >> 16))); }
            else v = ((const float2*)p.in.data)[at];
        }
        picture[(i >> 6) * FFT_PITCH + (i & 63)] = v;
    }
    __syncthreads();
    fft_pass<-1, true>(picture, twiddles, true);
    fft_pass<-1, false>(picture, twiddles, true);
    fft_pass<-1, true>(picture, twiddles, false);
    fft_pass<-1, false>(picture, twiddles, false);
    float2* out = (float2*)p.spectra_in + ((long)tile * (p.in.cs >> 1) + pair) * FFT_FREQUENCIES * 2;
    for (int f = t; f < FFT_FREQUENCIES; f += 256) {
        const int ky = f / 33, kx = f % 33;
        const float2 z = picture[swapped(ky) * FFT_PITCH + swapped(kx)], m = picture[swapped((64 - ky) & 63) * FFT_PITCH + swapped((64 - kx) & 63)];
        out[f * 2] = make_float2(0.5f * (z.x + m.x), 0.5f * (z.y - m.y));
        out[f * 2 + 1] = make_float2(0.5f * (z.y + m.y), 0.5f * (m.x - z.x));
    }
}

// blockIdx.x: eight frequencies; a thread makes one output channel at one of them for up to FFT_TILES tiles at once.
KERNEL(256) conv_fft_multiply(FftArgs p) {
    if (*(const int*)p.skip) return;
    DYN_SMEM(fft_multiply_shared);
    float2* in = (float2*)fft_multiply_shared;  // [tile][input pair][frequency][2]
    const int t = threadIdx.x, first = blockIdx.x * 8;
    if (t == 0 && blockIdx.x == 0) atomicAdd((u32*)p.counter, 1u);
    const int in_pairs = p.in.cs >> 1, out_pairs = p.out_cs >> 1, tiles = p.tiles_y * p.tiles_x;
    for (int tile0 = 0; tile0 < tiles; tile0 += FFT_TILES) {
        const int count = tiles - tile0 < FFT_TILES ? tiles - tile0 : FFT_TILES;
        __syncthreads();
        for (int i = t; i < count * in_pairs * 16; i += 256)
            in[i] = ((const float2*)p.spectra_in)[((long)(tile0 * in_pairs + (i >> 4)) * FFT_FREQUENCIES + first) * 2 + (i & 15)];
        __syncthreads();
        for (int item = t; item < out_pairs * 16; item += 256) {
            const int f = (item & 15) >> 1;
            const float2* w = (const float2*)p.weights + (long)blockIdx.x * p.in.c * out_pairs * 16 + item;
            float2 sum[FFT_TILES];
#pragma unroll
            for (int k = 0; k < FFT_TILES; k++) sum[k] = make_float2(0.0f, 0.0f);
            for (int i = 0; i < p.in.c; i++) {
                const float2 weight = w[(long)i * out_pairs * 16];
                const float2* x = in + (i >> 1) * 16 + f * 2 + (i & 1);
#pragma unroll
                for (int k = 0; k < FFT_TILES; k++)
                    if (k < count) sum[k] = c_add(sum[k], c_mul(x[k * in_pairs * 16], weight));
            }
#pragma unroll
            for (int k = 0; k < FFT_TILES; k++)
                if (k < count) ((float2*)p.spectra_out)[((long)((tile0 + k) * out_pairs + (item >> 4)) * FFT_FREQUENCIES + first) * 2 + (item & 15)] = sum[k];
        }
    }
}

// blockIdx.x: tile, blockIdx.y: channel pair.
KERNEL(256) conv_fft_back(FftArgs p) {
    if (*(const int*)p.skip) return;
    DYN_SMEM(fft_back_shared);
    float2* picture = (float2*)fft_back_shared;
    float2* twiddles = picture + FFT * FFT_PITCH;
    const int t = threadIdx.x, tile = blockIdx.x, pair = blockIdx.y;
    if (t < 64) twiddles[t] = ((const float2*)p.twiddles)[t];
    const float2* in = (const float2*)p.spectra_out + ((long)tile * (p.out_cs >> 1) + pair) * FFT_FREQUENCIES * 2;
    for (int f = t; f < FFT_FREQUENCIES; f += 256) {
        const int ky = f / 33, kx = f % 33;
        const float2 a = in[f * 2], b = in[f * 2 + 1];
        picture[swapped(ky) * FFT_PITCH + swapped(kx)] = make_float2(a.x - b.y, a.y + b.x);
        // The other half follows from the pictures being real.
        if (kx > 0 && kx < 32) picture[swapped((64 - ky) & 63) * FFT_PITCH + swapped(64 - kx)] = make_float2(a.x + b.y, b.x - a.y);
    }
    __syncthreads();
    fft_pass<1, true>(picture, twiddles, false);
    fft_pass<1, false>(picture, twiddles, false);
    fft_pass<1, true>(picture, twiddles, true);
    fft_pass<1, false>(picture, twiddles, true);
    const int y0 = tile / p.tiles_x * p.valid_y, x0 = tile % p.tiles_x * p.valid_x;
    const float bias0 = ((const float*)p.bias)[pair * 2], bias1 = ((const float*)p.bias)[pair * 2 + 1];
    for (int i = t; i < p.valid_y * p.valid_x; i += 256) {
        const int dy = i / p.valid_x, dx = i % p.valid_x, y = y0 + dy, x = x0 + dx;
        if (y >= p.oh || x >= p.ow) continue;
        const float2 v = picture[dy * FFT_PITCH + dx];
        const float v0 = v.x + bias0, v1 = pair * 2 + 1 < p.out_c ? v.y + bias1 : 0.0f;
        const long at = ((long)y * p.ow + x) * (p.out_cs >> 1) + pair;
        if (p.out32) ((float2*)p.out32)[at] = make_float2(v0, v1);
        if (p.out16) ((u32*)p.out16)[at] = f2h(v0) | ((u32)f2h(v1) << 16);
    }
}
