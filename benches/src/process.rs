//! What the kernel says about a process: processor time, resident memory, threads. Reads /proc; never changes anything.
//! Used by `load`, which measures servers, and by the memory rows.

use std::fs;

use anyhow::{Context, Result};
use rustix::time::{ClockId, clock_gettime};

/// Seconds of processor time that `pid` has used in user and kernel mode, all threads, also ended ones
/// (`/proc/<pid>/stat`, resolution 10 ms).
///
/// # Errors
/// When there is no such process.
pub fn cpu_seconds(pid: u32) -> Result<f64> {
    let path = format!("/proc/{pid}/stat");
    let stat = fs::read_to_string(&path).with_context(|| format!("read {path}"))?;
    // The command's name, in parentheses, may hold blanks; fields are counted after it. utime and stime are 14 and 15.
    let after_name = stat.rsplit_once(')').map_or("", |(_, rest)| rest);
    let ticks: u64 = after_name
        .split_whitespace()
        .skip(11)
        .take(2)
        .filter_map(|f| f.parse::<u64>().ok())
        .sum();
    #[expect(
        clippy::cast_precision_loss,
        reason = "a sum of ticks is far below 2^52"
    )]
    Ok(ticks as f64 / TICKS_PER_SECOND)
}

/// Seconds of processor time that this process has used.
#[must_use]
pub fn own_cpu_seconds() -> f64 {
    let time = clock_gettime(ClockId::ProcessCPUTime);
    #[expect(
        clippy::cast_precision_loss,
        reason = "seconds of processor time are few"
    )]
    let seconds = time.tv_sec as f64 + time.tv_nsec as f64 / 1e9;
    seconds
}

/// Memory of a process in bytes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Memory {
    /// Resident now (`VmRSS`).
    pub resident: u64,
    /// Resident at most (`VmHWM`).
    pub resident_max: u64,
}

/// The memory of `pid`.
///
/// # Errors
/// When there is no such process.
pub fn memory(pid: u32) -> Result<Memory> {
    let path = format!("/proc/{pid}/status");
    let status = fs::read_to_string(&path).with_context(|| format!("read {path}"))?;
    let kib = |name: &str| -> u64 {
        let line = status.lines().find_map(|line| line.strip_prefix(name));
        line.and_then(|rest| rest.split_whitespace().next())
            .and_then(|n| n.parse().ok())
            .unwrap_or(0)
    };
    Ok(Memory {
        resident: kib("VmRSS:") << 10,
        resident_max: kib("VmHWM:") << 10,
    })
}

/// `USER_HZ`, 100 on every Linux architecture that Rust runs on.
const TICKS_PER_SECOND: f64 = 100.0;

#[cfg(test)]
mod tests {
    use super::{cpu_seconds, memory, own_cpu_seconds};

    #[test]
    fn this_process_uses_time_and_memory() {
        let before = own_cpu_seconds();
        let mut sum = 0_u64;
        while own_cpu_seconds() - before < 0.05 {
            sum = std::hint::black_box(sum + 1);
        }
        assert!(cpu_seconds(std::process::id()).unwrap() >= 0.04);
        let memory = memory(std::process::id()).unwrap();
        assert!(memory.resident > 100_000 && memory.resident_max >= memory.resident);
    }

    #[test]
    fn a_process_that_is_not_there_is_an_error() {
        assert!(cpu_seconds(u32::MAX).is_err());
        assert!(memory(u32::MAX).is_err());
    }
}
