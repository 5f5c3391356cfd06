// What kernels compiled for one network are made of: operations on pairs of channels, and the kernels around a chain. book.rs writes the
// chains themselves, structs whose `run` takes the place of pairs and what a convolution made there.
#define UNARY_PAIRS(code, name, formula)                                             \
    template <int K> DEV Pairs<K> name(const Pairs<K>& a) {                          \
        Pairs<K> r;                                                                  \
        _Pragma("unroll") for (int k = 0; k < K; k++) {                              \
            { const float x = a.v[k].x; r.v[k].x = formula; }                        \
            { const float x = a.v[k].y; r.v[k].y = formula; }                        \
        }                                                                            \
        return r;                                                                    \
    }
#define BINARY_PAIRS(code, name, formula)                                            \
    template <int K> DEV Pairs<K> name(const Pairs<K>& a, const Pairs<K>& b) {       \
        Pairs<K> r;                                                                  \
        _Pragma("unroll") for (int k = 0; k < K; k++) {                              \
            { const float x = a.v[k].x, y = b.v[k].x; r.v[k].x = formula; }          \
            { const float x = a.v[k].y, y = b.v[k].y; r.v[k].y = formula; }          \
        }                                                                            \
        return r;                                                                    \
    }
UNARY_OPERATIONS(UNARY_PAIRS)
BINARY_OPERATIONS(BINARY_PAIRS)

// A function that makes each pair by `value`, 0 where there is none.
#define LOAD_PAIRS(name, parameters, value)                                          \
    template <int K> DEV Pairs<K> name parameters {                                  \
        Pairs<K> r;                                                                  \
        _Pragma("unroll") for (int k = 0; k < K; k++) r.v[k] = at.on[k] ? value : make_float2(0.0f, 0.0f); \
        return r;                                                                    \
    }
LOAD_PAIRS(load32, (const Place<K>& at, u64 data), pair32(data, at.pair[k]))
LOAD_PAIRS(load16, (const Place<K>& at, u64 data), pair16(data, at.pair[k]))
LOAD_PAIRS(load_view, (const Place<K>& at, u64 data, int half, u32 word, int channels), pair_of_view(data, half, word, at.pixel[k], at.channel[k], channels))
LOAD_PAIRS(load_map, (const Place<K>& at, u64 data, int half, u32 word), pair_of_map(data, half, word, at.pixel[k]))
LOAD_PAIRS(load_vector, (const Place<K>& at, u64 data), pair_of_vector(data, at.channel[k]))
LOAD_PAIRS(immediate, (const Place<K>& at, u32 bits), both(__uint_as_float(bits)))

// A statement for each pair there is.
#define EACH_PAIR(statement) _Pragma("unroll") for (int k = 0; k < K; k++) if (at.on[k]) statement
template <int K> DEV void store32(const Place<K>& at, u64 data, const Pairs<K>& a, int channels) { EACH_PAIR(put32(data, at.pair[k], padded(a.v[k], at.channel[k], channels));) }
template <int K> DEV void store16(const Place<K>& at, u64 data, const Pairs<K>& a, int channels) { EACH_PAIR(put16(data, at.pair[k], padded(a.v[k], at.channel[k], channels));) }
template <int K> DEV void store_view(const Place<K>& at, u64 data, int half, u32 word, const Pairs<K>& a, int channels) { EACH_PAIR(put_view(data, half, word, at.pixel[k], at.channel[k], channels, a.v[k]);) }
template <int K> DEV void moments(const Place<K>& at, float (&m)[6], const Pairs<K>& before, const Pairs<K>& after, int channels) { EACH_PAIR(add_moments(m, before.v[k], after.v[k], at.channel[k], channels);) }

// The same channels of a picture of one pixel.
template <int K> DEV Place<K> channels_of(const Place<K>& at) {
    Place<K> r;
#pragma unroll
    for (int k = 0; k < K; k++) { r.channel[k] = at.channel[k]; r.pair[k] = at.channel[k] >> 1; r.pixel[k] = 0; r.on[k] = at.on[k]; }
    return r;
}

// A chain by itself: as many pairs a round as the interpreter takes, so that its sums come in the same order. Chain::SUMS: it has moments.
template <class Chain> DEV void run_chain(const PointwiseArgs& p) {
    if (*(const int*)p.skip) return;
    const int channel_pairs = p.cs >> 1, tile = PW_THREADS * 2;
    float m[6] = {0.0f, 0.0f, 0.0f, 0.0f, 0.0f, 0.0f};
    Pairs<2> none;
    none.v[0] = none.v[1] = make_float2(0.0f, 0.0f);
    for (int base = blockIdx.x * tile; base < p.pairs; base += (int)gridDim.x * tile) {
        if (clean_run(p.part, base / channel_pairs, (tile - 1) / channel_pairs + 2, p.pairs / channel_pairs)) continue;
        Place<2> at;
#pragma unroll
        for (int k = 0; k < 2; k++) {
            at.pair[k] = base + k * PW_THREADS + threadIdx.x;
            at.on[k] = at.pair[k] < p.pairs;
            at.pixel[k] = at.pair[k] / channel_pairs;
            at.channel[k] = (at.pair[k] - at.pixel[k] * channel_pairs) * 2;
        }
        Chain::run(p, at, none, m);
    }
    if (Chain::SUMS) end_sums(p, m);
}

// A chain of what a convolution made.
template <class Chain> struct Chained {
    const PointwiseArgs& chain;
    float (&m)[6];
    template <class Args, int K> INLINE void put(const Args& p, const Place<K>& at, const Pairs<K>& v) {
        store_made(p, at, v);
        Chain::run(chain, at, v, m);
    }
};
struct ChainedArgs {
    ConvArgs conv;
    PointwiseArgs chain;
};
#define CHAINED_KERNEL(threads, name, Chain, convolution)                             \
    KERNEL(threads) name(ChainedArgs p) {                                            \
        if (*(const int*)p.conv.skip) return;                                        \
        float m[6] = {0.0f, 0.0f, 0.0f, 0.0f, 0.0f, 0.0f};                           \
        Chained<Chain> behind = {p.chain, m};                                        \
        convolution(p.conv, behind);                                                 \
        if (Chain::SUMS) end_sums(p.chain, m);                                       \
    }

// A channel of some pixels: how many, their mean, and the sum of squared deviations from it.
struct Found { float count, mean, squares; };

// Of both, as Chan, Golub and LeVeque (1979) merge them.
DEV Found merged(const Found& a, const Found& b) {
    Found r;
    r.count = a.count + b.count;
    const float share = r.count > 0.0f ? b.count / r.count : 0.0f, apart = b.mean - a.mean;
    r.mean = a.mean + apart * share;
    r.squares = a.squares + b.squares + apart * apart * a.count * share;
    return r;
}

// Measures every channel of what a tensor-core convolution stores, four pairs of channels a thread.
struct Measuring {
    float2 origin[4], sum[4], square[4];
    float count;
    // Deviations from a thread's first pixel keep the squares small where the mean is large.
    template <class Args> INLINE void put(const Args& p, const Place<4>& at, const Pairs<4>& v) {
        store_made(p, at, v);
#pragma unroll
        for (int n = 0; n < 4; n++) {
            if (count == 0.0f) origin[n] = v.v[n];
            const float x = v.v[n].x - origin[n].x, y = v.v[n].y - origin[n].y;
            sum[n].x += x; square[n].x += x * x;
            sum[n].y += y; square[n].y += y * y;
        }
        count += 1.0f;
    }
};
DEV Found found(float count, float origin, float sum, float square) {
    Found r;
    r.count = count;
    r.mean = count > 0.0f ? origin + sum / count : 0.0f;
    r.squares = count > 0.0f ? fmaxf(square - sum * sum / count, 0.0f) : 0.0f;
    return r;
}
// Lanes that hold the same channels are 4 apart.
DEV Found merged_over_lanes(Found f) {
#pragma unroll
    for (int o = 4; o < 32; o <<= 1) {
        Found other;
        other.count = __shfl_xor_sync(0xffffffffu, f.count, o);
        other.mean = __shfl_xor_sync(0xffffffffu, f.mean, o);
        other.squares = __shfl_xor_sync(0xffffffffu, f.squares, o);
        f = merged(f, other);
    }
    return f;
}
DEV void end_measuring(const ConvArgs& p, const Measure& to, const Measuring& m) {
    __shared__ Found of[8][32];
    const int t = threadIdx.x, lane = t & 31, warp = t >> 5;
#pragma unroll
    for (int n = 0; n < 4; n++) {
        const Found x = merged_over_lanes(found(m.count, m.origin[n].x, m.sum[n].x, m.square[n].x));
        const Found y = merged_over_lanes(found(m.count, m.origin[n].y, m.sum[n].y, m.square[n].y));
        if (lane < 4) {
            of[warp][n * 8 + lane * 2] = x;
            of[warp][n * 8 + lane * 2 + 1] = y;
        }
    }
    __syncthreads();
    const int block = blockIdx.y * gridDim.x + blockIdx.x, channel = blockIdx.z * 32 + t;
    if (t < 32 && channel < p.out_cs) {
        Found f = of[0][t];
        for (int w = 1; w < p.warps_y * p.warps_x; w++) f = merged(f, of[w][t]);
        float* partial = (float*)to.partials + ((long)block * p.out_cs + channel) * 2;
        partial[0] = f.mean;
        partial[1] = f.squares;
        if (channel == 0) ((float*)to.counts)[block] = f.count;
    }
    merge_parts(to, gridDim.x * gridDim.y * gridDim.z, gridDim.x * gridDim.y, p.out_cs, p.oh * p.ow);
}
struct MeasuredArgs {
    ConvArgs conv;
    Measure to;
};
#define MEASURED_KERNEL(threads, name, convolution)                                  \
    KERNEL(threads) name(MeasuredArgs p) {                                           \
        if (*(const int*)p.conv.skip) return;                                        \
        Measuring behind;                                                            \
        behind.count = 0.0f;                                                         \
        _Pragma("unroll") for (int n = 0; n < 4; n++) behind.origin[n] = behind.sum[n] = behind.square[n] = make_float2(0.0f, 0.0f); \
        convolution(p.conv, behind);                                                 \
        end_measuring(p.conv, p.to, behind);                                         \
    }
