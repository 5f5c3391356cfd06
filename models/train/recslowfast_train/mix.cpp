// Kernels of the frequency-domain convolution, one thread: channel mixing with the batch innermost, and the DFT around it.
//
// Every array is float32 and contiguous. The batch (8 or 16) is one SIMD vector; weights are broadcast scalars.
// Plain C interface, loaded through ctypes by fastconv.py, which keeps a PyTorch form of the same functions.
#include <cstdint>

namespace {

template <int B> struct Lanes {
    typedef float type __attribute__((vector_size(4 * B), aligned(4), may_alias));
};

template <int B> using V = typename Lanes<B>::type;

template <int B> inline float lane_sum(V<B> value) {
    float sum = 0;
    for (int i = 0; i < B; i++) sum += value[i];
    return sum;
}

// out[o] = sum_c w[o,c] x[c], complex. w: re [C,C] then im [C,C]; transposed: conjugate transpose of w.
template <int B, int R>
inline void complex_rows(const float *w, const float *x, float *out, int c_count, int o, int so, int sc, float sign) {
    const float *wi = w + c_count * c_count;
    V<B> re[R], im[R];
    for (int r = 0; r < R; r++) re[r] = im[r] = V<B>{};
    for (int c = 0; c < c_count; c++) {
        V<B> xr = *(const V<B> *)(x + c * B);
        V<B> xi = *(const V<B> *)(x + (c_count + c) * B);
        for (int r = 0; r < R; r++) {
            float wr = w[(o + r) * so + c * sc], wim = sign * wi[(o + r) * so + c * sc];
            re[r] += wr * xr;
            re[r] -= wim * xi;
            im[r] += wr * xi;
            im[r] += wim * xr;
        }
    }
    for (int r = 0; r < R; r++) {
        *(V<B> *)(out + (o + r) * B) = re[r];
        *(V<B> *)(out + (c_count + o + r) * B) = im[r];
    }
}

template <int B>
void complex_mix(const float *w, const float *x, float *out, int64_t f_count, int c_count, bool transposed) {
    int so = transposed ? 1 : c_count, sc = transposed ? c_count : 1;
    float sign = transposed ? -1.f : 1.f;
    for (int64_t f = 0; f < f_count; f++) {
        int o = 0;
        if (c_count % 5 == 0)
            for (; o < c_count; o += 5) complex_rows<B, 5>(w, x, out, c_count, o, so, sc, sign);
        for (; o + 4 <= c_count; o += 4) complex_rows<B, 4>(w, x, out, c_count, o, so, sc, sign);
        for (; o < c_count; o++) complex_rows<B, 1>(w, x, out, c_count, o, so, sc, sign);
        w += 2 * c_count * c_count;
        x += 2 * c_count * B;
        out += 2 * c_count * B;
    }
}

// dw[o,c] = sum over steps and batch of d[o] conj(x[c]).
template <int B, int R, int Q>
inline void complex_outer(const float *const *x, const float *const *d, int64_t at, float *dw, int steps, int c_count, int o, int c) {
    V<B> re[R][Q], im[R][Q];
    for (int r = 0; r < R; r++)
        for (int q = 0; q < Q; q++) re[r][q] = im[r][q] = V<B>{};
    for (int s = 0; s < steps; s++) {
        const float *xs = x[s] + at, *ds = d[s] + at;
        V<B> xr[Q], xi[Q];
        for (int q = 0; q < Q; q++) {
            xr[q] = *(const V<B> *)(xs + (c + q) * B);
            xi[q] = *(const V<B> *)(xs + (c_count + c + q) * B);
        }
        for (int r = 0; r < R; r++) {
            V<B> dr = *(const V<B> *)(ds + (o + r) * B), di = *(const V<B> *)(ds + (c_count + o + r) * B);
            for (int q = 0; q < Q; q++) {
                re[r][q] += dr * xr[q];
                re[r][q] += di * xi[q];
                im[r][q] += di * xr[q];
                im[r][q] -= dr * xi[q];
            }
        }
    }
    for (int r = 0; r < R; r++)
        for (int q = 0; q < Q; q++) {
            dw[(o + r) * c_count + c + q] = lane_sum<B>(re[r][q]);
            dw[c_count * c_count + (o + r) * c_count + c + q] = lane_sum<B>(im[r][q]);
        }
}

template <int B>
void complex_grad(const float *const *x, const float *const *d, float *dw, int64_t f_count, int steps, int c_count) {
    for (int64_t f = 0; f < f_count; f++) {
        int64_t at = f * 2 * c_count * B;
        int o = 0;
        if (c_count % 5 == 0)
            for (; o < c_count; o += 5) {
                int c = 0;
                for (; c + 2 <= c_count; c += 2) complex_outer<B, 5, 2>(x, d, at, dw, steps, c_count, o, c);
                for (; c < c_count; c++) complex_outer<B, 5, 1>(x, d, at, dw, steps, c_count, o, c);
            }
        for (; o + 4 <= c_count; o += 4) {
            int c = 0;
            for (; c + 2 <= c_count; c += 2) complex_outer<B, 4, 2>(x, d, at, dw, steps, c_count, o, c);
            for (; c < c_count; c++) complex_outer<B, 4, 1>(x, d, at, dw, steps, c_count, o, c);
        }
        for (; o < c_count; o++)
            for (int c = 0; c < c_count; c++) complex_outer<B, 1, 1>(x, d, at, dw, steps, c_count, o, c);
        dw += 2 * c_count * c_count;
    }
}

// out[n,o] = sum_c w[o,c] x[n,c], real, one matrix for all n.
template <int B, int R> inline void real_rows(const float *w, const float *x, float *out, int c_count, int o, int so, int sc) {
    V<B> acc[R];
    for (int r = 0; r < R; r++) acc[r] = V<B>{};
    for (int c = 0; c < c_count; c++) {
        V<B> xc = *(const V<B> *)(x + c * B);
        for (int r = 0; r < R; r++) acc[r] += w[(o + r) * so + c * sc] * xc;
    }
    for (int r = 0; r < R; r++) *(V<B> *)(out + (o + r) * B) = acc[r];
}

template <int B> void real_mix(const float *w, const float *x, float *out, int64_t n_count, int c_count, bool transposed) {
    int so = transposed ? 1 : c_count, sc = transposed ? c_count : 1;
    for (int64_t n = 0; n < n_count; n++) {
        int o = 0;
        for (; o + 9 <= c_count; o += 8) real_rows<B, 8>(w, x, out, c_count, o, so, sc);
        for (; o < c_count; o++) real_rows<B, 1>(w, x, out, c_count, o, so, sc);
        x += c_count * B;
        out += c_count * B;
    }
}

// dw[o,c] += sum over n and batch of d[n,o] x[n,c]; blocks of n stay in the first caches.
template <int B, int R, int Q>
inline void real_outer(const float *x, const float *d, float *dw, int n_count, int c_count, int o, int c) {
    V<B> acc[R][Q];
    for (int r = 0; r < R; r++)
        for (int q = 0; q < Q; q++) acc[r][q] = V<B>{};
    for (int n = 0; n < n_count; n++) {
        const float *xn = x + (int64_t)n * c_count * B, *dn = d + (int64_t)n * c_count * B;
        V<B> xq[Q];
        for (int q = 0; q < Q; q++) xq[q] = *(const V<B> *)(xn + (c + q) * B);
        for (int r = 0; r < R; r++) {
            V<B> dr = *(const V<B> *)(dn + (o + r) * B);
            for (int q = 0; q < Q; q++) acc[r][q] += dr * xq[q];
        }
    }
    for (int r = 0; r < R; r++)
        for (int q = 0; q < Q; q++) dw[(o + r) * c_count + c + q] += lane_sum<B>(acc[r][q]);
}

template <int B> void real_grad(const float *x, const float *d, float *dw, int64_t n_count, int c_count) {
    const int64_t block = 64;
    for (int i = 0; i < c_count * c_count; i++) dw[i] = 0;
    for (int64_t n = 0; n < n_count; n += block) {
        int count = (int)(n_count - n < block ? n_count - n : block);
        const float *xn = x + n * c_count * B, *dn = d + n * c_count * B;
        int o = 0;
        if (c_count % 5 == 0)
            for (; o < c_count; o += 5) {
                int c = 0;
                for (; c + 4 <= c_count; c += 4) real_outer<B, 5, 4>(xn, dn, dw, count, c_count, o, c);
                for (; c < c_count; c++) real_outer<B, 5, 1>(xn, dn, dw, count, c_count, o, c);
            }
        for (; o + 4 <= c_count; o += 4) {
            int c = 0;
            for (; c + 4 <= c_count; c += 4) real_outer<B, 4, 4>(xn, dn, dw, count, c_count, o, c);
            for (; c < c_count; c++) real_outer<B, 4, 1>(xn, dn, dw, count, c_count, o, c);
        }
        for (; o < c_count; o++)
            for (int c = 0; c < c_count; c++) real_outer<B, 1, 1>(xn, dn, dw, count, c_count, o, c);
    }
}

// The two-dimensional DFT of real pictures [n,n,cols] with odd period 2*half-1, as small matrix products. Positions count from the
// middle of the picture, so cosines need only the even part of a row and sines only the odd part: half the products along y, and a
// quarter along x, where +kx and -kx share theirs. Tables are [half, n/2]: cos and sin of 2 pi k (j - (n-1)/2) / period.
// WIDE 8-lane vectors of columns are handled together.
typedef V<8> V8;

// out[row] = sum_j table[row,j] panel[j] for 8*WIDE columns; rows is a multiple of 4
template <int WIDE> inline void product(const float *table, int rows, int depth, const float *panel, float *out) {
    constexpr int COLS = WIDE * 8;
    for (int row = 0; row < rows; row += 4) {
        V8 acc[4][WIDE];
        for (int r = 0; r < 4; r++)
            for (int w = 0; w < WIDE; w++) acc[r][w] = V8{};
        for (int j = 0; j < depth; j++) {
            V8 p[WIDE];
            for (int w = 0; w < WIDE; w++) p[w] = *(const V8 *)(panel + j * COLS + w * 8);
            for (int r = 0; r < 4; r++) {
                float t = table[(row + r) * depth + j];
                for (int w = 0; w < WIDE; w++) acc[r][w] += t * p[w];
            }
        }
        for (int r = 0; r < 4; r++)
            for (int w = 0; w < WIDE; w++) *(V8 *)(out + (row + r) * COLS + w * 8) = acc[r][w];
    }
}

// even[j] = in[j] + in[n-1-j], odd[j] = in[j] - in[n-1-j]
template <int WIDE> inline void fold(const float *in, int64_t stride, int n, float *even, float *odd) {
    constexpr int COLS = WIDE * 8;
    for (int j = 0; j < n / 2; j++)
        for (int w = 0; w < COLS; w += 8) {
            V8 a = *(const V8 *)(in + j * stride + w), b = *(const V8 *)(in + (n - 1 - j) * stride + w);
            *(V8 *)(even + j * COLS + w) = a + b;
            *(V8 *)(odd + j * COLS + w) = a - b;
        }
}

template <int WIDE> inline void unfold(const float *even, const float *odd, int64_t stride, int n, float *out) {
    constexpr int COLS = WIDE * 8;
    for (int j = 0; j < n / 2; j++)
        for (int w = 0; w < COLS; w += 8) {
            V8 e = *(const V8 *)(even + j * COLS + w), o = *(const V8 *)(odd + j * COLS + w);
            *(V8 *)(out + j * stride + w) = e + o;
            *(V8 *)(out + (n - 1 - j) * stride + w) = e - o;
        }
}

constexpr int MOST = 128;  // largest n, and largest 2*half
template <int WIDE> struct Panels {
    static constexpr int COLS = WIDE * 8;
    alignas(64) float a[MOST / 2 * COLS], b[MOST / 2 * COLS], c[MOST / 2 * COLS], d[MOST / 2 * COLS];
    alignas(64) float e[MOST / 2 * COLS], f[MOST / 2 * COLS], g[MOST / 2 * COLS], h[MOST / 2 * COLS];
};

// value [n,n,cols] -> out [half, 2*half-1, 2, cols]; scratch [half,2,n,cols].
template <int WIDE>
void forward(const float *value, float *out, float *scratch, const float *y_cos, const float *y_sin, const float *x_cos,
                const float *x_sin, int n, int half, int cols) {
    constexpr int COLS = WIDE * 8;
    static thread_local Panels<WIDE> t;
    int period = 2 * half - 1;
    int64_t row = (int64_t)n * cols;
    for (int x = 0; x < n; x++)
        for (int col = 0; col < cols; col += COLS) {
            fold<WIDE>(value + (int64_t)x * cols + col, row, n, t.a, t.b);
            product<WIDE>(y_cos, half, n / 2, t.a, t.c);
            product<WIDE>(y_sin, half, n / 2, t.b, t.d);
            for (int k = 0; k < half; k++) {
                float *re = scratch + 2 * k * row + (int64_t)x * cols + col, *im = re + row;
                for (int w = 0; w < COLS; w += 8) {
                    *(V8 *)(re + w) = *(const V8 *)(t.c + k * COLS + w);
                    *(V8 *)(im + w) = -*(const V8 *)(t.d + k * COLS + w);
                }
            }
        }
    for (int k = 0; k < half; k++)
        for (int col = 0; col < cols; col += COLS) {
            const float *re = scratch + 2 * k * row + col;
            fold<WIDE>(re, cols, n, t.a, t.b);
            fold<WIDE>(re + row, cols, n, t.c, t.d);
            product<WIDE>(x_cos, half, n / 2, t.a, t.e);
            product<WIDE>(x_sin, half, n / 2, t.d, t.f);
            product<WIDE>(x_cos, half, n / 2, t.c, t.g);
            product<WIDE>(x_sin, half, n / 2, t.b, t.h);
            float *base = out + (int64_t)k * period * 2 * cols + col;
            for (int kx = 0; kx < half; kx++) {
                float *plus = base + (int64_t)kx * 2 * cols, *minus = base + (int64_t)(kx ? period - kx : 0) * 2 * cols;
                for (int w = 0; w < COLS; w += 8) {
                    int at = kx * COLS + w;
                    V8 a = *(V8 *)(t.e + at), b = *(V8 *)(t.f + at), c = *(V8 *)(t.g + at), d = *(V8 *)(t.h + at);
                    *(V8 *)(minus + w) = a - b;
                    *(V8 *)(minus + cols + w) = c + d;
                    *(V8 *)(plus + w) = a + b;
                    *(V8 *)(plus + cols + w) = c - d;
                }
            }
        }
}

// The adjoint: spectrum [half, 2*half-1, 2, cols] -> value [n,n,cols].
template <int WIDE>
void adjoint(const float *spectrum, float *value, float *scratch, const float *y_cos, const float *y_sin, const float *x_cos,
                const float *x_sin, int n, int half, int cols) {  // tables transposed: [n/2, half]
    constexpr int COLS = WIDE * 8;
    static thread_local Panels<WIDE> t;
    int period = 2 * half - 1;
    int64_t row = (int64_t)n * cols;
    for (int k = 0; k < half; k++)
        for (int col = 0; col < cols; col += COLS) {
            const float *base = spectrum + (int64_t)k * period * 2 * cols + col;
            for (int kx = 0; kx < half; kx++) {
                const float *plus = base + (int64_t)kx * 2 * cols, *minus = base + (int64_t)(kx ? period - kx : 0) * 2 * cols;
                float there = kx ? 1.f : 0.f;
                for (int w = 0; w < COLS; w += 8) {
                    V8 pr = *(const V8 *)(plus + w), pi = *(const V8 *)(plus + cols + w);
                    V8 mr = there * *(const V8 *)(minus + w), mi = there * *(const V8 *)(minus + cols + w);
                    int at = kx * COLS + w;
                    *(V8 *)(t.a + at) = pr + mr;
                    *(V8 *)(t.b + at) = pr - mr;
                    *(V8 *)(t.c + at) = pi + mi;
                    *(V8 *)(t.d + at) = mi - pi;
                }
            }
            product<WIDE>(x_cos, n / 2, half, t.a, t.e);
            product<WIDE>(x_sin, n / 2, half, t.b, t.f);
            product<WIDE>(x_cos, n / 2, half, t.c, t.g);
            product<WIDE>(x_sin, n / 2, half, t.d, t.h);
            float *re = scratch + 2 * k * row + col;
            unfold<WIDE>(t.e, t.h, cols, n, re);
            unfold<WIDE>(t.g, t.f, cols, n, re + row);
        }
    for (int x = 0; x < n; x++)
        for (int col = 0; col < cols; col += COLS) {
            for (int k = 0; k < half; k++) {
                const float *re = scratch + 2 * k * row + (int64_t)x * cols + col, *im = re + row;
                for (int w = 0; w < COLS; w += 8) {
                    *(V8 *)(t.a + k * COLS + w) = *(const V8 *)(re + w);
                    *(V8 *)(t.b + k * COLS + w) = -*(const V8 *)(im + w);
                }
            }
            product<WIDE>(y_cos, n / 2, half, t.a, t.c);
            product<WIDE>(y_sin, n / 2, half, t.b, t.d);
            unfold<WIDE>(t.c, t.d, row, n, value + (int64_t)x * cols + col);
        }
}

inline bool handled(int n, int half, int cols) { return n % 8 == 0 && half % 4 == 0 && cols % 8 == 0 && n <= MOST && 2 * half <= MOST; }

}  // namespace

extern "C" {

// Each returns 0, or 1 for sizes it does not handle.
int dft_forward(const float *value, float *out, float *scratch, const float *y_cos, const float *y_sin, const float *x_cos,
                const float *x_sin, int n, int half, int cols) {
    if (!handled(n, half, cols)) return 1;
    if (cols % 40 == 0) forward<5>(value, out, scratch, y_cos, y_sin, x_cos, x_sin, n, half, cols);
    else if (cols % 32 == 0) forward<4>(value, out, scratch, y_cos, y_sin, x_cos, x_sin, n, half, cols);
    else forward<1>(value, out, scratch, y_cos, y_sin, x_cos, x_sin, n, half, cols);
    return 0;
}

int dft_adjoint(const float *spectrum, float *value, float *scratch, const float *y_cos, const float *y_sin, const float *x_cos,
                const float *x_sin, int n, int half, int cols) {
    if (!handled(n, half, cols)) return 1;
    if (cols % 40 == 0) adjoint<5>(spectrum, value, scratch, y_cos, y_sin, x_cos, x_sin, n, half, cols);
    else if (cols % 32 == 0) adjoint<4>(spectrum, value, scratch, y_cos, y_sin, x_cos, x_sin, n, half, cols);
    else adjoint<1>(spectrum, value, scratch, y_cos, y_sin, x_cos, x_sin, n, half, cols);
    return 0;
}

// w [F,2,C,C], x and out [F,2,C,batch]; each returns 0, or 1 for a batch that is neither 8 nor 16.
int mix_complex(const float *w, const float *x, float *out, int64_t f, int c, int batch, int transposed) {
    if (batch == 8) complex_mix<8>(w, x, out, f, c, transposed);
    else if (batch == 16) complex_mix<16>(w, x, out, f, c, transposed);
    else return 1;
    return 0;
}

int mix_complex_grad(const float *const *x, const float *const *d, float *dw, int64_t f, int steps, int c, int batch) {
    if (batch == 8) complex_grad<8>(x, d, dw, f, steps, c);
    else if (batch == 16) complex_grad<16>(x, d, dw, f, steps, c);
    else return 1;
    return 0;
}

// w [C,C], x and out [N,C,batch].
int mix_real(const float *w, const float *x, float *out, int64_t n, int c, int batch, int transposed) {
    if (batch == 8) real_mix<8>(w, x, out, n, c, transposed);
    else if (batch == 16) real_mix<16>(w, x, out, n, c, transposed);
    else return 1;
    return 0;
}

int mix_real_grad(const float *x, const float *d, float *dw, int64_t n, int c, int batch) {
    if (batch == 8) real_grad<8>(x, d, dw, n, c);
    else if (batch == 16) real_grad<16>(x, d, dw, n, c);
    else return 1;
    return 0;
}
}
