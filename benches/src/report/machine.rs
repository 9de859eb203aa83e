//! What was measured on: processor, kernel, memory, date. Reads /proc; called by `loadgen bench` for the report.

use std::fs;
use std::process::Command;

/// Names and values for the head of the report; what cannot be found out is left out.
#[must_use]
pub fn facts() -> Vec<(String, String)> {
    let mut facts = Vec::new();
    let mut add = |name: &str, value: Option<String>| {
        if let Some(value) = value.filter(|v| !v.trim().is_empty()) {
            facts.push((name.to_owned(), value.trim().to_owned()));
        }
    };
    add("date", output("date", &["-u", "+%Y-%m-%d %H:%M UTC"]));
    let cores = std::thread::available_parallelism().map_or(0, std::num::NonZeroUsize::get);
    add(
        "processor",
        field("/proc/cpuinfo", "model name")
            .map(|model| format!("{model}, {cores} cores, shared by server and clients")),
    );
    add("memory", field("/proc/meminfo", "MemTotal"));
    add("kernel", output("uname", &["-sr"]));
    add("network", Some("loopback".to_owned()));
    facts
}

fn field(path: &str, name: &str) -> Option<String> {
    let text = fs::read_to_string(path).ok()?;
    let line = text.lines().find(|line| line.starts_with(name))?;
    Some(line.split_once(':')?.1.trim().to_owned())
}

fn output(program: &str, arguments: &[&str]) -> Option<String> {
    let output = Command::new(program).args(arguments).output().ok()?;
    Some(String::from_utf8_lossy(&output.stdout).trim().to_owned())
}
