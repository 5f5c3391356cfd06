//! A context lost on a real device: an instruction that traps leaves an error behind which every later call returns.

use std::ffi::c_void;
use std::time::{Duration, Instant};

use cudarc::driver::sys;
use recslowfast::backoff::Backoff;
use recslowfast::network::engine::Engine;
use serde_json::json;

use crate::faults::{LAUNCH_FAILED, answer, close, expected, fail, live, resilient, tiny};

/// For Ampere and newer.
const TRAP: &std::ffi::CStr = c".version 7.4
.target sm_80
.address_size 64
.visible .entry plant() { trap; }
";

/// Loses the first device's primary context, and says what the driver made of it.
fn plant() -> String {
    if live().is_some() {
        fail(1, LAUNCH_FAILED, true);
        return "the stand-in was told to fail".into();
    }
    let (mut context, mut module, mut function) = (std::ptr::null_mut(), std::ptr::null_mut(), std::ptr::null_mut());
    // SAFETY: live locals; the engine under test has started the driver; the kernel takes nothing.
    unsafe {
        let ready = |code: sys::CUresult| assert!(code.result().is_ok(), "{code:?}");
        ready(sys::cuDevicePrimaryCtxRetain(&mut context, 0));
        ready(sys::cuCtxSetCurrent(context));
        ready(sys::cuModuleLoadData(&mut module, TRAP.as_ptr().cast::<c_void>()));
        ready(sys::cuModuleGetFunction(&mut function, module, c"plant".as_ptr()));
        let launched = sys::cuLaunchKernel(function, 1, 1, 1, 1, 1, 1, 0, std::ptr::null_mut(), std::ptr::null_mut(), std::ptr::null_mut());
        let ended = sys::cuCtxSynchronize();
        // What the engine still holds is now all there is.
        let released = sys::cuDevicePrimaryCtxRelease_v2(0);
        format!("launching {launched:?}, waiting {ended:?}, releasing {released:?}")
    }
}

#[test]
#[ignore = "run by tests/gpu/run"]
fn a_lost_context() {
    let network = tiny();
    let soon = Backoff::new(Duration::from_millis(50), Duration::from_millis(200));
    let mut engine = resilient(&network, soon);
    answer(&mut engine, 0);
    assert_eq!(engine.name(), "cuda");
    let planted = plant();
    let (_, logits) = answer(&mut engine, 1);
    let (on, right) = (engine.name(), close(&expected(&network, &[1]).1, &logits));
    if live().is_some() {
        fail(0, 0, false);
    }
    let began = Instant::now();
    let back = (0..250).find(|&frame| {
        std::thread::sleep(Duration::from_millis(20));
        answer(&mut engine, frame);
        engine.name() == "cuda"
    });
    let again = back.map(|back| close(&expected(&network, &[back, back + 1]).1, &answer(&mut engine, back + 1).1));
    let line = json!({
        "planted": planted,
        "next_frame_by": on,
        "next_frame_right": right,
        "gpu_back_after_ms": back.map(|_| began.elapsed().as_millis()),
        "right_after_that": again,
        "failures": engine.failures(),
    });
    println!("{line}");
}
