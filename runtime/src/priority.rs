//! Who goes first when threads want the same processor.

use rustix::process::setpriority_process;

/// Niceness of threads that report: behind what answers frames, and far from starving.
const REPORTING: i32 = 10;

/// Lets the calling thread stand back behind those that answer frames. What it has to say is late rather than the next frame.
pub fn stand_back() {
    // On Linux the priority is the calling thread's own; lowering it needs no right.
    if let Err(error) = setpriority_process(None, REPORTING) {
        log::debug!("a reporting thread keeps its priority: {error}");
    }
}
