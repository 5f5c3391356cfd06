// How far a state moved, and whether stepping stops: the rules of network/halting.rs on the device.

// Adds up what every thread of the block holds; thread 0 has the sums afterwards. `scratch`: one row a warp.
DEV void block_sum(float (&m)[6], float (*scratch)[6]) {
#pragma unroll
    for (int k = 0; k < 6; k++)
#pragma unroll
        for (int o = 16; o; o >>= 1) m[k] += __shfl_xor_sync(0xffffffffu, m[k], o);
    if ((threadIdx.x & 31) == 0)
        for (int k = 0; k < 6; k++) scratch[threadIdx.x >> 5][k] = m[k];
    __syncthreads();
    if (threadIdx.x == 0)
        for (int k = 0; k < 6; k++) {
            m[k] = 0.0f;
            for (u32 w = 0; w < blockDim.x / 32; w++) m[k] += scratch[w][k];
        }
}

DEV float ratio(float num, float den) { return num == 0.0f ? 0.0f : num / den; }

// m: sums of (b-a)^2, |b-a|, b^2, |b|, a^2, ab.
DEV float distance_of(const float (&m)[6], int metric) {
    float d;
    if (metric == 0) d = sqrtf(ratio(m[0], m[2]));
    else if (metric == 1) d = ratio(m[1], m[3]);
    else if (m[0] == 0.0f) d = 0.0f;
    else {
        // 1 - cos, written so that nearly equal states do not cancel.
        const float na = sqrtf(m[4]), nb = sqrtf(m[2]), gap = na - nb;
        d = fmaxf((m[0] - gap * gap) / (2.0f * na * nb), 0.0f);
        if (!(m[0] == m[0]) || !(na * nb > 0.0f)) d = infinity();
    }
    return d == d ? d : infinity();
}

// As in network/halting.rs: how fast the floor rises from one stepped frame to the next, and its least share of `floor`.
#define FLOOR_RISE 1.02f
#define FLOOR_LEAST 0.25f

// The same rules as network/halting.rs, after a step.
DEV void decide_step(Control* c, Report* r, float distance) {
    const int steps = c->steps + 1;
    c->steps = steps;
    r->steps = steps;
    if (c->tiles) {
        c->moving_drive = 0;
        c->moving_states = c->moving_next;
        c->moving_next = 0;
    }
    if (steps <= MAX_STEPS) r->distances[steps - 1] = distance;
    if (steps == 1 && !c->slow && c->has_surprise && distance > c->surprise) {
        c->slow = 1;
        c->cap = c->slow_cap;
        r->limit = c->cap;
    }
    bool still = c->has_threshold && distance < c->threshold;
    if (c->has_wake && steps == 1) {
        if (c->slow) c->floor_now = c->floor;
        else {
            c->floor_now = fmaxf(fminf(c->floor_now * FLOOR_RISE, distance), c->floor * FLOOR_LEAST);
            still = distance * distance <= c->wake * c->floor_now;
        }
    }
    int stop = -1;
    if (still && steps >= c->min) stop = 0;
    else if (steps >= c->cap || steps >= MAX_STEPS) stop = c->slow ? 3 : 1;
    else if (c->tiles && !c->dense && !c->moving_states) stop = 0;
    else if (steps >= c->deadline_cap) stop = 4;
    if (stop >= 0) {
        r->stop = stop;
        c->stop = 1;
        c->pending = 0;
    }
}
