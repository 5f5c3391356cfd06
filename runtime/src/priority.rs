//! Who goes first when threads want the same processor.

/// Niceness of threads that report: behind what answers frames, and far from starving.
const REPORTING: libc::c_int = 10;

/// Lets the calling thread stand back behind those that answer frames. What it has to say is late rather than the next frame.
pub fn stand_back() {
    // SAFETY: no memory is involved. On Linux the priority is the calling thread's own; lowering it needs no right and cannot fail.
    unsafe { libc::setpriority(libc::PRIO_PROCESS, 0, REPORTING) };
}
