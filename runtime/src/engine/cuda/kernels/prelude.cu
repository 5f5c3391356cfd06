// Shared by every kernel file: types, the structures the host fills (mirrored in abi.rs), and the few instructions that differ
// between architectures. Header-free: compiles with NVRTC 10.2 to 13, nvcc, and through tests/gpu/shim with plain g++.
//
// Layout of a tensor: [y][x][c] with the channel count rounded up to even (`cs`), so that two channels are always one word.
typedef unsigned int u32;
typedef unsigned short u16;
typedef unsigned char u8;
typedef unsigned long long u64;

#ifndef HOSTSHIM
#define ALIGN16 __align__(16)
#define DEV static __device__ __forceinline__
#define INLINE __device__ __forceinline__
#define KERNEL(threads) extern "C" __global__ void __launch_bounds__(threads, 1)
#define DYN_SMEM(name) extern __shared__ __align__(16) unsigned char name[]
DEV u16 f2h(float f) { u16 h; asm("cvt.rn.f16.f32 %0, %1;" : "=h"(h) : "f"(f)); return h; }
DEV float h2f(u16 h) { float f; asm("cvt.f32.f16 %0, %1;" : "=f"(f) : "h"(h)); return f; }
#if __CUDA_ARCH__ >= 800
#define MMA_PATH 80
DEV u32 shared_address(const void* p) { u32 a; asm("{ .reg .u64 t; cvta.to.shared.u64 t, %1; cvt.u32.u64 %0, t; }" : "=r"(a) : "l"(p)); return a; }
// Copies one word from global to shared memory without waiting for it.
DEV void copy_word(u32* to, const u32* from) { asm volatile("cp.async.ca.shared.global [%0], [%1], 4;" ::"r"(shared_address(to)), "l"(from)); }
DEV void copies_done() { asm volatile("cp.async.wait_all;" ::: "memory"); }
// c[16 pixels x 8 channels] += a[16 x 16] b[16 x 8], fp16 with fp32 sums.
DEV void mma(float* c, const u32* a, const u32* b) {
    asm volatile("mma.sync.aligned.m16n8k16.row.col.f32.f16.f16.f32 {%0,%1,%2,%3},{%4,%5,%6,%7},{%8,%9},{%0,%1,%2,%3};"
                 : "+f"(c[0]), "+f"(c[1]), "+f"(c[2]), "+f"(c[3]) : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b[0]), "r"(b[1]));
}
#elif __CUDA_ARCH__ >= 700
#define MMA_PATH 70
DEV void copy_word(u32* to, const u32* from) { *to = *from; }
DEV void copies_done() {}
// Four independent c[8 x 8] += a[8 x 4] b[4 x 8], one per quad pair.
DEV void mma(float* c, const u32* a, const u32* b) {
    asm volatile("mma.sync.aligned.m8n8k4.row.col.f32.f16.f16.f32 {%0,%1,%2,%3,%4,%5,%6,%7},{%8,%9},{%10,%11},{%0,%1,%2,%3,%4,%5,%6,%7};"
                 : "+f"(c[0]), "+f"(c[1]), "+f"(c[2]), "+f"(c[3]), "+f"(c[4]), "+f"(c[5]), "+f"(c[6]), "+f"(c[7]) : "r"(a[0]), "r"(a[1]), "r"(b[0]), "r"(b[1]));
}
#else
#define MMA_PATH 0
#endif
#if MMA_PATH
// All the products of one k-step of a warp: `tiles` pixel tiles against the same weights.
template <int TILES, int A, int C, int N, int B> DEV void mma_tiles(float (&c)[TILES][N][C], const u32 (&a)[TILES][A], const u32 (&b)[N][B]) {
#pragma unroll
    for (int i = 0; i < TILES; i++) {
#pragma unroll
        for (int n = 0; n < N; n++) mma(c[i][n], a[i], b[n]);
    }
}
#endif
#endif

// What stepping decided so far; one per engine, in device memory.
struct Control {
    int stop;     // 1: the kernels of a step return at once
    int pending;  // 1: the kernels of the readout return at once
    int always;   // 0 for ever: for kernels that always run
    int steps;
    int slow;     // 1: on the slow path
    int cap;
    float drive_distance;
    u32 convolutions;  // convolution launches of the steps that found work to do
    int metric;
    int has_threshold;
    float threshold;
    int has_surprise;
    float surprise;
    int min;
    int slow_cap;
    int deadline_cap;
    int has_wake;
    float wake;
    float floor;
    float floor_now;  // the least a first step moved the state of late; carried from frame to frame
    float label_threshold;
    // What follows is for frames of which only what moved is computed; all 0 otherwise.
    int tiles;        // 1: frames are computed so
    int whole;        // 1: but this one, everything counts as changed
    int everything;   // 1: all of this frame's input is accepted
    int dense;        // 1: it is, because tiles were dear of late
    int prefers_dense;  // the same for the next frame, as far as is known
    int forgotten;    // 1: nothing is known from before this frame
    int seen;         // frames looked at
    int learned;      // 1: the noise of tiles is known
    int calm, wait, tried;  // of the choice between dense frames and tiles; as in engine/cpu/tiles/switch.rs
    float mean_work;
    float share;      // of the input's tiles that were accepted
    u32 changed;      // tiles accepted
    u32 moving_drive; // pixels of what the encoder hands on that moved and that no step has seen
    u32 moving_states, moving_next;  // the same of states: in the last step, and so far in this one
    u32 done_encode, done_step;      // work of this frame, in the units of Part
    float sums[6];    // of the states' movement in this step, so far
};

// What the host orders for one frame; mapped host memory.
struct Order {
    int drive_known;  // 0 after a reset: the drive has nothing to be compared with
    int has_step;     // 0 for a feed-forward network
    int slow;
    int metric;       // 0 relative L2, 1 relative L1, 2 cosine
    int has_threshold;
    float threshold;
    int has_surprise;
    float surprise;
    int has_zero;
    float zero;
    int min;
    int fast_cap;
    int slow_cap;
    int deadline_cap;
    int has_wake;     // 1: a carried frame's first step is judged against the floor, the others by the threshold
    float wake;
    float floor;      // left behind by a frame on the slow path
    int has_cut;      // 1: a drive that moved by more than `cut` takes the slow path
    float cut;
    float label_threshold;  // a pixel shows a class that is likelier than this
};

#define MAX_STEPS 64
// What one frame did. Kernels keep it in device memory, where looking at it is cheap, and its end is copied to the host's.
struct Report {
    u32 frame;        // counts frames begun
    int stop;         // 0 halted, 1 limit, 2 zero, 3 reset, 4 deadline, -1 not yet
    int steps;
    int limit;
    float drive_distance;
    u32 convolutions; // in the steps, also any after the stop
    float moved;      // share of the input that was accepted
    u32 done_encode, done_step;  // work, in the units of Part
    float distances[MAX_STEPS];
};
#define REPORT_WORDS (9 + MAX_STEPS)
#define ORDER_WORDS 20

// A tensor as a kernel sees it.
struct View {
    u64 data;   // fp16 or fp32
    int half;   // 1: fp16
    int cs;     // channel stride (even)
    int c;      // channels in use
    int h, w;
};

// Which pixels of what a kernel makes have to be made again. One byte a pixel: MOVED, and SPREADS where its neighbours are told of it.
struct Part {
    u64 mask;   // u8 [h][w]; 0: all of them
    u64 work;   // u32*: takes `unit` for each block that found something to do; may be 0
    int unit;
    int pad;
};
#define MOVED 1
#define SPREADS 2

// Whether nothing in `rows` rows of `columns` from pixel `first` on, of a picture `w` wide, is to be made again. Asked by every thread of a block.
DEV bool clean(const Part& p, long first, int rows, int columns, int w) {
    if (!p.mask) return false;
    const u8* mask = (const u8*)p.mask + first;
    int any = 0;
    for (int i = threadIdx.x; i < rows * columns; i += blockDim.x) any |= mask[(long)(i / columns) * w + i % columns];
    any = __syncthreads_or(any);
    if (any && p.work && threadIdx.x == 0) atomicAdd((u32*)p.work, (u32)p.unit);
    return !any;
}
// The same of `count` pixels from `first` on, of `all`.
DEV bool clean_run(const Part& p, long first, int count, long all) {
    const long left = all - first;
    return clean(p, first, 1, left < count ? (left < 0 ? 0 : (int)left) : count, 0);
}

DEV float infinity() { return 1.0f / 0.0f; }
DEV float load_value(const View& v, long at) { return v.half ? h2f(((const u16*)v.data)[at]) : ((const float*)v.data)[at]; }
DEV void store_value(u64 data, int half, long at, float x) {
    if (half) ((u16*)data)[at] = f2h(x); else ((float*)data)[at] = x;
}
DEV float sigmoid(float x) { return 1.0f / (1.0f + expf(-x)); }
DEV float softplus(float x) { return fmaxf(x, 0.0f) + log1pf(expf(-fabsf(x))); }
