// Runs the kernels on the host: every GPU thread is a fiber, blocks run one after another.
//
// What it catches: missing or divergent barriers, reads of shared memory nobody wrote (it starts as NaN), asynchronous copies read
// before they are waited for, wrong fragment layouts, and, under ASan and UBSan, every access outside a buffer. Threads run in an order
// of the test's choice. What it cannot catch: races that need weak memory ordering, the hardware's rounding inside an mma, and speed.
//
// Compile with -DMMA_PATH=80 (Ampere and newer), 70 (Volta, Xavier) or 0 (no tensor cores).
#pragma once
#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <functional>
#include <random>
#include <sys/mman.h>
#include <vector>
#if defined(__SANITIZE_ADDRESS__)
#include <sanitizer/asan_interface.h>
#include <sanitizer/common_interface_defs.h>
#define SHIM_ASAN 1
#else
#define SHIM_ASAN 0
#endif

#define HOSTSHIM 1
#ifndef MMA_PATH
#define MMA_PATH 80
#endif
#define ALIGN16 alignas(16)
#define __global__
#define __device__
#define __forceinline__ inline
#define __launch_bounds__(...)
#define __restrict__
#define __shared__ static __attribute__((section("shim_shared")))
#define DEV static inline
#define INLINE inline
#define KERNEL(threads) static void

struct float2 { float x, y; };
struct alignas(8) uint2 { uint32_t x, y; };
struct alignas(16) uint4 { uint32_t x, y, z, w; };
static inline float2 make_float2(float x, float y) { return {x, y}; }

extern "C" {
extern unsigned char __start_shim_shared[] __attribute__((weak));
extern unsigned char __stop_shim_shared[] __attribute__((weak));
void shim_switch(void** save, void* load);
}
#if defined(__x86_64__)
asm(R"(.text
.globl shim_switch
shim_switch:
    pushq %rbp
    pushq %rbx
    pushq %r12
    pushq %r13
    pushq %r14
    pushq %r15
    movq %rsp, (%rdi)
    movq %rsi, %rsp
    popq %r15
    popq %r14
    popq %r13
    popq %r12
    popq %rbx
    popq %rbp
    ret
)");
static const int RETURN_WORD = 6, FRAME_WORDS = 8;
#elif defined(__aarch64__)
asm(R"(.text
.globl shim_switch
shim_switch:
    sub sp, sp, #160
    stp x19, x20, [sp]
    stp x21, x22, [sp, #16]
    stp x23, x24, [sp, #32]
    stp x25, x26, [sp, #48]
    stp x27, x28, [sp, #64]
    stp x29, x30, [sp, #80]
    stp d8, d9, [sp, #96]
    stp d10, d11, [sp, #112]
    stp d12, d13, [sp, #128]
    stp d14, d15, [sp, #144]
    mov x9, sp
    str x9, [x0]
    mov sp, x1
    ldp x19, x20, [sp]
    ldp x21, x22, [sp, #16]
    ldp x23, x24, [sp, #32]
    ldp x25, x26, [sp, #48]
    ldp x27, x28, [sp, #64]
    ldp x29, x30, [sp, #80]
    ldp d8, d9, [sp, #96]
    ldp d10, d11, [sp, #112]
    ldp d12, d13, [sp, #128]
    ldp d14, d15, [sp, #144]
    add sp, sp, #160
    ret
)");
static const int RETURN_WORD = 11, FRAME_WORDS = 20;
#endif

namespace shim {
struct Dim { unsigned x = 1, y = 1, z = 1; };
enum State { READY, AT_BARRIER, AT_WARP, DONE };
struct Copy { uint32_t* to; const uint32_t* from; };
struct Lane {
    void* sp = nullptr;
    char* stack = nullptr;
    State state = READY;
    Dim id;
    int index = 0;
    std::vector<Copy> copies;  // asynchronous copies not yet waited for
    void* fake = nullptr;
};
// What the 32 lanes of a warp show each other.
struct Board { float value[32]; void* pointer[3][32]; int arrived = 0; };
static const size_t STACK = 64 * 1024;
struct Block {
    std::vector<Lane> lanes;
    std::vector<Board> boards;
    Dim id, threads, grid;
    int vote = 0;  // of __syncthreads_or
    std::vector<unsigned char> dynamic;
    void* scheduler = nullptr;
    const std::function<void()>* kernel = nullptr;
};
static Block* block = nullptr;
static Lane* lane = nullptr;
static long work = 0;  // half floats read, and products of tensor cores: what a kernel that leaves its pixels alone does none of
static const void* scheduler_stack = nullptr;
static size_t scheduler_size = 0;

[[noreturn]] static void fail(const char* what) {
    fprintf(stderr, "SHIM: %s in block (%u,%u,%u) thread %d\n", what, block->id.x, block->id.y, block->id.z, lane ? lane->index : -1);
    abort();
}

static inline void yield(bool dying = false) {
    (void)dying;
#if SHIM_ASAN
    __sanitizer_start_switch_fiber(dying ? nullptr : &lane->fake, scheduler_stack, scheduler_size);
#endif
    shim_switch(&lane->sp, block->scheduler);
#if SHIM_ASAN
    __sanitizer_finish_switch_fiber(lane->fake, &scheduler_stack, &scheduler_size);
#endif
}
static void entry() {
#if SHIM_ASAN
    __sanitizer_finish_switch_fiber(nullptr, &scheduler_stack, &scheduler_size);
#endif
    (*block->kernel)();
    if (!lane->copies.empty()) fail("a thread ends with asynchronous copies under way");
    lane->state = DONE;
    yield(true);
    abort();
}
static inline void resume(Lane& l) {
    lane = &l;
#if SHIM_ASAN
    void* fake;
    __sanitizer_start_switch_fiber(&fake, l.stack, STACK);
#endif
    shim_switch(&block->scheduler, l.sp);
#if SHIM_ASAN
    __sanitizer_finish_switch_fiber(fake, nullptr, nullptr);
#endif
}
static inline void wait(State s) { lane->state = s; yield(); }
static inline Board& board() { return block->boards[lane->index >> 5]; }

static char* stacks(int threads) {
    static char* memory = nullptr;
    static int have = 0;
    if (threads > have) {
        if (memory) munmap(memory, STACK * have);
        memory = (char*)mmap(nullptr, STACK * threads, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
        if (memory == MAP_FAILED) { perror("SHIM: stacks"); abort(); }
        have = threads;
    }
    return memory;
}

// Runs a grid. `order`: 0 ascending threads and blocks, 1 descending, from 2 on shuffled with that seed.
static void launch(Dim grid, Dim threads, size_t dynamic, int order, const std::function<void()>& kernel) {
    static Block b;
    block = &b;
    lane = nullptr;
    const int n = (int)(threads.x * threads.y * threads.z), warps = (n + 31) / 32;
    char* memory = stacks(n);
    b.lanes.resize(n);
    b.boards.assign(warps, Board());
    b.threads = threads;
    b.grid = grid;
    b.kernel = &kernel;
    std::mt19937 rng(order);
    std::vector<Dim> ids;
    for (unsigned z = 0; z < grid.z; z++)
        for (unsigned y = 0; y < grid.y; y++)
            for (unsigned x = 0; x < grid.x; x++) ids.push_back({x, y, z});
    if (order == 1) std::reverse(ids.begin(), ids.end());
    if (order > 1) std::shuffle(ids.begin(), ids.end(), rng);
    std::vector<int> warp_order(warps);
    for (int i = 0; i < warps; i++) warp_order[i] = order == 1 ? warps - 1 - i : i;
    for (const Dim& id : ids) {
        b.id = id;
        // NaN in every shared word: what is read before it is written shows in the result. Exact size, so that ASan sees an overrun.
        b.dynamic.clear();
        b.dynamic.shrink_to_fit();
        b.dynamic.resize(dynamic, 0xff);
        if (__start_shim_shared) memset(__start_shim_shared, 0xff, __stop_shim_shared - __start_shim_shared);
        for (int i = 0; i < n; i++) {
            Lane& l = b.lanes[i];
            l.index = i;
            l.id = {i % threads.x, i / threads.x % threads.y, i / (threads.x * threads.y)};
            l.state = READY;
            l.stack = memory + STACK * i;
            l.copies.clear();
#if SHIM_ASAN
            ASAN_UNPOISON_MEMORY_REGION(l.stack, STACK);  // what the last thread on this stack left behind
#endif
            void** top = (void**)(l.stack + STACK) - FRAME_WORDS;
            for (int k = 0; k < FRAME_WORDS; k++) top[k] = nullptr;
            top[RETURN_WORD] = (void*)entry;
            l.sp = top;
        }
        for (;;) {
            bool moved = false;
            int alive = 0, waiting = 0;
            if (order > 1) std::shuffle(warp_order.begin(), warp_order.end(), rng);
            for (int w : warp_order) {
                const int first = w * 32, count = std::min(32, n - first);
                Lane* lanes = &b.lanes[first];
                int at[32];
                for (int i = 0; i < count; i++) at[i] = order == 1 ? count - 1 - i : i;
                for (;;) {
                    if (order > 1) std::shuffle(at, at + count, rng);
                    bool ran = false;
                    for (int i = 0; i < count; i++)
                        if (lanes[at[i]].state == READY) { resume(lanes[at[i]]); ran = true; }
                    moved |= ran;
                    int living = 0, at_warp = 0;
                    for (int i = 0; i < count; i++) { living += lanes[i].state != DONE; at_warp += lanes[i].state == AT_WARP; }
                    if (living && at_warp == living) {
                        for (int i = 0; i < count; i++) if (lanes[i].state == AT_WARP) lanes[i].state = READY;
                    } else if (!ran) break;
                }
            }
            for (const Lane& l : b.lanes) { alive += l.state != DONE; waiting += l.state == AT_BARRIER; }
            if (!alive) break;
            if (waiting == alive) {
                // A barrier counts every thread of the block; one that returned early would hang older GPUs only by luck.
                for (Lane& l : b.lanes) if (l.state == AT_BARRIER) l.state = READY;
                moved = true;
            }
            if (!moved) fail("threads wait at different barriers");
        }
    }
    block = nullptr;
}
}  // namespace shim

#define threadIdx (shim::lane->id)
#define blockIdx (shim::block->id)
#define blockDim (shim::block->threads)
#define gridDim (shim::block->grid)
#define DYN_SMEM(name) unsigned char* name = shim::block->dynamic.data()

static inline void __syncthreads() { shim::wait(shim::AT_BARRIER); }
static inline void __syncwarp() { shim::wait(shim::AT_WARP); }
static inline int __syncthreads_or(int v) {
    if (v) shim::block->vote = 1;
    __syncthreads();
    const int any = shim::block->vote;
    __syncthreads();
    shim::block->vote = 0;
    __syncthreads();
    return any;
}
static inline void __threadfence() {}
static inline void __threadfence_system() {}
static inline float __uint_as_float(uint32_t w) { float f; memcpy(&f, &w, 4); return f; }
template <class T> static inline T atomicAdd(T* p, T v) { T old = *p; *p = old + v; return old; }
static inline float __shfl_xor_sync(uint32_t, float v, int mask) {
    shim::Board& b = shim::board();
    const int at = shim::lane->index & 31;
    b.value[at] = v;
    __syncwarp();
    const float r = b.value[at ^ mask];
    __syncwarp();
    return r;
}
static inline uint16_t f2h(float f) { _Float16 h = (_Float16)f; uint16_t r; memcpy(&r, &h, 2); return r; }
static inline float h2f(uint16_t r) { shim::work++; _Float16 h; memcpy(&h, &r, 2); return (float)h; }
// Lands only when waited for, so that a missing wait shows as poison.
static inline void copy_word(uint32_t* to, const uint32_t* from) {
#if MMA_PATH >= 80
    shim::lane->copies.push_back({to, from});
#else
    *to = *from;
#endif
}
static inline void copies_done() {
    for (const shim::Copy& c : shim::lane->copies) *c.to = *c.from;
    shim::lane->copies.clear();
}

#if MMA_PATH
// All lanes of the warp arrive; the last one computes for all of them from the fragments on their stacks.
template <int TILES, int A, int C, int N, int B> static inline void mma_tiles(float (&c)[TILES][N][C], const uint32_t (&a)[TILES][A], const uint32_t (&b)[N][B]) {
    shim::work++;
    shim::Board& board = shim::board();
    const int me = shim::lane->index & 31;
    board.pointer[0][me] = c;
    board.pointer[1][me] = (void*)a;
    board.pointer[2][me] = (void*)b;
    if (++board.arrived == 32) {
        board.arrived = 0;
        auto frag = [&](int which, int l) { return (const uint32_t*)board.pointer[which][l]; };
        auto acc = [&](int l) { return (float*)board.pointer[0][l]; };
        auto halves = [](uint32_t w, float& lo, float& hi) { lo = h2f((uint16_t)w); hi = h2f((uint16_t)(w >> 16)); };
#if MMA_PATH == 80
        float weights[16][N * 8];  // [k][channel]
        for (int l = 0; l < 32; l++)
            for (int n = 0; n < N; n++)
                for (int half = 0; half < 2; half++) {
                    const int k = (l & 3) * 2 + half * 8, col = n * 8 + (l >> 2);
                    halves(frag(2, l)[n * 2 + half], weights[k][col], weights[k + 1][col]);
                }
        for (int t = 0; t < TILES; t++) {
            float in[16][16];  // [pixel][k]
            for (int l = 0; l < 32; l++)
                for (int r = 0; r < 4; r++) {
                    const int row = (l >> 2) + (r & 1) * 8, k = (l & 3) * 2 + (r >> 1) * 8;
                    halves(frag(1, l)[t * 4 + r], in[row][k], in[row][k + 1]);
                }
            float out[16][N * 8] = {};
            for (int row = 0; row < 16; row++)
                for (int k = 0; k < 16; k++) {
                    const float x = in[row][k];
                    for (int col = 0; col < N * 8; col++) out[row][col] += x * weights[k][col];
                }
            for (int l = 0; l < 32; l++)
                for (int n = 0; n < N; n++)
                    for (int r = 0; r < 4; r++) acc(l)[(t * N + n) * 4 + r] += out[(l >> 2) + (r >> 1) * 8][n * 8 + (l & 3) * 2 + (r & 1)];
        }
#else
        for (int quad = 0; quad < 4; quad++) {
            auto lane_of = [&](int row) { return quad * 4 + (row & 3) + (row >> 2) * 16; };
            float weights[4][8];
            for (int col = 0; col < 8; col++)
                for (int w = 0; w < 2; w++) halves(frag(2, lane_of(col))[w], weights[w * 2][col], weights[w * 2 + 1][col]);
            for (int t = 0; t < TILES; t++) {
                float out[8][8] = {};
                for (int row = 0; row < 8; row++) {
                    float in[4];
                    for (int w = 0; w < 2; w++) halves(frag(1, lane_of(row))[t * 2 + w], in[w * 2], in[w * 2 + 1]);
                    for (int k = 0; k < 4; k++)
                        for (int col = 0; col < 8; col++) out[row][col] += in[k] * weights[k][col];
                }
                for (int side = 0; side < 8; side++) {
                    const int l = quad * 4 + (side & 3) + (side >> 2) * 16;
                    for (int i = 0; i < 8; i++) acc(l)[t * 8 + i] += out[(l & 1) + (i & 2) + (l >> 4) * 4][(i & 4) + (l & 2) + (i & 1)];
                }
            }
        }
#endif
    }
    __syncwarp();
}
#endif
