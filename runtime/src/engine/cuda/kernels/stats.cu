// Mean and variance of every channel over the picture (instance normalisation), the same bits on every run: blocks take fixed ranges of
// pixels, and the last block to finish merges their results in a fixed order.
struct StatsArgs {
    View in;
    u64 mean, variance;  // fp32 [cs]
    u64 partials;        // fp32 [block][cs][2]: mean and sum of squared deviations
    u64 ticket;          // u32, 0 between launches
    int pixels_per_block;
    u64 skip;
};

KERNEL(256) stats(StatsArgs p) {
    if (*(const int*)p.skip) return;
    __shared__ float sums[256][4];
    __shared__ u32 last;
    const int t = threadIdx.x, pairs = p.in.cs >> 1, rows = 256 / pairs;
    const int pair = t % pairs, row = t / pairs;
    const int pixels = p.in.h * p.in.w;
    const int from = blockIdx.x * p.pixels_per_block;
    const int to = from + p.pixels_per_block < pixels ? from + p.pixels_per_block : pixels;
    // Deviations from the first pixel keep the squares small where the mean is large.
    float s[4] = {0.0f, 0.0f, 0.0f, 0.0f}, origin[2] = {0.0f, 0.0f};
    if (row < rows) {
        for (int k = 0; k < 2; k++) origin[k] = load_value(p.in, (long)from * p.in.cs + pair * 2 + k);
        for (int pixel = from + row; pixel < to; pixel += rows)
            for (int k = 0; k < 2; k++) {
                const float d = load_value(p.in, (long)pixel * p.in.cs + pair * 2 + k) - origin[k];
                s[k * 2] += d;
                s[k * 2 + 1] += d * d;
            }
    }
    for (int k = 0; k < 4; k++) sums[t][k] = s[k];
    __syncthreads();
    if (row == 0) {
        const float n = (float)(to - from);
        float* partial = (float*)p.partials + ((long)blockIdx.x * p.in.cs + pair * 2) * 2;
        for (int k = 0; k < 2; k++) {
            float sum = 0.0f, square = 0.0f;
            for (int r = 0; r < rows; r++) { sum += sums[r * pairs + pair][k * 2]; square += sums[r * pairs + pair][k * 2 + 1]; }
            partial[k * 2] = origin[k] + sum / n;
            partial[k * 2 + 1] = fmaxf(square - sum * sum / n, 0.0f);
        }
    }
    __threadfence();
    __syncthreads();
    if (t == 0) last = atomicAdd((u32*)p.ticket, 1u) == gridDim.x - 1;
    __syncthreads();
    if (!last) return;
    __threadfence();
    if (t == 0) *(u32*)p.ticket = 0;
    // Groups of threads take every so many blocks of a channel, so that the picture's size does not decide how long one thread waits.
    const volatile float* partial = (const volatile float*)p.partials;
    for (int first = 0; first < p.in.cs; first += 256) {
        const int width = p.in.cs - first < 256 ? p.in.cs - first : 256, groups = 256 / width;
        const int group = t / width, c = first + t % width;
        float mean = 0.0f, deviation = 0.0f;
        for (int pass = 0; pass < 2; pass++) {
            float sum = 0.0f;
            if (group < groups)
                for (u32 b = group; b < gridDim.x; b += groups) {
                    const int start = b * p.pixels_per_block;
                    const float m = (float)(start + p.pixels_per_block < pixels ? p.pixels_per_block : pixels - start);
                    const float of = partial[((long)b * p.in.cs + c) * 2], d = of - mean;
                    sum += pass ? partial[((long)b * p.in.cs + c) * 2 + 1] + d * d * m : of * m;
                }
            __syncthreads();
            sums[t][0] = sum;
            __syncthreads();
            sum = 0.0f;
            for (int g = 0; g < groups; g++) sum += sums[g * width + t % width][0];
            if (pass) deviation = sum / (float)pixels; else mean = sum / (float)pixels;
        }
        if (group == 0) {
            ((float*)p.mean)[c] = mean;
            ((float*)p.variance)[c] = deviation;
        }
    }
}
