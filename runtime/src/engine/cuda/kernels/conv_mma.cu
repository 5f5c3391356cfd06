// Convolution on tensor cores: implicit GEMM, fp16 in, fp32 sums.
//
// Trick one, no padding of channels: in [y][x][c] order the inputs of one kernel row are one contiguous run of kw * cs values, so K is
// walked run by run (a row of the kernel, or a single tap when dilated) and only the run's end is padded to a whole k-step.
// Trick two, no bank conflicts: the eight rows of a fragment are eight picture rows, and the pitch of the shared tile is 4 words modulo 8.
// Trick three, no barrier in the loop: weights come in fragment order straight from the cache, one k-step ahead.
//
// One warp makes an area of 8 rows x COLUMNS columns of 32 output channels; a block is warps_y x warps_x such areas sharing one tile.
struct ConvArgs {
    View in;
    u64 out32, out16;      // either may be 0
    int out_cs, out_c, oh, ow;
    u64 weights, bias;     // bias: fp32, padded to the channel block
    int runs, run_taps_x;  // K runs, and how many of them lie on one kernel row (1 unless dilated)
    int ksteps;            // k-steps of one run
    int stride_y, stride_x, dilation_y, dilation_x, pad_y, pad_x;
    int warps_y, warps_x, tile_h, tile_words, pitch;  // shared tile: rows, words in use per row, words from row to row
    int kh, kw, group_in, group_out;                  // for conv_scalar and conv_direct
    u64 skip;              // const int*: return at once when it is not 0
    u64 counter;           // u32*: counts launches that did work
    Part part;
};
#if MMA_PATH
#if MMA_PATH == 80
#define K_STEP 16
#define M_PIXELS 16
#define A_WORDS 4
#define C_WORDS 4
#define N_TILES 4
#define B_WORDS 2
#else
// Each quad pair takes 8 of the 32 output channels, all four the same 8 pixels.
#define K_STEP 4
#define M_PIXELS 8
#define A_WORDS 2
#define C_WORDS 8
#define N_TILES 1
#define B_WORDS 2
#endif

DEV void load_weights(u32 (&b)[N_TILES][B_WORDS], const u32* w) {
#if MMA_PATH == 80
    const uint4 lo = *(const uint4*)w, hi = *(const uint4*)(w + 4);
    b[0][0] = lo.x; b[0][1] = lo.y; b[1][0] = lo.z; b[1][1] = lo.w;
    b[2][0] = hi.x; b[2][1] = hi.y; b[3][0] = hi.z; b[3][1] = hi.w;
#else
    const uint2 v = *(const uint2*)w;
    b[0][0] = v.x; b[0][1] = v.y;
#endif
}

// `behind` takes what is made, four pairs of channels of a pixel at once, or one before Ampere.
template <int COLUMNS, class Behind> DEV void conv_mma(const ConvArgs& p, Behind& behind) {
    const int TILES = COLUMNS * 8 / M_PIXELS;
    if (*(const int*)p.skip) return;
    DYN_SMEM(conv_shared);
    u32* tile = (u32*)conv_shared;
    const int threads = p.warps_y * p.warps_x * 32;
    const int t = threadIdx.x, lane = t & 31, warp = t >> 5;
    if (t == 0 && blockIdx.x == 0 && blockIdx.y == 0 && blockIdx.z == 0) atomicAdd((u32*)p.counter, 1u);
    const int oy0 = blockIdx.y * p.warps_y * 8, ox0 = blockIdx.x * p.warps_x * COLUMNS;
    const int rows = p.oh - oy0 < p.warps_y * 8 ? p.oh - oy0 : p.warps_y * 8, columns = p.ow - ox0 < p.warps_x * COLUMNS ? p.ow - ox0 : p.warps_x * COLUMNS;
    if (clean(p.part, (long)oy0 * p.ow + ox0, rows, columns, p.ow)) return;
    const int words = p.in.cs >> 1;  // per pixel
    const int row_words = p.in.w * words;
    const int first_y = oy0 * p.stride_y - p.pad_y, first_word = (ox0 * p.stride_x - p.pad_x) * words;
    const u32* in = (const u32*)p.in.data;
    for (int r = warp; r < p.tile_h; r += threads >> 5) {
        const int y = first_y + r;
        const bool row_in = y >= 0 && y < p.in.h;
        const u32* from = in + (long)y * row_words;
        u32* to = tile + r * p.pitch;
        for (int j = lane; j < p.pitch; j += 32) {
            const int x = first_word + j;
            if (row_in && j < p.tile_words && x >= 0 && x < row_words) copy_word(to + j, from + x); else to[j] = 0;
        }
    }
    copies_done();
    __syncthreads();
    const int wy = warp / p.warps_x, wx = warp % p.warps_x;
    const int y_warp = oy0 + wy * 8, x_warp = ox0 + wx * COLUMNS;
    if (y_warp >= p.oh || x_warp >= p.ow) return;
    float acc[TILES][N_TILES][C_WORDS];
#pragma unroll
    for (int i = 0; i < TILES; i++)
#pragma unroll
        for (int n = 0; n < N_TILES; n++)
#pragma unroll
            for (int k = 0; k < C_WORDS; k++) acc[i][n][k] = 0.0f;
    const int pixel = p.stride_x * words;
#if MMA_PATH == 80
    const int lane_row = lane >> 2, lane_word = lane & 3;
#else
    const int lane_row = (lane & 3) + ((lane >> 4) << 2), lane_word = 0;
#endif
    const u32* a_lane = tile + (wy * 8 + lane_row) * p.stride_y * p.pitch + wx * COLUMNS * pixel + lane_word;
    const int fragment = 32 * N_TILES * B_WORDS;  // words of one k-step
    const u32* w = (const u32*)p.weights + (long)blockIdx.z * p.runs * p.ksteps * fragment + lane * N_TILES * B_WORDS;
    u32 b[N_TILES][B_WORDS], b_next[N_TILES][B_WORDS];
    load_weights(b_next, w);
    const int total = p.runs * p.ksteps;
    int done = 0, ky = 0, kx = 0;
    for (int run = 0; run < p.runs; run++) {
        const u32* a_run = a_lane + ky * p.dilation_y * p.pitch + kx * p.dilation_x * words;
        if (++kx == p.run_taps_x) { kx = 0; ky++; }
        for (int ks = 0; ks < p.ksteps; ks++) {
#pragma unroll
            for (int n = 0; n < N_TILES; n++)
#pragma unroll
                for (int k = 0; k < B_WORDS; k++) b[n][k] = b_next[n][k];
            if (++done < total) load_weights(b_next, w + (long)done * fragment);
            const u32* at = a_run + ks * (K_STEP / 2);
#if MMA_PATH == 80
            u32 a[TILES][A_WORDS];
#pragma unroll
            for (int i = 0; i < TILES; i++) {
                const u32* q = at + i * 2 * pixel;
                a[i][0] = q[0]; a[i][1] = q[pixel]; a[i][2] = q[4]; a[i][3] = q[pixel + 4];
            }
            mma_tiles(acc, a, b);
#else
            u32 a[TILES][A_WORDS];
#pragma unroll
            for (int i = 0; i < TILES; i++) { const u32* q = at + i * pixel; a[i][0] = q[0]; a[i][1] = q[1]; }
            mma_tiles(acc, a, b);
#endif
        }
    }
    const float* bias = (const float*)p.bias + blockIdx.z * 32;
    const int channel0 = blockIdx.z * 32;
#if MMA_PATH == 80
    const int y = y_warp + (lane >> 2);
    if (y >= p.oh) return;
#pragma unroll
    for (int i = 0; i < TILES; i++)
#pragma unroll
        for (int side = 0; side < 2; side++) {
            const int x = x_warp + i * 2 + side;
            if (x >= p.ow) continue;
            Place<4> at;
            Pairs<4> v;
#pragma unroll
            for (int n = 0; n < 4; n++) {
                const int c = n * 8 + (lane & 3) * 2;
                at.pixel[n] = y * p.ow + x;
                at.channel[n] = channel0 + c;
                at.pair[n] = at.pixel[n] * (p.out_cs >> 1) + (at.channel[n] >> 1);
                at.on[n] = at.channel[n] < p.out_cs;
                v.v[n] = make_float2(acc[i][n][side * 2] + bias[c], acc[i][n][side * 2 + 1] + bias[c + 1]);
            }
            behind.put(p, at, v);
        }
#else
    // Accumulator k of a lane: row (lane & 1) + (k & 2) + (lane >> 4) * 4, column (k >> 2) * 4 + (lane & 2) + (k & 1), of quad pair (lane >> 2) & 3.
    const int quad_pair = (lane >> 2) & 3;
#pragma unroll
    for (int i = 0; i < TILES; i++) {
        const int x = x_warp + i;
        if (x >= p.ow) continue;
#pragma unroll
        for (int k = 0; k < 8; k += 2) {
            const int y = y_warp + (lane & 1) + (k & 2) + (lane >> 4) * 4;
            const int c = quad_pair * 8 + (k >> 2) * 4 + (lane & 2);
            if (y >= p.oh) continue;
            Place<1> at;
            Pairs<1> v;
            at.pixel[0] = y * p.ow + x;
            at.channel[0] = channel0 + c;
            at.pair[0] = at.pixel[0] * (p.out_cs >> 1) + (at.channel[0] >> 1);
            at.on[0] = at.channel[0] < p.out_cs;
            v.v[0] = make_float2(acc[i][0][k] + bias[c], acc[i][0][k + 1] + bias[c + 1]);
            behind.put(p, at, v);
        }
    }
#endif
}
#ifndef COMPILED
#define MMA_KERNEL(columns) KERNEL(256) conv_mma_##columns(ConvArgs p) { Stored behind; conv_mma<columns>(p, behind); }
MMA_KERNEL(4)
MMA_KERNEL(8)
MMA_KERNEL(10)
#endif
#endif
