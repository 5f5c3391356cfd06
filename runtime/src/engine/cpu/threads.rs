//! How many threads compute.

use std::str::FromStr;

/// Most threads that can be asked for; no board of this class has as many processors.
const MOST: usize = 256;

/// Threads that compute, the caller's among them; by default one for every processor this process may use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Threads(usize);

impl Threads {
    /// The caller's alone.
    pub const ONE: Threads = Threads(1);

    /// The number, at least 1.
    pub fn get(self) -> usize {
        self.0
    }
}

impl Default for Threads {
    fn default() -> Threads {
        Threads(std::thread::available_parallelism().map_or(1, usize::from))
    }
}

impl FromStr for Threads {
    type Err = String;

    fn from_str(given: &str) -> Result<Threads, String> {
        match given.parse() {
            Ok(threads @ 1..=MOST) => Ok(Threads(threads)),
            _ => Err(format!("'{given}' threads cannot be had; write 1 to {MOST}, or leave it out for one on every usable processor")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_thread_or_many_but_not_none_and_not_absurdly_many() {
        for given in ["1", "2", "256"] {
            assert_eq!(given.parse::<Threads>().unwrap().get().to_string(), given);
        }
        for given in ["0", "257", "99999999999999999999", "-1", "two", ""] {
            assert!(given.parse::<Threads>().unwrap_err().contains("1 to 256"), "{given}");
        }
    }
}
