// Mean and variance of every channel over the picture (instance normalisation): blocks take fixed ranges of pixels.
struct StatsArgs {
    View in;
    Measure to;
    int pixels_per_block;
    u64 skip;
};

KERNEL(256) stats(StatsArgs p) {
    if (*(const int*)p.skip) return;
    __shared__ float sums[256][4];
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
        float* partial = (float*)p.to.partials + ((long)blockIdx.x * p.in.cs + pair * 2) * 2;
        for (int k = 0; k < 2; k++) {
            float sum = 0.0f, square = 0.0f;
            for (int r = 0; r < rows; r++) { sum += sums[r * pairs + pair][k * 2]; square += sums[r * pairs + pair][k * 2 + 1]; }
            partial[k * 2] = origin[k] + sum / n;
            partial[k * 2 + 1] = fmaxf(square - sum * sum / n, 0.0f);
        }
        if (pair == 0) ((float*)p.to.counts)[blockIdx.x] = n;
    }
    merge_parts(p.to, gridDim.x, gridDim.x, p.in.cs, pixels);
}
