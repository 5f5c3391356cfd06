// A stand-in for libcuda.so.1: the part of the driver API the engine uses, with kernels executed by the shim.
//
// What a test may ask of it, by environment:
//   STANDIN_VERSION   driver version, default 12060          STANDIN_DEVICES  number of devices, default 1
//   STANDIN_ORDER     thread order of the shim, default 0    STANDIN_INIT     what cuInit returns, default 0
//   STANDIN_CC        compute capability x 10, default of the MMA_PATH it was built with
//   STANDIN_REGISTERS 0: cannot read memory it did not allocate, as the GPUs of the first Nano and the TX2
//   STANDIN_REFUSE    comma list of 'cubin', 'ptx': images cuModuleLoadData refuses
//   STANDIN_QUEUE     1: work is queued when it is asked for and runs when it is waited for, as on a device; 0: it runs at once
// and in the process, by symbols of its own: standin_fail, standin_calls, standin_live, standin_work, standin_hang.
#include "hostshim.h"
#include "prelude.cu"
#include "decide.cu"
#include "measure.cu"
#include "chain.cu"
#include "conv_mma.cu"
#include "conv_scalar.cu"
#include "conv_fft.cu"
#include "stats.cu"
#include "pointwise.cu"
#include "spatial.cu"
#include "across.cu"
#include "tiles.cu"
#include "frame.cu"
#include "camera.cu"

#include <chrono>
#include <deque>
#include <dlfcn.h>
#include <map>
#include <set>
#include <string>

typedef int Result;
enum { SUCCESS = 0, INVALID_VALUE = 1, OUT_OF_MEMORY = 2, NOT_INITIALIZED = 3, NO_DEVICE = 100, INVALID_DEVICE = 101, INVALID_IMAGE = 200,
       NO_BINARY = 209, INVALID_PTX = 218, INVALID_HANDLE = 400, NOT_FOUND = 500, NOT_READY = 600, LAUNCH_FAILED = 719, CAPTURE_INVALIDATED = 901 };
#define API extern "C" __attribute__((visibility("default"))) Result

struct Kernel {
    size_t bytes;
    std::function<void(const void*)> call;
    int dynamic_limit;
    // Of a kernel in another library: what runs a grid of it.
    std::function<void(shim::Dim, unsigned, size_t, int, const void*)> elsewhere;
};
template <class Args> static Kernel make(void (*f)(Args)) {
    return Kernel{sizeof(Args), [f](const void* p) { f(*(const Args*)p); }, 48 * 1024, nullptr};
}
static std::map<std::string, Kernel>& kernels() {
    static std::map<std::string, Kernel> all = {
#if MMA_PATH
        {"conv_mma_4", make(conv_mma_4)}, {"conv_mma_8", make(conv_mma_8)}, {"conv_mma_10", make(conv_mma_10)},
#endif
        {"conv_scalar", make(conv_scalar)}, {"conv_direct", make(conv_direct)},
        {"conv_fft_forward", make(conv_fft_forward)}, {"conv_fft_multiply", make(conv_fft_multiply)}, {"conv_fft_back", make(conv_fft_back)},
        {"conv_fft_forward16", make(conv_fft_forward16)}, {"conv_fft_multiply16", make(conv_fft_multiply16)}, {"conv_fft_back16", make(conv_fft_back16)},
        {"stats", make(stats)}, {"pointwise", make(pointwise)},
        {"begin_steps", make(begin_steps)}, {"import_planes", make(import_planes)}, {"export_planes", make(export_planes)},
        {"spatial", make(spatial)}, {"across", make(across)}, {"label_pixels", make(label_pixels)},
        {"tile_look", make(tile_look)}, {"tile_decide", make(tile_decide)}, {"tile_accept", make(tile_accept)}, {"tile_map", make(tile_map)}, {"reach", make(reach)}, {"reach_tiles", make(reach_tiles)}, {"gate", make(gate)}, {"fit_picture", make(fit_picture)}};
    return all;
}

struct Work {
    const Kernel* kernel = nullptr;
    shim::Dim grid, threads;
    size_t shared = 0;
    std::vector<char> args;
    void* to = nullptr;  // kernel == nullptr: a memset
    int value = 0;
    size_t bytes = 0;
};
struct Graph { std::vector<Work> work; };
struct Stream { Graph* capture = nullptr; };
// When the work before it was done.
struct Event {
    bool timed;
    bool recorded = false;
    std::chrono::steady_clock::time_point at;
};

static int setting(const char* name, int otherwise) { const char* v = getenv(name); return v ? atoi(v) : otherwise; }
static bool refused(const char* what) { const char* v = getenv("STANDIN_REFUSE"); return v && strstr(v, what); }
static bool started = false;
static thread_local void* current = nullptr;
static long calls = 0, fail_at = 0, live = 0;
static int fail_code = 0, sticky = 0, sticky_mode = 0, hanging = 0;
static std::set<uint64_t> allocations;

extern "C" {
#define OWN __attribute__((visibility("default")))
// From now on the `at`th call (1 is the next; 0 none) returns `code`; with `lasting` != 0 every later call does too, as after a lost device.
OWN void standin_fail(long at, int code, int lasting) { calls = 0; fail_at = at; fail_code = code; sticky_mode = lasting; sticky = 0; }
// Calls counted since then.
OWN long standin_calls() { return calls; }
// Allocations not yet freed.
OWN long standin_live() { return live; }
// Half floats read and products of tensor cores so far.
OWN long standin_work() { return shim::work; }
// 1: events never complete.
OWN void standin_hang(int on) { hanging = on; }
}

// Every entry counts, and fails when it is its turn.
static Result turn() {
    calls++;
    if (sticky) return sticky;
    if (fail_at && calls == fail_at) { if (sticky_mode) sticky = fail_code; return fail_code; }
    return SUCCESS;
}
#define TURN do { const Result r_ = turn(); if (r_) return r_; } while (0)

static void run(Work& w) {
    if (!w.kernel) { memset(w.to, w.value, w.bytes); return; }
    const int order = setting("STANDIN_ORDER", 0);
    if (w.kernel->elsewhere) { w.kernel->elsewhere(w.grid, w.threads.x, w.shared, order, w.args.data()); return; }
    shim::launch(w.grid, w.threads, w.shared, order, [&] { w.kernel->call(w.args.data()); });
}
// What is asked for and not done yet; all streams are one.
static std::deque<std::function<void()>>& queued() { static std::deque<std::function<void()>> all; return all; }
static void finish() { while (!queued().empty()) { queued().front()(); queued().pop_front(); } }
static void later(std::function<void()> work) {
    queued().push_back(std::move(work));
    if (!setting("STANDIN_QUEUE", 0)) finish();
}
static Result submit(void* stream, Work w) {
    Stream* s = (Stream*)stream;
    if (s && s->capture) s->capture->work.push_back(std::move(w)); else later([w]() mutable { run(w); });
    return SUCCESS;
}

API cuInit(unsigned) { TURN; const int r = setting("STANDIN_INIT", 0); started = !r; return r; }
API cuDriverGetVersion(int* v) { TURN; *v = setting("STANDIN_VERSION", 12060); return SUCCESS; }
API cuDeviceGetCount(int* n) { TURN; *n = setting("STANDIN_DEVICES", 1); return started ? SUCCESS : NOT_INITIALIZED; }
API cuDeviceGet(int* d, int ordinal) { TURN; *d = ordinal; return ordinal < setting("STANDIN_DEVICES", 1) ? SUCCESS : INVALID_DEVICE; }
API cuDeviceGetName(char* name, int n, int) { TURN; snprintf(name, n, "Stand-in"); return SUCCESS; }
API cuDeviceTotalMem_v2(size_t* bytes, int) { TURN; *bytes = (size_t)8 << 30; return SUCCESS; }
API cuMemGetInfo_v2(size_t* available, size_t* total) { TURN; *available = (size_t)6 << 30; *total = (size_t)8 << 30; return SUCCESS; }
API cuDeviceGetAttribute(int* v, int a, int) {
    TURN;
    const int cc = setting("STANDIN_CC", MMA_PATH == 80 ? 87 : MMA_PATH == 70 ? 72 : 53);
    switch (a) {
        case 75: *v = cc / 10; break;
        case 76: *v = cc % 10; break;
        case 16: *v = 8; break;                                    // multiprocessors
        case 18: *v = 1; break;                                    // integrated
        case 19: *v = 1; break;                                    // can map host memory
        case 97: *v = cc >= 80 ? 163 * 1024 : cc >= 70 ? 96 * 1024 : 48 * 1024; break;  // shared memory a block may opt into
        case 81: *v = cc >= 80 ? 164 * 1024 : cc >= 70 ? 96 * 1024 : 64 * 1024; break;  // shared memory of a multiprocessor
        case 99: *v = setting("STANDIN_REGISTERS", 1); break;      // can read memory it did not allocate
        case 13: *v = 1020000; break;                              // clock, kHz
        default: *v = 0;
    }
    return SUCCESS;
}
API cuDevicePrimaryCtxRetain(void** c, int) { TURN; *c = (void*)1; live++; return SUCCESS; }
API cuDevicePrimaryCtxRelease_v2(int) { live--; TURN; return SUCCESS; }
API cuCtxSetCurrent(void* c) { TURN; current = c; return SUCCESS; }
API cuStreamCreate(void** s, unsigned) { TURN; *s = new Stream; live++; return SUCCESS; }
API cuStreamDestroy_v2(void* s) { delete (Stream*)s; live--; TURN; return SUCCESS; }
API cuStreamSynchronize(void*) { TURN; finish(); return SUCCESS; }
API cuEventCreate(void** e, unsigned flags) { TURN; *e = new Event{!(flags & 2)}; live++; return SUCCESS; }
API cuEventRecord(void* e, void*) {
    TURN;
    later([e] { ((Event*)e)->recorded = true; ((Event*)e)->at = std::chrono::steady_clock::now(); });
    return SUCCESS;
}
API cuEventQuery(void*) { TURN; if (hanging) return NOT_READY; finish(); return SUCCESS; }
API cuEventSynchronize(void*) { TURN; finish(); return SUCCESS; }
API cuEventElapsedTime(float* ms, void* from, void* to) {
    TURN;
    const Event *a = (const Event*)from, *b = (const Event*)to;
    if (!a->timed || !b->timed || !a->recorded || !b->recorded) return INVALID_HANDLE;
    if (!queued().empty()) return NOT_READY;
    *ms = std::chrono::duration<float, std::milli>(b->at - a->at).count();
    return SUCCESS;
}
API cuEventDestroy_v2(void* e) { finish(); delete (Event*)e; live--; TURN; return SUCCESS; }
API cuMemAlloc_v2(uint64_t* p, size_t n) {
    TURN;
    if (!n) return INVALID_VALUE;
    void* q = nullptr;
    if (posix_memalign(&q, 256, n)) return OUT_OF_MEMORY;
    memset(q, 0xff, n);
    live++;
    allocations.insert((uint64_t)q);
    *p = (uint64_t)q;
    return SUCCESS;
}
API cuMemFree_v2(uint64_t p) {
    finish();
    if (!allocations.erase(p)) return INVALID_VALUE;
    free((void*)p);
    live--;
    TURN;
    return SUCCESS;
}
API cuMemHostAlloc(void** p, size_t n, unsigned) {
    TURN;
    if (posix_memalign(p, 4096, n)) return OUT_OF_MEMORY;
    memset(*p, 0xff, n);
    live++;
    return SUCCESS;
}
API cuMemFreeHost(void* p) { finish(); free(p); live--; TURN; return SUCCESS; }
static std::set<void*> registered;
API cuMemHostRegister_v2(void* p, size_t, unsigned) {
    TURN;
    if (!registered.insert(p).second) return INVALID_VALUE;
    live++;
    return SUCCESS;
}
API cuMemHostUnregister(void* p) {
    if (!registered.erase(p)) return INVALID_VALUE;
    live--;
    TURN;
    return SUCCESS;
}
API cuMemHostGetDevicePointer_v2(uint64_t* d, void* p, unsigned) { TURN; *d = (uint64_t)p; return SUCCESS; }
API cuMemcpyHtoDAsync_v2(uint64_t to, const void* from, size_t n, void*) { TURN; finish(); memcpy((void*)to, from, n); return SUCCESS; }
API cuMemcpyDtoH_v2(void* to, uint64_t from, size_t n) { TURN; finish(); memcpy(to, (void*)from, n); return SUCCESS; }
API cuMemsetD8Async(uint64_t p, unsigned char v, size_t n, void* stream) { TURN; Work w; w.to = (void*)p; w.value = v; w.bytes = n; return submit(stream, std::move(w)); }
// A library that the stand-in for libnvrtc.so compiled, and its kernels.
struct Entry { const char* name; size_t bytes; void (*call)(const void*); };
struct Library {
    void* handle;
    std::map<std::string, Kernel> kernels;
};
static Library* open_library(const char* path) {
    void* handle = dlopen(path, RTLD_NOW | RTLD_LOCAL);
    if (!handle) { fprintf(stderr, "STAND-IN: %s\n", dlerror()); return nullptr; }
    typedef long Run(unsigned, unsigned, unsigned, unsigned, size_t, int, void (*)(const void*), const void*);
    Run* run = (Run*)dlsym(handle, "standin_run");
    Library* library = new Library{handle, {}};
    for (const Entry* at = (const Entry*)dlsym(handle, "standin_kernels"); at->name; at++) {
        const Entry entry = *at;
        Kernel kernel{entry.bytes, nullptr, 48 * 1024, nullptr};
        kernel.elsewhere = [run, entry](shim::Dim grid, unsigned threads, size_t shared, int order, const void* args) {
            shim::work += run(grid.x, grid.y, grid.z, threads, shared, order, entry.call, args);
        };
        library->kernels.emplace(entry.name, std::move(kernel));
    }
    return library;
}
API cuModuleLoadData(void** m, const void* image) {
    TURN;
    const char* c = (const char*)image;
    const bool elf = c[0] == 0x7f && c[1] == 'E' && c[2] == 'L' && c[3] == 'F';
    if (elf ? refused("cubin") : refused("ptx")) return elf ? NO_BINARY : INVALID_PTX;
    if (!elf && !strstr(c, ".version")) return INVALID_IMAGE;
    *m = nullptr;
    if (!elf && !strncmp(c, ".version stand-in\n", 18)) {
        *m = open_library(c + 18);
        if (!*m) return INVALID_PTX;
    }
    live++;
    return SUCCESS;
}
API cuModuleUnload(void* m) {
    finish();
    if (m) { dlclose(((Library*)m)->handle); delete (Library*)m; }
    live--;
    TURN;
    return SUCCESS;
}
API cuModuleGetFunction(void** f, void* m, const char* name) {
    TURN;
    auto& known = m ? ((Library*)m)->kernels : kernels();
    auto at = known.find(name);
    if (at == known.end()) return NOT_FOUND;
    *f = (void*)&at->second;
    return SUCCESS;
}
// Shared memory a kernel declares for itself (tests/gpu/resources.json): with what is asked for at launch it may not exceed the limit.
static int declared_shared(const void* f) {
    const Kernel* k = (const Kernel*)f;
    return k == &kernels()["conv_scalar"] ? 6400 : k == &kernels()["stats"] ? 5136 : k == &kernels()["pointwise"] ? 208 : k->elsewhere ? 4352 : 0;
}
API cuFuncSetAttribute(void* f, int attribute, int v) {
    TURN;
    if (attribute == 8) {
        if (v > 163 * 1024 - declared_shared(f)) return INVALID_VALUE;
        ((Kernel*)f)->dynamic_limit = v;
    }
    return SUCCESS;
}
API cuFuncGetAttribute(int* v, int attribute, void* f) { TURN; *v = attribute == 1 ? declared_shared(f) : 0; return SUCCESS; }
API cuLaunchKernel(void* f, unsigned gx, unsigned gy, unsigned gz, unsigned bx, unsigned by, unsigned bz, unsigned shared, void* stream, void** params, void**) {
    TURN;
    const Kernel* k = (const Kernel*)f;
    if (!gx || !gy || !gz || gy > 65535 || gz > 65535 || bx * by * bz > 1024 || (int)shared > k->dynamic_limit - (k->dynamic_limit == 48 * 1024 ? declared_shared(f) : 0)) return INVALID_VALUE;
    Work w;
    w.kernel = k;
    w.grid = {gx, gy, gz};
    w.threads = {bx, by, bz};
    w.shared = shared;
    w.args.assign((const char*)params[0], (const char*)params[0] + k->bytes);
    return submit(stream, std::move(w));
}
API cuStreamBeginCapture_v2(void* s, int) { TURN; ((Stream*)s)->capture = new Graph; return SUCCESS; }
API cuStreamEndCapture(void* s, void** g) {
    *g = ((Stream*)s)->capture;
    ((Stream*)s)->capture = nullptr;
    const Result r = turn();
    if (r) { delete (Graph*)*g; *g = nullptr; return r; }
    live++;
    return SUCCESS;
}
API cuGraphInstantiateWithFlags(void** e, void* g, unsigned long long) { TURN; *e = new Graph(*(Graph*)g); live++; return SUCCESS; }
API cuGraphInstantiate_v2(void** e, void* g, void**, char*, size_t) { TURN; *e = new Graph(*(Graph*)g); live++; return SUCCESS; }
API cuGraphLaunch(void* e, void*) { TURN; later([e] { for (Work& w : ((Graph*)e)->work) run(w); }); return SUCCESS; }
API cuGraphExecDestroy(void* e) { finish(); delete (Graph*)e; live--; TURN; return SUCCESS; }
API cuGraphDestroy(void* g) { delete (Graph*)g; live--; TURN; return SUCCESS; }
API cuGetErrorName(int e, const char** s) {
    switch (e) {
        case INVALID_VALUE: *s = "CUDA_ERROR_INVALID_VALUE"; break;
        case OUT_OF_MEMORY: *s = "CUDA_ERROR_OUT_OF_MEMORY"; break;
        case NO_DEVICE: *s = "CUDA_ERROR_NO_DEVICE"; break;
        case NO_BINARY: *s = "CUDA_ERROR_NO_BINARY_FOR_GPU"; break;
        case INVALID_PTX: *s = "CUDA_ERROR_INVALID_PTX"; break;
        case LAUNCH_FAILED: *s = "CUDA_ERROR_LAUNCH_FAILED"; break;
        default: *s = "CUDA_ERROR_UNKNOWN";
    }
    return SUCCESS;
}
API cuGetErrorString(int, const char** s) { *s = "as the test ordered"; return SUCCESS; }
