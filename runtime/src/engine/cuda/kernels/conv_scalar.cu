// Convolution in fp32 arithmetic, for GPUs without tensor cores, for the fp32 mode, and for what the tensor-core kernel does not take.

// Groups = 1: implicit GEMM, 64 pixels x 32 channels a block, K in slices of 16 along the same runs as in conv_mma.
// Weights: fp32 [channel block of 32][run][k padded to 16][32].
template <class Behind> DEV void conv_scalar_of(const ConvArgs& p, Behind& behind) {
    if (*(const int*)p.skip) return;
    __shared__ float a[16][68];
    __shared__ float b[16][32];
    const int t = threadIdx.x;
    if (t == 0 && blockIdx.x == 0 && blockIdx.z == 0) atomicAdd((u32*)p.counter, 1u);
    const int pixels = p.oh * p.ow;
    if (clean_run(p.part, (long)blockIdx.x * 64, 64, pixels)) return;
    const int loader = blockIdx.x * 64 + (t & 63), k_half = (t >> 6) * 8;
    const bool pixel_in = loader < pixels;
    const int ly = loader / p.ow, lx = loader % p.ow;
    const int row_values = p.in.w * p.in.cs;
    const int length = p.run_taps_x == 1 ? p.kw * p.in.cs : p.in.cs;
    const int tx = t & 7, ty = t >> 3;
    float acc[4][4];
#pragma unroll
    for (int i = 0; i < 4; i++)
#pragma unroll
        for (int j = 0; j < 4; j++) acc[i][j] = 0.0f;
    const float* w = (const float*)p.weights + (long)blockIdx.z * p.runs * p.ksteps * 512;
    int ky = 0, kx = 0;
    for (int run = 0; run < p.runs; run++) {
        const int y = ly * p.stride_y - p.pad_y + ky * p.dilation_y;
        const int first = (lx * p.stride_x - p.pad_x + kx * p.dilation_x) * p.in.cs;
        const bool row_in = pixel_in && y >= 0 && y < p.in.h;
        if (++kx == p.run_taps_x) { kx = 0; ky++; }
        for (int ks = 0; ks < p.ksteps; ks++, w += 512) {
            for (int k = 0; k < 8; k++) {
                const int j = ks * 16 + k_half + k, x = first + j;
                a[k_half + k][t & 63] = row_in && j < length && x >= 0 && x < row_values ? load_value(p.in, (long)y * row_values + x) : 0.0f;
            }
            for (int k = t; k < 512; k += 128) b[k >> 5][k & 31] = w[k];
            __syncthreads();
#pragma unroll
            for (int k = 0; k < 16; k++) {
                float av[4], bv[4];
#pragma unroll
                for (int i = 0; i < 4; i++) { av[i] = a[k][ty * 4 + i]; bv[i] = b[k][tx * 4 + i]; }
#pragma unroll
                for (int i = 0; i < 4; i++)
#pragma unroll
                    for (int j = 0; j < 4; j++) acc[i][j] += av[i] * bv[j];
            }
            __syncthreads();
        }
    }
    const float* bias = (const float*)p.bias + blockIdx.z * 32;
#pragma unroll
    for (int i = 0; i < 4; i++) {
        const int pixel = blockIdx.x * 64 + ty * 4 + i;
        if (pixel >= pixels) continue;
        Place<2> at;
        Pairs<2> v;
#pragma unroll
        for (int j = 0; j < 2; j++) {
            const int c = tx * 4 + j * 2;
            at.pixel[j] = pixel;
            at.channel[j] = blockIdx.z * 32 + c;
            at.pair[j] = pixel * (p.out_cs >> 1) + (at.channel[j] >> 1);
            at.on[j] = at.channel[j] < p.out_cs;
            v.v[j] = make_float2(acc[i][j * 2] + bias[c], acc[i][j * 2 + 1] + bias[c + 1]);
        }
        behind.put(p, at, v);
    }
}

// Groups > 1: one thread two neighbouring channels of a pixel. Weights: fp32 [ky][kx][input channel of the group][out_cs].
template <class Behind> DEV void conv_direct_of(const ConvArgs& p, Behind& behind) {
    if (*(const int*)p.skip) return;
    const int pairs = p.out_cs >> 1;
    const long item = (long)blockIdx.x * 128 + threadIdx.x;
    if (item == 0) atomicAdd((u32*)p.counter, 1u);
    if (clean_run(p.part, (long)blockIdx.x * 128 / pairs, 127 / pairs + 2, (long)p.oh * p.ow)) return;
    if (item >= (long)p.oh * p.ow * pairs) return;
    Place<1> at;
    at.pair[0] = (int)item;
    at.pixel[0] = at.pair[0] / pairs;
    at.channel[0] = (at.pair[0] - at.pixel[0] * pairs) * 2;
    at.on[0] = true;
    const int channel = at.channel[0];
    float sum[2] = {((const float*)p.bias)[channel], ((const float*)p.bias)[channel + 1]};
    const int y0 = at.pixel[0] / p.ow * p.stride_y - p.pad_y, x0 = at.pixel[0] % p.ow * p.stride_x - p.pad_x;
    const float2* w = (const float2*)p.weights + (channel >> 1);
    const bool depthwise = p.group_in == 1 && p.group_out == 1;
    // A channel beyond the last has no group: it reads the last one's, with weights of 0.
    const int second = channel + 1 < p.out_c ? channel + 1 : channel;
    const int first[2] = {channel / p.group_out * p.group_in, second / p.group_out * p.group_in};
    for (int ky = 0; ky < p.kh; ky++) {
        const int y = y0 + ky * p.dilation_y;
        for (int kx = 0; kx < p.kw; kx++) {
            const int x = x0 + kx * p.dilation_x;
            if (y < 0 || y >= p.in.h || x < 0 || x >= p.in.w) continue;
            const int from = y * p.in.w + x, tap = ky * p.kw + kx;
            if (depthwise) {
                const int pair = from * (p.in.cs >> 1) + (channel >> 1);
                const float2 v = p.in.half ? pair16(p.in.data, pair) : pair32(p.in.data, pair), weight = w[(long)tap * pairs];
                sum[0] += v.x * weight.x;
                sum[1] += v.y * weight.y;
                continue;
            }
            for (int i = 0; i < p.group_in; i++) {
                const float2 weight = w[(long)(tap * p.group_in + i) * pairs];
                sum[0] += load_value(p.in, (long)from * p.in.cs + first[0] + i) * weight.x;
                sum[1] += load_value(p.in, (long)from * p.in.cs + first[1] + i) * weight.y;
            }
        }
    }
    Pairs<1> v;
    v.v[0] = padded(make_float2(sum[0], sum[1]), channel, p.out_c);
    behind.put(p, at, v);
}
#ifndef COMPILED
KERNEL(128) conv_scalar(ConvArgs p) { Stored behind; conv_scalar_of(p, behind); }
KERNEL(128) conv_direct(ConvArgs p) { Stored behind; conv_direct_of(p, behind); }
#endif
