//! Planted mistakes in the kernels: each must make the tests that pass without it fail.

use std::path::PathBuf;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::standin::{self, AMPERE, Build};

struct Mutant {
    what: &'static str,
    file: &'static str,
    from: &'static str,
    to: &'static str,
    /// Only an access outside a buffer gives it away.
    sanitized: bool,
    /// It is planted in what is compiled for a network.
    compiled: bool,
}

const fn mutant(what: &'static str, file: &'static str, from: &'static str, to: &'static str) -> Mutant {
    Mutant { what, file, from, to, sanitized: false, compiled: false }
}

const fn outside(what: &'static str, file: &'static str, from: &'static str, to: &'static str) -> Mutant {
    Mutant { what, file, from, to, sanitized: true, compiled: false }
}

/// In the kernels that are compiled for a network, wherever in their source.
const fn compiled(what: &'static str, from: &'static str, to: &'static str) -> Mutant {
    Mutant { what, file: COMPILED, from, to, sanitized: false, compiled: true }
}

const CONV: &str = "conv_mma.cu";
const SPECTRA: &str = "conv_fft.cu";
const CAMERA: &str = "camera.cu";
const POINT: &str = "pointwise.cu";
const DECIDE: &str = "decide.cu";
const CHAIN: &str = "chain.cu";
const MEASURE: &str = "measure.cu";
const COMPILED: &str = "compiled.cu";
const SPATIAL: &str = "spatial.cu";
const ACROSS: &str = "across.cu";
const FRAME: &str = "frame.cu";
const TILES: &str = "tiles.cu";
const PRELUDE: &str = "prelude.cu";

const MUTANTS: [Mutant; 109] = [
    mutant("no barrier after the tile is loaded", CONV, "copies_done();\n    __syncthreads();", "copies_done();"),
    mutant("asynchronous copies not waited for", CONV, "    copies_done();\n", ""),
    mutant("the tile's last row not loaded", CONV, "r < p.tile_h;", "r < p.tile_h - 1;"),
    mutant("surroundings not zero", CONV, " else to[j] = 0;", ""),
    mutant("columns right of the picture taken from the next row", CONV, "x >= 0 && x < row_words", "x >= 0"),
    outside("rows below the picture read", CONV, "y >= 0 && y < p.in.h", "y >= 0"),
    outside(
        "rows below the picture written",
        CONV,
        "    const int y = y_warp + (lane >> 2);\n    if (y >= p.oh) return;",
        "    const int y = y_warp + (lane >> 2);",
    ),
    mutant(
        "columns right of the picture written",
        CONV,
        "            if (x >= p.ow) continue;\n            Place<4> at;",
        "            Place<4> at;",
    ),
    mutant("fragment words in the wrong order", CONV, "a[i][1] = q[pixel]; a[i][2] = q[4];", "a[i][2] = q[pixel]; a[i][1] = q[4];"),
    mutant("weights one step late", CONV, "w + (long)done * fragment", "w + (long)(done - 1) * fragment"),
    mutant("dilation of rows forgotten", CONV, "ky * p.dilation_y * p.pitch", "ky * p.pitch"),
    mutant("stride of columns forgotten", CONV, "const int pixel = p.stride_x * words;", "const int pixel = words;"),
    outside("channels beyond the tensor written", CONV, "at.on[n] = at.channel[n] < p.out_cs;", "at.on[n] = true;"),
    mutant("the stop flag ignored", CONV, "    if (*(const int*)p.skip) return;\n", ""),
    mutant("a spectrum told apart wrongly", SPECTRA, "half * (m.x - z.x)", "half * (z.x - m.x)"),
    mutant("no barrier between passes of a transform", SPECTRA, "        }\n    }\n    __syncthreads();\n}", "        }\n    }\n}"),
    mutant("the mirrored half not restored", SPECTRA, "if (lane > 0) m[", "if (lane > 1) m["),
    mutant("digits swapped twice", SPECTRA, "twiddles[(digit * k) & 63]", "twiddles[(digit * k) & 31]"),
    outside("tiles written beyond the picture", SPECTRA, "? 0 : p.oh - y0 < p.valid_y ? p.oh - y0 : p.valid_y;", "? 0 : p.valid_y;"),
    mutant("rows of a tile below the picture measured", SPECTRA, "((p.oh - y0 < p.valid_y ? p.oh - y0 : p.valid_y) *", "(p.valid_y *"),
    mutant("deviations from 0 for deviations from the mean", SPECTRA, "if (!pass) mean = make_float2(sum.x / n, sum.y / n);", ""),
    mutant("one tile's pixels told of", SPECTRA, "((float*)to.counts)[tile] = n;", "((float*)to.counts)[0] = n;"),
    mutant("groups forgotten", "conv_scalar.cu", "channel / p.group_out * p.group_in", "0"),
    mutant("the second of two channels in the first one's group", "conv_scalar.cu", "second / p.group_out", "channel / p.group_out"),
    mutant("a depthwise weight of its neighbour", "conv_scalar.cu", "sum[1] += v.y * weight.y;", "sum[1] += v.y * weight.x;"),
    outside("pairs of channels beyond the last pixel made", "conv_scalar.cu", "    if (item >= (long)p.oh * p.ow * pairs) return;\n", ""),
    mutant("no barrier before sums are read", "stats.cu", "    __syncthreads();\n    if (row == 0) {", "    if (row == 0) {"),
    mutant("the ticket not returned", MEASURE, "    if (t == 0) *(u32*)p.ticket = 0;\n", ""),
    mutant("the last part counted as a full one", MEASURE, ": of * counts[b];", ": of * counts[0];"),
    mutant(
        "no barrier between the sums of two passes",
        MEASURE,
        "    __syncthreads();\n    if ((threadIdx.x & 31) == 0) of[",
        "    if ((threadIdx.x & 31) == 0) of[",
    ),
    mutant("the origin forgotten", "stats.cu", "origin[k] + sum / n", "sum / n"),
    mutant("blocks of one group of threads alone merged", MEASURE, "for (int g = 0; g < groups; g++)", "for (int g = 0; g < 1; g++)"),
    mutant(
        "nothing told while there is no answer",
        FRAME,
        "KERNEL(256) export_planes(PlaneArgs p) {\n    tell_host(p.control, p.report, p.told);\n    if (*(const int*)p.skip) return;\n",
        "KERNEL(256) export_planes(PlaneArgs p) {\n    if (*(const int*)p.skip) return;\n    tell_host(p.control, p.report, p.told);\n",
    ),
    mutant("the padding channel counted", CHAIN, "        if (channel + side >= channels) continue;\n", ""),
    mutant("half a warp summed", DECIDE, "for (int o = 16; o; o >>= 1)", "for (int o = 8; o; o >>= 1)"),
    mutant("no barrier after the prologue", POINT, "if (round == 0 && prologue_rounds) __syncthreads();", ""),
    mutant("the minimum of steps off by one", DECIDE, "steps >= c->min", "steps > c->min"),
    mutant("a surprise leaves the path as it was", DECIDE, "        c->cap = c->slow_cap;\n", ""),
    mutant(
        "the floor of a slow frame not left behind",
        DECIDE,
        "if (c->slow) c->floor_now = c->floor;",
        "if (c->slow) c->floor_now = c->floor_now;",
    ),
    mutant("the floor held down for ever", DECIDE, "c->floor_now * FLOOR_RISE, distance", "c->floor_now, distance"),
    mutant("a cut taken for a scene that goes on", FRAME, "c->drive_distance > order->cut", "c->drive_distance < order->cut"),
    mutant("rest confused with movement", "frame.cu", "c->drive_distance < order->zero", "c->drive_distance > order->zero"),
    mutant("the padding channel of the input not zero", "frame.cu", ": 0.0f;", ": 1.0f / 0.0f;"),
    mutant(
        "halves of a packed spectrum exchanged",
        SPECTRA,
        "f2h(v.x) | ((u32)f2h(v.y) << 16); else",
        "f2h(v.y) | ((u32)f2h(v.x) << 16); else",
    ),
    mutant("windows of a pool not padded", SPATIAL, "oy * p.stride_y - p.pad_y + ky", "oy * p.stride_y + ky"),
    mutant("padding counted in a mean that leaves it out", SPATIAL, "p.divisor ? p.divisor : taps", "p.kh * p.kw"),
    mutant("the largest of none but positive values", SPATIAL, "most = -infinity();", "most = 0.0f;"),
    mutant(
        "rows and columns of a group of pixels exchanged",
        SPATIAL,
        "(y % p.stride_y * p.stride_x + x % p.stride_x)",
        "(x % p.stride_x * p.stride_x + y % p.stride_y)",
    ),
    mutant("channels of a block in the other order", SPATIAL, "* p.kh + channel * p.kw", "* p.kw + channel * p.kh"),
    mutant("pixels of a block in the other order", SPATIAL, "place / p.stride_x, x =", "place % p.stride_x, x ="),
    mutant("what a transposed convolution cuts off not cut", SPATIAL, "oy + p.pad_y, x = ox + p.pad_x", "oy, x = ox"),
    mutant("channels beyond the first warp's forgotten", ACROSS, "c < p.in.c; c += 32", "c < p.in.c && c < 8; c += 32"),
    mutant("half a warp reduced", ACROSS, "for (int o = 16; o; o >>= 1)", "for (int o = 8; o > 1; o >>= 1)"),
    mutant(
        "the greatest taken for the least",
        ACROSS,
        "value = p.kind == ACROSS_GREATEST ? fmaxf(value, other)",
        "value = p.kind == ACROSS_LEAST ? fmaxf(value, other)",
    ),
    mutant("the sum of squares a sum", ACROSS, "value += x * x;", "value += x;"),
    mutant("a mean not divided", ACROSS, "value * p.scale", "value"),
    outside("pixels beyond the last reduced", ACROSS, "    if (pixel >= (long)p.in.h * p.in.w) return;\n", ""),
    mutant("halves rounded away from 0", CHAIN, "rintf(x)", "roundf(x)"),
    mutant("the other logarithm", CHAIN, "logf(x)", "log2f(x)"),
    mutant("base and exponent exchanged", CHAIN, "powf(x, y)", "powf(y, x)"),
    mutant("powers of positive numbers alone", CHAIN, "powf(x, y)", "expf(y * logf(x))"),
    mutant("what is no number left in the channel beyond the last", CHAIN, "channel + 1 < channels ? y : 0.0f", "y"),
    mutant("a choice turned round", CHAIN, "x > 0.0f ? y : 0.0f", "x > 0.0f ? 0.0f : y"),
    mutant("a comparison turned round", CHAIN, "x < y ? 1.0f : 0.0f", "x > y ? 1.0f : 0.0f"),
    mutant("the second sample of a row forgotten", SPATIAL, "column.second_weight * b", "column.second_weight * a"),
    outside("values beyond the last pixel written", SPATIAL, "    if (at >= (long)p.oh * p.ow * p.out_cs) return;\n", ""),
    mutant("a pixel below the threshold shown", FRAME, "probability > ((const", "probability < ((const"),
    mutant("the last class never taken", FRAME, "for (int c = 2; c < p.logits.c; c++) {", "for (int c = 2; c < p.logits.c - 1; c++) {"),
    mutant("no barrier before columns are weighed", CAMERA, "    __syncthreads();\n", ""),
    mutant("the picture's last column forgotten", CAMERA, "p.column_taps - first;", "p.column_taps - first - 1;"),
    mutant("columns weighed from the first of the tensor", CAMERA, "starts[x - p.left] - first", "starts[x - p.left]"),
    mutant(
        "the padding of chroma rows forgotten",
        CAMERA,
        "(long)(y / 2) * p.stride + x / 2 * 2",
        "(long)(y / 2) * p.tensor.w + x / 2 * 2",
    ),
    mutant("borders not black", CAMERA, "shown && x >= from && x < to", "shown"),
    mutant("greens of a mosaic at the wrong places", CAMERA, "at_red == 0 || at_red == 3;", "at_red == 0;"),
    mutant("what stands still made all the same", PRELUDE, "return !any;", "return false;"),
    mutant("what stands still made again, and what moved left alone", PRELUDE, "return !any;", "return any;"),
    mutant("the last pixel of a block left alone", PRELUDE, "i < rows * columns; i", "i < rows * columns - 1; i"),
    mutant("a row's reach one short", TILES, "row < rows.behind && !any", "row < rows.behind - 1 && !any"),
    mutant("a column's reach one short", TILES, "column < columns.behind; column++", "column < columns.behind - 1; column++"),
    mutant("no neighbour reached", TILES, "row = rows.first; row < rows.behind && !any", "row = rows.first; row < rows.first && !any"),
    mutant("a mask of several made of its first alone", TILES, "k < p.count && seen", "k < 1 && seen"),
    mutant("tiles of a transform reached by their first input alone", TILES, "i < (rows.behind - rows.first) * wide", "i < 1"),
    mutant("neighbours of what was accepted not told", TILES, "on ? MOVED | SPREADS : 0", "on ? MOVED : 0"),
    mutant("what is accepted not taken to the network's input", TILES, "        if (p.frame16) ((u16*)p.frame16)[at] = f2h(value);\n", ""),
    mutant("what the network saw not kept", TILES, "        ((float*)p.accepted)[at] = value;\n", ""),
    mutant("the noise of tiles never known", TILES, "control->learned = 1;", "control->learned = 0;"),
    mutant("noise that anything raises at once", TILES, "fminf(flicker, before * p.rise + 1e-3f)", "flicker"),
    mutant("another scene compared tile by tile", TILES, "forgotten || share > p.most", "forgotten"),
    mutant("a tile at the border as large as the others", TILES, "p.incoming.w - x < TILE ? p.incoming.w - x : TILE", "TILE"),
    mutant("a reset that forgets nothing", TILES, "control->whole = forgotten || control->dense;", "control->whole = control->dense;"),
    mutant("what moved in the drive never stepped", TILES, "s.when == FIRST_STEP ? c->steps == 0", "s.when == FIRST_STEP ? c->steps < 0"),
    mutant("what moved handed on in fp32 alone", TILES, "                if (p.to16) ((u16*)p.to16)[at] = f2h(value);\n", ""),
    mutant("the last pixel of a gate's block not handed on", TILES, "first + GATE_PIXELS : pixels;", "first + GATE_PIXELS - 1 : pixels;"),
    mutant("what still moves taken for still", DECIDE, "        c->moving_states = c->moving_next;\n", "        c->moving_states = 0;\n"),
    mutant(
        "a map of what was stepped for what moved",
        TILES,
        "((const u8*)p.changed)[tile] ? 1 : 0",
        "((const u8*)p.changed)[tile] ? 2 : 0",
    ),
    mutant("an earlier frame's steps told", TILES, "!p.has_step || control->steps > 0", "true"),
    mutant("no tile told of a step", TILES, "seen |= 2;", "seen |= 0;"),
    compiled("a chain behind a convolution left out", "        Chain::run(chain, at, v, m);\n", ""),
    compiled("sums of a chain behind a convolution left out", "        if (Chain::SUMS) end_sums(p.chain, m); ", "        ; "),
    compiled(
        "a chain run after the stop",
        "    if (*(const int*)p.skip) return;\n    const int channel_pairs = p.cs >> 1, tile",
        "    const int channel_pairs = p.cs >> 1, tile",
    ),
    compiled("a chain's second pair taken for its first", "base + k * PW_THREADS + threadIdx.x", "base + threadIdx.x"),
    compiled(
        "what stands still made again by a chain",
        "if (clean_run(p.part, base / channel_pairs",
        "if (false && clean_run(p.part, base / channel_pairs",
    ),
    compiled("a channel's vector read by the pair", "pair_of_vector(data, at.channel[k]))", "pair_of_vector(data, at.pair[k]))"),
    compiled("half of a warp measured", "for (int o = 4; o < 32; o <<= 1)", "for (int o = 4; o < 16; o <<= 1)"),
    compiled("one warp of a block measured", "for (int w = 1; w < p.warps_y * p.warps_x; w++)", "for (int w = 1; w < 1; w++)"),
    compiled("a thread's origin forgotten", "origin + sum / count", "sum / count"),
    compiled("means of unlike numbers merged alike", "b.count / r.count : 0.0f", "0.5f : 0.0f"),
    Mutant { sanitized: true, ..compiled("pairs beyond the last made", "at.on[k] = at.pair[k] < p.pairs;", "at.on[k] = true;") },
    mutant("a group of transformed tiles left alone for its first", SPECTRA, "k < count && rests", "k < 1 && rests"),
];

/// A copy of the kernels with the mistake in it.
fn plant(mutant: &Mutant, at: usize) -> PathBuf {
    let kernels = standin::package().join("src/engine/cuda/kernels");
    let copy = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(format!("mutant-{at}"));
    std::fs::create_dir_all(&copy).expect("the target folder can be written");
    for entry in std::fs::read_dir(kernels).expect("the kernels are there").flatten() {
        let mut text = std::fs::read_to_string(entry.path()).expect("kernels are text");
        if entry.file_name() == mutant.file {
            assert_eq!(text.matches(mutant.from).count(), 1, "'{}' does not name one place of {}", mutant.what, mutant.file);
            text = text.replace(mutant.from, mutant.to);
        }
        std::fs::write(copy.join(entry.file_name()), text).expect("the target folder can be written");
    }
    copy
}

/// A driver in which the mistake is, and the environment that shows it.
fn planted(mutant: &Mutant, at: usize) -> (PathBuf, Vec<(String, String)>) {
    let build = Build { sanitized: mutant.sanitized, ..AMPERE };
    let mut environment = if mutant.sanitized { standin::sanitizer_environment() } else { Vec::new() };
    if mutant.compiled {
        environment.extend(standin::compiling(build).expect("g++ was there a moment ago"));
        let more = [("STANDIN_PLANT_FROM", mutant.from), ("STANDIN_PLANT_TO", mutant.to), ("TEST_COMPILED", "1")];
        environment.extend(more.map(|(name, value)| (name.to_owned(), value.to_owned())));
        return (standin::folder(build).expect("g++ was there a moment ago"), environment);
    }
    let kernels = plant(mutant, at);
    (standin::build_at(build, &kernels, &kernels, "-O1").expect("g++ was there a moment ago"), environment)
}

/// What gave the mistake away, or `None`.
fn caught(mutant: &Mutant, at: usize) -> Option<String> {
    let (folder, around) = planted(mutant, at);
    let spectra = if matches!(mutant.file, SPECTRA | MEASURE) { "1" } else { "0" };
    let runs = [
        ("agreement::child_short", "1", "0"),
        ("agreement::child_rules", "0", "0"),
        ("agreement::child_labels", "0", "0"),
        ("agreement::child_short", "5", "1"),
    ];
    let pictures = [("camera::child_formats", "1", "0")];
    let moved = [
        ("tiles::child_exact", "1", "0"),
        ("tiles::child_exact", "5", "1"),
        ("tiles::child_rules", "0", "1"),
        ("tiles::child_switch", "0", "0"),
        ("tiles::child_work", "0", "0"),
    ];
    let runs = match mutant.file {
        CAMERA => pictures.to_vec(),
        TILES | PRELUDE => moved.to_vec(),
        CHAIN => runs.iter().chain(&[("elementwise::child_values", "1", "1")]).chain(&moved[..1]).copied().collect(),
        COMPILED => [("compiled::child_bits", "1", "0")].iter().chain(&runs[..2]).chain(&moved[4..]).copied().collect(),
        // The small networks' pictures are one tile of a transform.
        SPECTRA | MEASURE => runs.iter().chain(&[("agreement::child_reference", "1", "0")]).chain(&moved[..1]).copied().collect(),
        _ => runs.iter().chain(&moved[..1]).copied().collect(),
    };
    for (test, order, full) in runs {
        let mut environment = standin::borrowed(&around);
        environment.extend([
            ("STANDIN_ORDER", order),
            ("TEST_FULL", full),
            ("TEST_TRANSFORMS", spectra),
            ("TEST_FRAMES", "2"),
            ("GPU_WHOLE", "1"),
        ]);
        if let Err(text) = standin::try_run(&folder, test, &environment) {
            assert!(!text.contains("g++:") && !text.contains("STAND-IN:"), "'{}' is not planted:\n{text}", mutant.what);
            let telling = |line: &&str| {
                ["SHIM:", "ERROR:", "runtime error:", "differ", "moved", "steps", "convolutions", "took", "labelled"]
                    .iter()
                    .any(|word| line.contains(word))
            };
            let why = text.lines().filter(|line| !line.contains("measured:")).find(telling).unwrap_or("the test fails");
            return Some(why.chars().take(100).collect());
        }
    }
    None
}

#[test]
#[ignore = "takes minutes; run by the verb gpu"]
fn every_planted_mistake_is_caught() {
    // TEST_MUTANT: only those whose description has this in it.
    let wanted = std::env::var("TEST_MUTANT").unwrap_or_default();
    catch(&MUTANTS.iter().enumerate().filter(|(_, mutant)| mutant.what.contains(&wanted)).collect::<Vec<_>>());
}

/// What the gate has time for.
#[test]
#[ignore = "minutes of compiling and running; run by the verb standin"]
fn the_first_planted_mistake_of_each_kernel_file_is_caught() {
    let first = |at: usize| MUTANTS[..at].iter().all(|earlier| earlier.file != MUTANTS[at].file);
    catch(&MUTANTS.iter().enumerate().filter(|(at, _)| first(*at)).collect::<Vec<_>>());
}

fn catch(mutants: &[(usize, &Mutant)]) {
    if standin::folder(AMPERE).is_none() {
        return;
    }
    let next = AtomicUsize::new(0);
    let missed = Mutex::new(Vec::new());
    std::thread::scope(|scope| {
        for _ in 0..std::thread::available_parallelism().map_or(2, |n| n.get()) {
            scope.spawn(|| {
                loop {
                    let Some((at, mutant)) = mutants.get(next.fetch_add(1, Ordering::Relaxed)) else { return };
                    match caught(mutant, *at) {
                        Some(why) => println!("caught: {} [{why}]", mutant.what),
                        None => missed.lock().unwrap().push(mutant.what),
                    }
                }
            });
        }
    });
    let missed = missed.into_inner().unwrap();
    println!("measured: {} of {} planted mistakes caught", mutants.len() - missed.len(), mutants.len());
    assert!(missed.is_empty(), "not caught: {missed:?}");
}
