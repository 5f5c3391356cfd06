// Only what moved: which pixels of the input changed, how far that carries, and what of it is handed on.
//
// The rules are those of the CPU engine (acceptance, engine/cpu/tiles). Masks hold one byte a pixel, see Part. Nothing here asks the host: a
// recorded frame looks the same whatever moved in it.

#define TILE 8

struct LookArgs {
    View incoming;     // fp32: the frame as it came
    u64 accepted;      // fp32, of the same layout: as the network saw it last
    u64 frame32, frame16;  // the network's input; either may be 0, frame32 may be `accepted`
    u64 last;          // fp32 [rows / 2][columns][channel stride]: every second row of the last frame
    u64 noise;         // fp32, a tile each; not a number where nothing is known
    u64 changed;       // u8, a tile each
    u64 levels;        // fp32, a channel each: grey levels of one unit
    u64 mask;          // of the network's input
    u64 control, order;
    float floor, gain, most, rise;
    int switches;      // 1: frames may be dense
    float low;         // share below which tiles may be worth it again
    int calm;          // frames of that in a row, at first
    int pad;
};

// Sixteen tiles of eight columns a block.
KERNEL(128) tile_look(LookArgs p) {
    __shared__ float sums[128][2];
    const int t = threadIdx.x, across = (p.incoming.w + TILE - 1) / TILE, down = (p.incoming.h + TILE - 1) / TILE;
    const int tile = blockIdx.x * 16 + (t >> 3), y0 = tile / across * TILE, x = tile % across * TILE + (t & 7);
    const int y1 = y0 + TILE < p.incoming.h ? y0 + TILE : p.incoming.h;
    const bool there = tile < across * down && x < p.incoming.w;
    const bool exact = p.floor <= 0.0f;
    float change = 0.0f, flicker = 0.0f;
    if (there) {
        for (int c = 0; c < p.incoming.c; c++) {
            const float level = ((const float*)p.levels)[c];
            for (int y = y0; y < y1; y++) {
                const long at = ((long)y * p.incoming.w + x) * p.incoming.cs + c;
                if (exact) {
                    if (((const u32*)p.incoming.data)[at] != ((const u32*)p.accepted)[at]) change = 1.0f;
                    continue;
                }
                const float now = ((const float*)p.incoming.data)[at], d = (now - ((const float*)p.accepted)[at]) * level;
                change += d * d;
                if (y % 2 == 0) {
                    float* last = (float*)p.last + ((long)(y / 2) * p.incoming.w + x) * p.incoming.cs + c;
                    const float e = (now - *last) * level;
                    flicker += e * e;
                    *last = now;
                }
            }
        }
    }
    sums[t][0] = change;
    sums[t][1] = flicker;
    __syncthreads();
    if ((t & 7) || !there) return;
    const int columns = p.incoming.w - x < TILE ? p.incoming.w - x : TILE;
    change = flicker = 0.0f;
    for (int k = 0; k < columns; k++) { change += sums[t + k][0]; flicker += sums[t + k][1]; }
    u8* changed = (u8*)p.changed + tile;
    if (exact) {
        *changed = change > 0.0f;
        return;
    }
    const Control* control = (const Control*)p.control;
    change /= (float)((y1 - y0) * columns * p.incoming.c);
    flicker /= (float)((y1 - y0 + 1) / 2 * columns * p.incoming.c);
    float* noise = (float*)p.noise + tile;
    const float before = *noise;
    const bool known = control->learned && before == before;
    const float risen = known ? fminf(flicker, before * p.rise + 1e-3f) : flicker;
    const float floor = p.floor * p.floor;
    const float limit = known ? fmaxf(floor, p.gain * risen) : floor;
    if (control->seen) *noise = risen;
    // What is not a number has changed.
    *changed = !(change <= limit);
}

// Counts what changed, tells a tile's noise from movement where that is known for the first time, and decides how the frame is computed.
KERNEL(256) tile_decide(LookArgs p) {
    __shared__ u32 count, finite;
    __shared__ float middle;
    const int t = threadIdx.x, tiles = (p.incoming.w + TILE - 1) / TILE * ((p.incoming.h + TILE - 1) / TILE);
    const u8* changed = (const u8*)p.changed;
    float* noise = (float*)p.noise;
    Control* control = (Control*)p.control;
    const bool learns = p.floor > 0.0f && control->seen && !control->learned;
    if (t == 0) { count = 0; finite = 0; }
    __syncthreads();
    u32 mine = 0, known = 0;
    for (int i = t; i < tiles; i += 256) {
        mine += changed[i];
        known += fabsf(noise[i]) < infinity();
    }
    atomicAdd(&count, mine);
    atomicAdd(&finite, known);
    __syncthreads();
    if (learns && finite) {
        // The middle one, by its rank: as many are less as come before it.
        for (int i = t; i < tiles; i += 256) {
            const float x = noise[i];
            if (!(fabsf(x) < infinity())) continue;
            u32 less = 0, same = 0;
            for (int k = 0; k < tiles; k++) { less += noise[k] < x; same += noise[k] == x; }
            if (less <= finite / 2 && finite / 2 < less + same) middle = x;
        }
        __syncthreads();
        for (int i = t; i < tiles; i += 256) noise[i] = fminf(noise[i], middle);
    }
    if (t) return;
    if (learns && finite) control->learned = 1;
    const int forgotten = !((const volatile Order*)p.order)->drive_known;
    float share = (float)count / (float)tiles;
    const bool all = forgotten || share > p.most;
    if (all) share = 1.0f;
    if (!control->seen) control->wait = p.calm;
    if (p.switches && control->prefers_dense) {
        control->calm = share < p.low ? control->calm + 1 : 0;
        if (control->calm >= control->wait) { control->prefers_dense = 0; control->calm = 0; control->tried = 0; }
    }
    control->dense = control->prefers_dense;
    control->everything = all || control->dense;
    control->whole = forgotten || control->dense;
    control->forgotten = forgotten;
    control->share = share;
    control->changed = control->everything ? (u32)tiles : count;
    control->seen = 1;
    control->moving_drive = 0;
    control->done_encode = 0;
}

// Takes what is accepted to the network's input.
KERNEL(128) tile_accept(LookArgs p) {
    const long pixel = (long)blockIdx.x * 128 + threadIdx.x;
    if (pixel >= (long)p.incoming.h * p.incoming.w) return;
    const int x = (int)(pixel % p.incoming.w), y = (int)(pixel / p.incoming.w);
    const int tile = y / TILE * ((p.incoming.w + TILE - 1) / TILE) + x / TILE;
    const bool on = ((const Control*)p.control)->everything || ((const u8*)p.changed)[tile];
    ((u8*)p.mask)[pixel] = on ? MOVED | SPREADS : 0;
    if (!on) return;
    for (int c = 0; c < p.incoming.cs; c++) {
        const long at = pixel * p.incoming.cs + c;
        const float value = ((const float*)p.incoming.data)[at];
        ((float*)p.accepted)[at] = value;
        if (p.frame32 && p.frame32 != p.accepted) ((float*)p.frame32)[at] = value;
        if (p.frame16) ((u16*)p.frame16)[at] = f2h(value);
    }
}

// What an output pixel sees: for each output row the input rows first to behind, for each column alike.
struct Span { int first, behind; };
#define REACH_SOURCES 6
// A mask that is read.
struct Source {
    u64 mask, rows, columns;  // rows, columns: Span[]; 0 where each pixel sees the one at its place
    int w;
    int when;                 // as below
    int centred;              // 1: what it sees lies around its place, and neighbours count only where they spread
    int pad;
};
#define ALWAYS 0
#define FIRST_STEP 1   // of a frame
#define STEPPED 2      // in frames that were stepped
struct ReachArgs {
    Source sources[REACH_SOURCES];
    u64 to;
    int h, w;
    int count;
    int tile_h, tile_w, tiles_x;  // reach_tiles: outputs that are made together
    u64 skip, control;
    int stepping;                 // as of all_of
    int pad;
};
DEV bool counts(const Source& s, const Control* c) { return s.when == ALWAYS || (s.when == FIRST_STEP ? c->steps == 0 : c->steps > 0); }
// Whether all of what this phase makes counts as changed; stepping: 0 in the encoder, 1 in a step, 2 in the readout.
DEV bool all_of(int stepping, const Control* c) { return c->whole && (stepping != 1 || c->steps == 0 || c->dense); }

KERNEL(128) reach(ReachArgs p) {
    if (*(const int*)p.skip) return;
    const long pixel = (long)blockIdx.x * 128 + threadIdx.x;
    if (pixel >= (long)p.h * p.w) return;
    const Control* control = (const Control*)p.control;
    const int y = (int)(pixel / p.w), x = (int)(pixel % p.w);
    u32 seen = all_of(p.stepping, control) ? MOVED | SPREADS : 0;
    for (int k = 0; k < p.count && seen != (MOVED | SPREADS); k++) {
        const Source& s = p.sources[k];
        const u8* mask = (const u8*)s.mask;
        if (!counts(s, control)) continue;
        if (!s.rows) { seen |= mask[pixel]; continue; }
        const Span rows = ((const Span*)s.rows)[y], columns = ((const Span*)s.columns)[x];
        u32 any = s.centred && mask[pixel] ? MOVED : 0;
        const u32 tells = s.centred ? SPREADS : MOVED;
        for (int row = rows.first; row < rows.behind && !any; row++)
            for (int column = columns.first; column < columns.behind; column++) any |= mask[(long)row * s.w + column] & tells;
        if (any) seen = MOVED | SPREADS;
    }
    ((u8*)p.to)[pixel] = (u8)seen;
}

// The same where outputs of a tile share their arithmetic: all of them see what one sees. One block a tile; `rows` and `columns` are of tiles.
KERNEL(256) reach_tiles(ReachArgs p) {
    if (*(const int*)p.skip) return;
    const Control* control = (const Control*)p.control;
    const int t = threadIdx.x, down = blockIdx.x / p.tiles_x, across = blockIdx.x % p.tiles_x;
    int any = all_of(p.stepping, control);
    for (int k = 0; k < p.count; k++) {
        const Source& s = p.sources[k];
        if (!counts(s, control)) continue;
        const Span rows = ((const Span*)s.rows)[down], columns = ((const Span*)s.columns)[across];
        const int wide = columns.behind - columns.first;
        for (int i = t; i < (rows.behind - rows.first) * wide; i += 256)
            any |= ((const u8*)s.mask)[(long)(rows.first + i / wide) * s.w + columns.first + i % wide];
    }
    any = __syncthreads_or(any);
    for (int i = t; i < p.tile_h * p.tile_w; i += 256) {
        const int y = down * p.tile_h + i / p.tile_w, x = across * p.tile_w + i % p.tile_w;
        if (y < p.h && x < p.w) ((u8*)p.to)[(long)y * p.w + x] = any ? MOVED | SPREADS : 0;
    }
}

// Between a tensor as it was made and the one that is read: pixels that moved are handed on, and measured. As engine/cpu/tiles/gate.rs.
struct GateArgs {
    View from, to;
    u64 to32, to16;     // where it is handed on; either may be 0
    u64 dirty;          // mask: what was made again
    u64 mask;           // takes what moved
    u64 unread;         // mask: takes what was handed on in this frame's steps; may be 0
    u64 unsaid, untold; // fp32, a pixel each: what it moved without being told, and without its neighbours being told
    u64 partials;       // fp32 [block][6]
    u64 energy;         // fp32: sum of squares of what is read
    u64 skip, ticket, control, report, order;
    float threshold;    // in parts of the tensor's root mean square; below 0: that of the rule
    float carries;      // times that, until neighbours are told
    int commits;        // 1: a state; what moved by less is handed on too, only not told
    int decide;         // as of PointwiseArgs; 4: it stands within a graph
    int stepping;       // as of all_of
    int pad;
};
#define GATE_PIXELS 32

DEV float rule_threshold(const Control* c) {
    if (!c->has_threshold) return 0.0f;
    return c->metric == 2 ? sqrtf(2.0f * c->threshold) : c->threshold;
}

// A warp takes every fourth of a block's pixels, its lanes the channels.
KERNEL(128) gate(GateArgs p) {
    if (*(const int*)p.skip) return;
    __shared__ float scratch[4][6];
    __shared__ u32 last, moving;
    Control* control = (Control*)p.control;
    const int t = threadIdx.x, lane = t & 31, pixels = p.to.h * p.to.w, first = blockIdx.x * GATE_PIXELS;
    const int behind = first + GATE_PIXELS < pixels ? first + GATE_PIXELS : pixels;
    const bool fresh = all_of(p.stepping, control), opens = !p.commits && fresh;
    const float threshold = p.threshold < 0.0f ? rule_threshold(control) : p.threshold;
    // A state that was set to zero has no energy, whatever was measured before.
    const float energy = p.commits && control->forgotten && control->steps == 0 ? 0.0f : *(const volatile float*)p.energy;
    const float limit = threshold * sqrtf(energy / (float)pixels);
    float m[6] = {0.0f, 0.0f, 0.0f, 0.0f, 0.0f, 0.0f};
    if (t == 0) moving = 0;
    int any = 0;
    for (int pixel = first + t; pixel < behind; pixel += 128) any |= ((const u8*)p.dirty)[pixel];
    any = __syncthreads_or(any);
    volatile float* mine = (volatile float*)p.partials + (long)blockIdx.x * 6;
    for (int pixel = first + (t >> 5); pixel < behind; pixel += 4) {
        const int dirty = ((const u8*)p.dirty)[pixel];
        const u8 unread = p.unread ? ((const u8*)p.unread)[pixel] : 0;
        float square = 0.0f, magnitude = 0.0f;
        if (any) {
            for (int c = lane; c < p.to.c; c += 32) {
                const float before = load_value(p.to, (long)pixel * p.to.cs + c);
                const float after = dirty ? load_value(p.from, (long)pixel * p.from.cs + c) : before, d = after - before;
                square += d * d; magnitude += fabsf(d);
                m[4] += before * before; m[5] += before * after;
            }
#pragma unroll
            for (int o = 16; o; o >>= 1) {
                square += __shfl_xor_sync(0xffffffffu, square, o);
                magnitude += __shfl_xor_sync(0xffffffffu, magnitude, o);
            }
        }
        int moved = 0, spreads = 0;
        const bool counted = p.unsaid && threshold > 0.0f;
        float unsaid = 0.0f, untold = 0.0f;
        if (dirty && opens) {
            moved = spreads = 1;  // and nothing is left untold
        } else if (dirty && threshold <= 0.0f) {
            moved = spreads = magnitude != 0.0f;
        } else if (dirty && counted) {
            unsaid = fresh ? 0.0f : ((const float*)p.unsaid)[pixel]; untold = ((const float*)p.untold)[pixel];
            const float by = p.commits ? unsaid + sqrtf(square) : sqrtf(square);
            moved = !(by <= limit);
            unsaid = p.commits && !moved ? by : 0.0f;
            if (moved) {
                untold += by;
                spreads = !(untold <= p.carries * limit);
                if (spreads) untold = 0.0f;
            }
        }
        if (dirty && (moved || p.commits))
            for (int c = lane; c < p.to.cs; c += 32) {
                const long at = (long)pixel * p.to.cs + c;
                const float value = load_value(p.from, (long)pixel * p.from.cs + c);
                if (p.to32) ((float*)p.to32)[at] = value;
                if (p.to16) ((u16*)p.to16)[at] = f2h(value);
            }
        if (any)
            for (int c = lane; c < p.to.c; c += 32) {
                const float after = load_value(dirty && (moved || p.commits) ? p.from : p.to, (long)pixel * p.to.cs + c);
                m[2] += after * after; m[3] += fabsf(after);
            }
        if (lane == 0) { m[0] += square; m[1] += magnitude; }
        __syncwarp();
        if (lane == 0) {
            ((u8*)p.mask)[pixel] = (u8)((moved ? MOVED : 0) | (spreads ? SPREADS : 0));
            if (p.unread) ((u8*)p.unread)[pixel] = (u8)((control->steps ? unread : 0) | dirty);
            if (dirty && counted) { ((float*)p.unsaid)[pixel] = unsaid; ((float*)p.untold)[pixel] = untold; }
            if (moved) atomicAdd(&moving, 1u);
        }
    }
    block_sum(m, scratch);
    if (t == 0) {
        if (!any) { m[2] = m[4] = m[5] = mine[2]; m[3] = mine[3]; }
        for (int k = 0; k < 6; k++) mine[k] = m[k];
        if (moving && p.decide != 4) atomicAdd(p.commits ? &control->moving_next : &control->moving_drive, moving);
        __threadfence();
        last = atomicAdd((u32*)p.ticket, 1u) == gridDim.x - 1;
    }
    __syncthreads();
    if (!last) return;
    if (t == 0) *(u32*)p.ticket = 0;
    __threadfence();
    for (int k = 0; k < 6; k++) m[k] = 0.0f;
    for (int b = t; b < (int)gridDim.x; b += 128)
        for (int k = 0; k < 6; k++) m[k] += ((const volatile float*)p.partials)[(long)b * 6 + k];
    block_sum(m, scratch);
    if (t) return;
    *(float*)p.energy = m[2];
    if (p.decide == 3) control->drive_distance = ((const volatile Order*)p.order)->drive_known ? distance_of(m, 0) : infinity();
    if (p.decide != 1 && p.decide != 2) return;
    for (int k = 0; k < 6; k++) m[k] = control->sums[k] += m[k];
    if (p.decide == 1) return;
    for (int k = 0; k < 6; k++) control->sums[k] = 0.0f;
    decide_step(control, (Report*)p.report, distance_of(m, control->metric));
}

// For who looks: which tiles of the input were accepted in this frame, and in which the state was made again.
struct MapArgs {
    u64 changed;   // u8, a tile each
    u64 computed;  // mask: what this frame's steps made of the first state; of the drive where there is no step
    u64 map;       // u8, a tile each, mapped host memory: 1 accepted, 2 made again
    int h, w;      // of the input
    int state_h, state_w;
    u64 control;
    int has_step;
    int pad;
};
KERNEL(128) tile_map(MapArgs p) {
    const int across = (p.w + TILE - 1) / TILE, down = (p.h + TILE - 1) / TILE, tile = blockIdx.x * 128 + threadIdx.x;
    if (tile >= across * down) return;
    const Control* control = (const Control*)p.control;
    const int y = tile / across * TILE, x = tile % across * TILE;
    const int y1 = y + TILE < p.h ? y + TILE : p.h, x1 = x + TILE < p.w ? x + TILE : p.w;
    int seen = control->everything || ((const u8*)p.changed)[tile] ? 1 : 0;
    // Where no step was taken the mask is an earlier frame's. Pixels of the state that lie in the tile, at least one.
    if (!p.has_step || control->steps > 0)
        for (int row = y * p.state_h / p.h; row < (y1 * p.state_h + p.h - 1) / p.h; row++)
            for (int column = x * p.state_w / p.w; column < (x1 * p.state_w + p.w - 1) / p.w; column++)
                if (((const u8*)p.computed)[(long)row * p.state_w + column]) seen |= 2;
    ((u8*)p.map)[tile] = (u8)seen;
}
