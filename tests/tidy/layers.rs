//! Who may do what: rules as absences, each with its reason, looked up in the source without tests.

use std::process::Command;

use crate::tree::{self, TextFile};

struct Rule {
    /// Folders, or files without `.rs`, that it binds. `a` binds `a.rs` and everything in `a/`.
    within: &'static [&'static str],
    /// Those that it does not bind.
    except: &'static [&'static str],
    /// What must not be in them.
    absent: &'static [&'static str],
    /// What may follow one of `absent` all the same.
    allowed: &'static [&'static str],
    reason: &'static str,
}

const RULES: &[Rule] = &[
    Rule {
        within: &["protocol/src"],
        // Made by a generator, behind a feature.
        except: &["protocol/src/control/client", "protocol/src/control/server"],
        absent: &[
            "tokio",
            "std::fs",
            "std::io",
            "std::net",
            "std::time",
            "std::thread",
            "std::env",
            "std::process",
            "rustix",
        ],
        allowed: &[],
        reason: "protocol turns bytes into values and back, and does nothing else",
    },
    Rule {
        within: &["shuffle-daemon/src"],
        except: &["shuffle-daemon/src/disk"],
        absent: &["rustix::fs"],
        // Of a file that disk has opened; and where a socket takes bytes from one.
        allowed: &["::fstat(", "::sendfile(stream.as_fd()"],
        reason: "only disk opens, reads and removes files that executors wrote",
    },
    Rule {
        within: &["shuffle-daemon/src"],
        except: &[
            "shuffle-daemon/src/app",
            "shuffle-daemon/src/auth/secret",
            "shuffle-daemon/src/config",
            "shuffle-daemon/src/control/socket",
            "shuffle-daemon/src/disk",
            "shuffle-daemon/src/prepare",
            "shuffle-daemon/src/registry/store",
            "shuffle-daemon/src/tls",
            "shuffle-daemon/src/state",
            "shuffle-daemon/src/sandbox",
        ],
        absent: &["std::fs"],
        allowed: &[],
        reason: "beside disk only settings, the state directory, certificates, secrets, the control socket and what the sandbox names are files of ours",
    },
    Rule {
        within: &["shuffle-daemon/src/net/egress"],
        except: &["shuffle-daemon/src/net/egress/socket"],
        absent: &["rustix::net", "rustix::fs"],
        allowed: &[],
        reason: "one file of egress calls the kernel",
    },
    Rule {
        within: &[
            "shuffle-daemon/src/handler",
            "shuffle-daemon/src/index",
            "shuffle-daemon/src/registry",
            "shuffle-daemon/src/streams",
        ],
        except: &[],
        absent: &[
            "tokio::net",
            "std::net",
            "rustix::net",
            "socket2",
            "hyper",
            "TcpStream",
        ],
        // Where a registration comes from is part of what it means.
        allowed: &["std::net::IpAddr", "::IpAddr"],
        reason: "handlers, and what they ask, never see a socket",
    },
    Rule {
        within: &[
            "shuffle-daemon/src/auth",
            "shuffle-daemon/src/cleanup",
            "shuffle-daemon/src/disk",
            "shuffle-daemon/src/index",
            "shuffle-daemon/src/k8s",
            "shuffle-daemon/src/registry",
            "shuffle-daemon/src/streams",
        ],
        except: &[],
        absent: &["crate::handler", "crate::net"],
        allowed: &[],
        reason: "what handlers and connections ask knows neither",
    },
    Rule {
        within: &["shuffle-daemon/src"],
        except: &["shuffle-daemon/src/runtime"],
        absent: &[
            "runtime::Builder",
            "Runtime::new",
            "new_current_thread",
            "new_multi_thread",
        ],
        allowed: &[],
        reason: "one file decides which threads serve what",
    },
    Rule {
        within: &["shuffle-daemon/src"],
        except: &[
            "shuffle-daemon/src/auth/secret/store",
            "shuffle-daemon/src/registry/store",
            "shuffle-daemon/src/state",
        ],
        absent: &["redb"],
        allowed: &[],
        reason: "one place knows how registrations are kept, one how secrets are, and one what both share",
    },
    Rule {
        within: &["shuffle-daemon/src"],
        except: &["shuffle-daemon/src/k8s"],
        absent: &["kube::", "k8s_openapi"],
        allowed: &[],
        reason: "one module talks to the API server",
    },
    Rule {
        within: &["shuffle-daemon/src/cleanup/policy"],
        except: &[],
        absent: &[
            "tokio",
            "std::fs",
            "crate::disk",
            "Instant",
            "SystemTime::now",
            "rustix",
        ],
        allowed: &[],
        reason: "what may be removed follows from arguments alone, so that it can be simulated",
    },
    Rule {
        within: &["executor-client/src"],
        except: &[],
        absent: &["shuffle_daemon", "std::fs", "rustix::fs"],
        allowed: &[],
        reason: "the client knows the wire, not the daemon or its files",
    },
];

/// Breaches of the rules.
pub(crate) fn check(files: &[TextFile]) -> Vec<String> {
    let mut findings = Vec::new();
    for rule in RULES {
        let mut bound = 0;
        for file in files.iter().filter(|file| binds(rule, file)) {
            bound += 1;
            for (number, line) in code(&file.text).enumerate() {
                if let Some(word) = breach(rule, line) {
                    let place = format!("{}:{}", file.path, number + 1);
                    findings.push(format!("{place}: {word}, but {}", rule.reason));
                }
            }
        }
        if bound == 0 {
            findings.push(format!("no file in {:?}; adapt {}", rule.within, file!()));
        }
    }
    findings
}

fn binds(rule: &Rule, file: &TextFile) -> bool {
    let covers = |name: &&str| file.is_in(name) || file.path.strip_suffix(".rs") == Some(name);
    file.has_extension("rs")
        && !file.is_test()
        && rule.within.iter().any(covers)
        && !rule.except.iter().any(covers)
}

/// The lines before the tests of a file; comments are empty.
fn code(text: &str) -> impl Iterator<Item = &str> {
    text.lines()
        .take_while(|line| line.trim() != "#[cfg(test)]")
        .map(|line| line.split("//").next().unwrap_or_default())
}

fn breach(rule: &Rule, line: &str) -> Option<&'static str> {
    let word_before = |at: usize| line[..at].ends_with(|c: char| c.is_alphanumeric() || c == '_');
    rule.absent.iter().copied().find(|word| {
        line.match_indices(word).any(|(at, _)| {
            let rest = &line[at + word.len()..];
            !word_before(at) && !rule.allowed.iter().any(|allowed| rest.starts_with(allowed))
        })
    })
}

/// Crates that do input or output and that `protocol` depends on, however far down.
pub(crate) fn dependencies() -> Vec<String> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let output = Command::new(cargo)
        .current_dir(tree::root())
        .args(["tree", "--offline", "--package", "protocol"])
        .args(["--edges", "normal", "--prefix", "none", "--format", "{p}"])
        .output()
        .expect("cargo runs this test");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "cargo tree: {said}");
    let text = String::from_utf8_lossy(&output.stdout);
    let names: Vec<&str> = text
        .lines()
        .filter_map(|line| line.split(' ').next())
        .collect();
    assert!(names.contains(&"protocol"), "cargo tree: {text}");
    let kept_out = [
        "tokio", "mio", "rustix", "libc", "socket2", "memmap2", "redb",
    ];
    let found = names.iter().filter(|name| kept_out.contains(name));
    found
        .map(|name| format!("protocol depends on {name}"))
        .collect()
}

#[test]
fn breaches_are_seen() {
    let rule = &RULES[1];
    assert!(breach(rule, "    rustix::fs::unlinkat(dir, name, flags)").is_some());
    assert!(breach(rule, "use rustix::fs::openat2;").is_some());
    assert!(breach(rule, "rustix::fs::fstat(&dir)").is_none());
    assert!(code("a\n// std::fs\n#[cfg(test)]\nstd::fs").all(|line| !line.contains("std::fs")));
}
