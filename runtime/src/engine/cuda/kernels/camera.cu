// A picture as the camera left it, in host memory the device reads in place, to the network's input: convert, crop or pad, resize,
// normalise. The arithmetic is that of capture/fit on the CPU.
//
// A block makes `outputs` columns of one row of the tensor. It walks the picture's rows that make that row, neighbouring threads on
// neighbouring pixels, and keeps weighed sums of columns in shared memory; those are then weighed across. So every row of the picture
// is read once for each row of the tensor it has a part in: once, but for rows on a border between two.
struct FitArgs {
    View tensor;
    u64 extra16;   // a second, fp16 copy of the tensor; may be 0
    u64 picture;   // bytes
    u64 column_starts, column_weights, row_starts, row_weights;  // u32 first sample; fp32 weights, `taps` for each output
    int column_taps, row_taps;
    int left, top, across, down;  // where the picture lies in the tensor
    int outputs;
    int kind;      // as below
    int order;     // 1: the second of two byte orders; Bayer: place of red in the 2x2 group
    int shift;     // samples of 16 bits: down to 8 bits, Bayer up to 12; Bayer of 8 bits: up to 12
    int wide;      // Bayer: samples of 16 bits
    int limited, black;
    int height, stride;  // of the first plane
    float mean[3], std[3];
};
#define GREY 0
#define DEEP_GREY 1
#define PACKED_YUV 2
#define SEMI_PLANAR_YUV 3
#define PLANAR_YUV 4
#define PACKED_RGB 5
#define BAYER 6

DEV int level_of(int x) { return x < 0 ? 0 : x > 255 ? 255 : x; }
DEV int word_at(const u8* at) { return at[0] | (at[1] << 8); }
DEV int luma_of(int red, int green, int blue) { return (red * 77 + green * 150 + blue * 29 + 128) >> 8; }
DEV int stretched(int luma, int limited) {
    if (!limited) return luma;
    return ((luma < 16 ? 0 : luma > 235 ? 219 : luma - 16) * 298 + 128) >> 8;
}
// A 12-bit count to 8 bits, stretched so that white stays white.
DEV int developed(int counts, int black) {
    const int level = (counts < 4095 ? counts : 4095) - black * 16;
    return level < 0 ? 0 : level_of(level * 255 / (4080 - (black * 16 < 4000 ? black * 16 : 4000)));
}
DEV int bayer_sample(const FitArgs& p, int x, int y) {
    const u8* row = (const u8*)p.picture + (long)y * p.stride;
    return (p.wide ? word_at(row + 2 * x) & 0x0fff : row[x]) << p.shift;
}

// Levels of the pixel: luma in `red` alone, or all three.
DEV void read_pixel(const FitArgs& p, int x, int y, bool colour, int& red, int& green, int& blue) {
    const u8* row = (const u8*)p.picture + (long)y * p.stride;
    if (p.kind == BAYER) {
        const int at_red = p.order, at_blue = 3 - p.order;
        const int even = at_red == 0 || at_red == 3;  // the greens lie at 1 and 2, otherwise at 0 and 3
        const int g0 = bayer_sample(p, 2 * x + (even ? 1 : 0), 2 * y), g1 = bayer_sample(p, 2 * x + (even ? 0 : 1), 2 * y + 1);
        red = developed(bayer_sample(p, 2 * x + (at_red & 1), 2 * y + (at_red >> 1)), p.black);
        green = developed((g0 + g1) / 2, p.black);
        blue = developed(bayer_sample(p, 2 * x + (at_blue & 1), 2 * y + (at_blue >> 1)), p.black);
    } else if (p.kind == PACKED_RGB) {
        red = row[3 * x + (p.order ? 2 : 0)]; green = row[3 * x + 1]; blue = row[3 * x + (p.order ? 0 : 2)];
    } else if (p.kind == DEEP_GREY) {
        red = green = blue = level_of(word_at(row + 2 * x) >> p.shift);
        return;
    } else {
        const int luma = p.kind == PACKED_YUV ? row[2 * x + p.order] : row[x];
        if (p.kind == GREY || !colour) {
            red = green = blue = stretched(luma, p.limited);
            return;
        }
        const u8* planes = (const u8*)p.picture + (long)p.height * p.stride;
        int u, v;
        if (p.kind == PACKED_YUV) {
            const u8* group = row + x / 2 * 4;
            u = group[1 - p.order]; v = group[3 - p.order];
        } else if (p.kind == SEMI_PLANAR_YUV) {
            const u8* pair = planes + (long)(y / 2) * p.stride + x / 2 * 2;
            u = pair[p.order]; v = pair[1 - p.order];
        } else {
            const long stride = (p.stride + 1) / 2;
            u = planes[(y / 2) * stride + x / 2]; v = planes[((p.height + 1) / 2 + y / 2) * stride + x / 2];
        }
        // BT.601 in 16.16 fixed point.
        u -= 128; v -= 128;
        const int base = (luma - (p.limited ? 16 : 0)) * (p.limited ? 76309 : 65536) + 32768;
        red = level_of((base + (p.limited ? 104597 : 91881) * v) >> 16);
        green = level_of((base - (p.limited ? 25675 : 22554) * u - (p.limited ? 53279 : 46802) * v) >> 16);
        blue = level_of((base + (p.limited ? 132201 : 116130) * u) >> 16);
        return;
    }
    if (!colour) red = luma_of(red, green, blue);
}

KERNEL(256) fit_picture(FitArgs p) {
    DYN_SMEM(fit_shared);
    float* sums = (float*)fit_shared;  // [channel][column of the picture]
    const int t = threadIdx.x, y = blockIdx.y, cs = p.tensor.cs;
    const bool colour = p.tensor.c == 3;
    const int x0 = blockIdx.x * p.outputs, x1 = x0 + p.outputs < p.tensor.w ? x0 + p.outputs : p.tensor.w;
    const int from = x0 > p.left ? x0 : p.left, to = x1 < p.left + p.across ? x1 : p.left + p.across;
    const bool shown = y >= p.top && y < p.top + p.down && from < to;
    const u32* starts = (const u32*)p.column_starts;
    int first = 0, span = 0;
    if (shown) {
        first = starts[from - p.left];
        span = starts[to - 1 - p.left] + p.column_taps - first;
        for (int i = t; i < span; i += 256) {
            float s0 = 0.0f, s1 = 0.0f, s2 = 0.0f;
            const float* weights = (const float*)p.row_weights + (long)(y - p.top) * p.row_taps;
            const int row = ((const u32*)p.row_starts)[y - p.top];
            for (int tap = 0; tap < p.row_taps; tap++) {
                const float weight = weights[tap];
                if (weight <= 0.0f) continue;
                int red, green, blue;
                read_pixel(p, first + i, row + tap, colour, red, green, blue);
                s0 += red * weight;
                if (colour) { s1 += green * weight; s2 += blue * weight; }
            }
            sums[i] = s0;
            if (colour) { sums[span + i] = s1; sums[2 * span + i] = s2; }
        }
    }
    __syncthreads();
    for (int item = t; item < (x1 - x0) * cs; item += 256) {
        const int c = item % cs, x = x0 + item / cs;
        float value = 0.0f;
        if (c < p.tensor.c) {
            if (shown && x >= from && x < to) {
                const float* weights = (const float*)p.column_weights + (long)(x - p.left) * p.column_taps;
                const float* in = sums + c * span + starts[x - p.left] - first;
                for (int tap = 0; tap < p.column_taps; tap++) value += in[tap] * weights[tap];
            }
            value = (value / 255.0f - p.mean[c]) / p.std[c];
        }
        const long at = ((long)y * p.tensor.w + x) * cs + c;
        store_value(p.tensor.data, p.tensor.half, at, value);
        if (p.extra16) ((u16*)p.extra16)[at] = f2h(value);
    }
}
