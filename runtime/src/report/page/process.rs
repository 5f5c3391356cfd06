//! The figures that Prometheus' client libraries tell of every process, under their usual names.

use std::fmt::Write;

/// Appends them. What `/proc` does not tell is left out.
pub fn text(out: &mut String) {
    let mut one = |name: &str, kind: &str, help: &str, value: Option<f64>| {
        if let Some(value) = value {
            let _ = writeln!(out, "# HELP process_{name} {help}\n# TYPE process_{name} {kind}\nprocess_{name} {value}");
        }
    };
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    // The second field is the program's name and may hold anything; behind it numbers follow.
    let fields: Vec<f64> =
        stat.rsplit_once(')').map_or("", |(_, rest)| rest).split_whitespace().skip(1).filter_map(|field| field.parse().ok()).collect();
    // SAFETY: plain questions to the C library.
    let (ticks, page) = unsafe { (libc::sysconf(libc::_SC_CLK_TCK) as f64, libc::sysconf(libc::_SC_PAGESIZE) as f64) };
    // Fields of proc(5) count from 1; the first here is its 4th.
    let field = |number: usize| fields.get(number - 4).copied();
    let cpu = field(14).zip(field(15)).map(|(user, system)| (user + system) / ticks);
    one("cpu_seconds_total", "counter", "User and system time of this process.", cpu);
    one("resident_memory_bytes", "gauge", "Memory of this process in RAM.", field(24).map(|pages| pages * page));
    one("virtual_memory_bytes", "gauge", "Address space of this process.", field(23));
    one("threads", "gauge", "Threads of this process.", field(20));
    let booted = std::fs::read_to_string("/proc/stat")
        .ok()
        .and_then(|stat| stat.lines().find_map(|line| line.strip_prefix("btime ")).and_then(|seconds| seconds.trim().parse::<f64>().ok()));
    let started = booted.zip(field(22)).map(|(booted, since)| booted + since / ticks);
    one("start_time_seconds", "gauge", "When this process was started, since 1970.", started);
    let open = std::fs::read_dir("/proc/self/fd").ok().map(|entries| entries.count() as f64);
    one("open_fds", "gauge", "Open descriptors.", open);
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_kernel_tells_this_process_what_it_uses() {
        let mut text = String::new();
        super::text(&mut text);
        let value = |name: &str| -> f64 {
            let line = text.lines().find(|line| line.starts_with(&format!("process_{name} "))).expect(name);
            line.rsplit_once(' ').unwrap().1.parse().unwrap()
        };
        assert!(value("resident_memory_bytes") > 1e6 && value("virtual_memory_bytes") > value("resident_memory_bytes"));
        assert!(value("open_fds") >= 3.0 && value("threads") >= 1.0 && value("start_time_seconds") > 1.6e9);
        assert!((0.0..1e6).contains(&value("cpu_seconds_total")));
    }
}
