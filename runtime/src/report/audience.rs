//! Whether anybody looks at pictures just now, so that none are made for nobody.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use crate::clock;

/// Somebody who looked so long ago is taken to be looking still.
const ATTENTION: Duration = Duration::from_secs(3);
/// In place of a time: somebody looks always.
const ALWAYS: u64 = u64::MAX;

/// Who looks at a sink's pictures. Every clone is the same audience.
#[derive(Clone, Debug)]
pub struct Audience(Arc<AtomicU64>);

impl Audience {
    /// One that always looks.
    pub fn always() -> Audience {
        Audience(Arc::new(AtomicU64::new(ALWAYS)))
    }

    /// One of which nobody has looked yet.
    pub fn on_demand() -> Audience {
        Audience(Arc::new(AtomicU64::new(0)))
    }

    /// Somebody looks now.
    pub fn looked(&self) {
        self.0.store(clock::now().as_millis() as u64, Ordering::Relaxed);
    }

    /// The viewers need no further picture for now.
    pub fn satisfied(&self) {
        if self.0.load(Ordering::Relaxed) != ALWAYS {
            self.0.store(0, Ordering::Relaxed);
        }
    }

    /// Whether somebody looks.
    pub fn looks(&self) -> bool {
        match self.0.load(Ordering::Relaxed) {
            ALWAYS => true,
            0 => false,
            at => clock::now().saturating_sub(Duration::from_millis(at)) < ATTENTION,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_looks_until_somebody_has() {
        assert!(Audience::always().looks());
        let audience = Audience::on_demand();
        assert!(!audience.looks());
        audience.clone().looked();
        assert!(audience.looks());
        audience.satisfied();
        assert!(!audience.looks());
    }
}
