// Mean and variance of every channel over a picture, the same bits on every run: blocks leave what they found of their own pixels, and the
// last one to finish merges it in a fixed order. Where a convolution made the picture, its kernel measures what it stores.
struct Measure {
    u64 mean, variance;  // fp32 [cs]; mean 0: nothing is measured
    u64 partials;        // fp32 [part][cs][2]: mean and sum of squared deviations
    u64 counts;          // fp32 [part]: pixels
    u64 ticket;          // u32, 0 between launches
};

// The sums of what every thread of a block holds, for each of them.
DEV float2 block_total(float2 v) {
    __shared__ float2 of[8];
#pragma unroll
    for (int o = 16; o; o >>= 1) { v.x += __shfl_xor_sync(0xffffffffu, v.x, o); v.y += __shfl_xor_sync(0xffffffffu, v.y, o); }
    __syncthreads();
    if ((threadIdx.x & 31) == 0) of[threadIdx.x >> 5] = v;
    __syncthreads();
    v = make_float2(0.0f, 0.0f);
    for (u32 w = 0; w < blockDim.x >> 5; w++) { v.x += of[w].x; v.y += of[w].y; }
    return v;
}

// Merges what all blocks left, in the last of `blocks` to come here, with all its threads; there are `parts` of it, of `cs` channels and `pixels` in all.
DEV void merge_parts(const Measure& p, u32 blocks, int parts, int cs, int pixels) {
    __shared__ float sums[256];
    __shared__ u32 last;
    const int t = threadIdx.x, threads = blockDim.x;
    __threadfence();
    __syncthreads();
    if (t == 0) last = atomicAdd((u32*)p.ticket, 1u) == blocks - 1;
    __syncthreads();
    if (!last) return;
    __threadfence();
    if (t == 0) *(u32*)p.ticket = 0;
    // Groups of threads take every so many parts of a channel, so that the picture's size does not decide how long one thread waits.
    const volatile float *partial = (const volatile float*)p.partials, *counts = (const volatile float*)p.counts;
    for (int first = 0; first < cs; first += threads) {
        const int width = cs - first < threads ? cs - first : threads, groups = threads / width;
        const int group = t / width, c = first + t % width;
        float mean = 0.0f, deviation = 0.0f;
        for (int pass = 0; pass < 2; pass++) {
            float sum = 0.0f;
            if (group < groups)
                for (int b = group; b < parts; b += groups) {
                    const float of = partial[((long)b * cs + c) * 2], d = of - mean;
                    sum += pass ? partial[((long)b * cs + c) * 2 + 1] + d * d * counts[b] : of * counts[b];
                }
            __syncthreads();
            sums[t] = sum;
            __syncthreads();
            sum = 0.0f;
            for (int g = 0; g < groups; g++) sum += sums[g * width + t % width];
            if (pass) deviation = sum / (float)pixels; else mean = sum / (float)pixels;
        }
        if (group == 0) {
            ((float*)p.mean)[c] = mean;
            ((float*)p.variance)[c] = deviation;
        }
    }
}
