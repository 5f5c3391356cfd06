// Convolution in fp32 arithmetic, for GPUs without tensor cores, for the fp32 mode, and for what the tensor-core kernel does not take.

// Groups = 1: implicit GEMM, 64 pixels x 32 channels a block, K in slices of 16 along the same runs as in conv_mma.
// Weights: fp32 [channel block of 32][run][k padded to 16][32].
KERNEL(128) conv_scalar(ConvArgs p) {
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
#pragma unroll
        for (int j = 0; j < 4; j++) {
            const int c = tx * 4 + j, channel = blockIdx.z * 32 + c;
            if (channel >= p.out_cs) continue;
            const float v = acc[i][j] + bias[c];
            const long at = (long)pixel * p.out_cs + channel;
            if (p.out32) ((float*)p.out32)[at] = v;
            if (p.out16) ((u16*)p.out16)[at] = f2h(v);
        }
    }
}

// Groups > 1: one thread an output value. Weights: fp32 [ky][kx][input channel of the group][out_cs].
KERNEL(128) conv_direct(ConvArgs p) {
    if (*(const int*)p.skip) return;
    const long total = (long)p.oh * p.ow * p.out_cs;
    const long at = (long)blockIdx.x * 128 + threadIdx.x;
    if (at == 0) atomicAdd((u32*)p.counter, 1u);
    if (clean_run(p.part, (long)blockIdx.x * 128 / p.out_cs, 127 / p.out_cs + 2, (long)p.oh * p.ow)) return;
    if (at >= total) return;
    const int channel = (int)(at % p.out_cs);
    const int pixel = (int)(at / p.out_cs);
    float sum = 0.0f;
    if (channel < p.out_c) {
        sum = ((const float*)p.bias)[channel];
        const int y0 = pixel / p.ow * p.stride_y - p.pad_y, x0 = pixel % p.ow * p.stride_x - p.pad_x;
        const int first = channel / p.group_out * p.group_in;
        const float* w = (const float*)p.weights + channel;
        for (int ky = 0; ky < p.kh; ky++) {
            const int y = y0 + ky * p.dilation_y;
            for (int kx = 0; kx < p.kw; kx++) {
                const int x = x0 + kx * p.dilation_x;
                if (y < 0 || y >= p.in.h || x < 0 || x >= p.in.w) continue;
                const long from = ((long)y * p.in.w + x) * p.in.cs + first;
                for (int i = 0; i < p.group_in; i++) sum += load_value(p.in, from + i) * w[(long)((ky * p.kw + kx) * p.group_in + i) * p.out_cs];
            }
        }
    }
    if (p.out32) ((float*)p.out32)[at] = sum;
    if (p.out16) ((u16*)p.out16)[at] = f2h(sum);
}
