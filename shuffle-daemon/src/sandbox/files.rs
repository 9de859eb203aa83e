//! What the process may do to files (landlock(7), Linux 5.13).
//!
//! Every path that it opens after its start is below one of these. Directories that do not exist are
//! left out, and so cannot be used when they come later.

use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use landlock::{
    ABI, Access, AccessFs, BitFlags, Ruleset, RulesetAttr, RulesetCreatedAttr, RulesetStatus,
    Scope, path_beneath_rules,
};

use super::Holds;
use crate::config::Config;

/// What older kernels do not know is left out (`CompatLevel::BestEffort`).
const NEWEST: ABI = ABI::V6;
/// Name service, time zone, certificates of authorities; where random numbers and the number of
/// processors are.
const SYSTEM: [&str; 5] = ["/etc", "/dev/urandom", "/dev/null", "/proc", "/sys"];
/// Where Kubernetes mounts the token of a Pod, which it replaces now and then.
const SERVICE_ACCOUNT: &str = "/var/run/secrets/kubernetes.io/serviceaccount";
/// `/etc/resolv.conf` may be a link.
const RESOLVER: &str = "/etc/resolv.conf";

/// Paths, and what may be done below them.
fn rules(config: &Config) -> Vec<(PathBuf, BitFlags<AccessFs>)> {
    let read = AccessFs::ReadFile | AccessFs::ReadDir;
    let remove = AccessFs::RemoveFile | AccessFs::RemoveDir;
    let write = AccessFs::WriteFile | AccessFs::Truncate | AccessFs::MakeReg | AccessFs::MakeDir;
    let mut rules: Vec<_> = SYSTEM.iter().map(|path| (path.into(), read)).collect();
    if let Some(above) = std::fs::canonicalize(RESOLVER)
        .ok()
        .as_deref()
        .and_then(Path::parent)
    {
        rules.push((above.to_owned(), read));
    }
    rules.extend(
        config
            .roots
            .iter()
            .map(|root| (root.clone(), read | remove)),
    );
    if let Some(state) = &config.state_dir {
        rules.push((state.clone(), read | remove | write | AccessFs::Refer));
    }
    if let Some(control) = &config.control {
        if let Some(socket) = &control.socket {
            rules.push((above(socket), AccessFs::MakeSock | AccessFs::RemoveFile));
        }
        // Read again when they change, and then they may be other files.
        let tcp = control.tcp.iter();
        let files = tcp.flat_map(|tcp| [&tcp.cert, &tcp.key, &tcp.client_ca]);
        rules.extend(files.map(|file| (above(file), read)));
    }
    if let Some(auth) = &config.auth {
        rules.extend(auth.secret_file.iter().map(|file| (above(file), read)));
        rules.extend(auth.secrets_dir.iter().map(|dir| (dir.clone(), read)));
    }
    if let Some(ssl) = &config.ssl {
        let files = ssl.files.paths();
        rules.extend(files.into_iter().map(|file| (above(file), read)));
    }
    if let Some(kubernetes) = &config.kubernetes {
        // A kubeconfig with the certificates that it names.
        let credentials = kubernetes.kubeconfig.as_deref().map(above);
        rules.push((credentials.unwrap_or_else(|| SERVICE_ACCOUNT.into()), read));
    }
    rules
}

/// The directory of a file, whose name may be relative. A link to a directory may come to point elsewhere,
/// as `..data` of a mounted Secret does, so that the one with the link is meant.
fn above(file: &Path) -> PathBuf {
    let mut above = file.parent();
    while let Some(link) = above.filter(|above| above.is_symlink()) {
        above = link.parent();
    }
    match above {
        Some(above) if !above.as_os_str().is_empty() => above.to_owned(),
        _ => PathBuf::from("."),
    }
}

/// Restricts the calling thread and those that it starts.
pub(super) fn restrict(config: &Config) -> anyhow::Result<Holds> {
    apply(rules(config))
}

fn apply(rules: Vec<(PathBuf, BitFlags<AccessFs>)>) -> anyhow::Result<Holds> {
    let mut ruleset = Ruleset::default()
        .handle_access(AccessFs::from_all(NEWEST))
        .and_then(|ruleset| ruleset.scope(Scope::from_all(NEWEST)))
        .and_then(Ruleset::create)
        .context("landlock_create_ruleset")?;
    for (path, access) in rules {
        ruleset = ruleset
            .add_rules(path_beneath_rules([&path], access))
            .with_context(|| format!("landlock_add_rule {}", path.display()))?;
    }
    let status = ruleset.restrict_self().context("landlock_restrict_self")?;
    match status.ruleset {
        RulesetStatus::FullyEnforced => Ok(Holds::Fully),
        RulesetStatus::PartiallyEnforced => Ok(Holds::Partly),
        RulesetStatus::NotEnforced => {
            bail!("the kernel has no Landlock (Linux 5.13, lsm=landlock)")
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::io::ErrorKind;

    use super::*;

    #[test]
    fn only_what_a_rule_names_can_be_reached() {
        let dir = tempfile::tempdir().unwrap();
        let (inside, outside) = (dir.path().join("inside"), dir.path().join("outside"));
        for path in [&inside, &outside] {
            fs::create_dir(path).unwrap();
            fs::write(path.join("file"), "f").unwrap();
        }
        let access = AccessFs::ReadFile | AccessFs::ReadDir | AccessFs::RemoveFile;
        let rules = vec![(inside.clone(), access)];
        // Of this thread alone.
        let confined = std::thread::spawn(move || {
            if apply(rules).is_err() {
                return None;
            }
            let refused = |done: std::io::Result<()>| done.map_err(|error| error.kind());
            Some([
                refused(fs::read(inside.join("file")).map(drop)),
                refused(fs::write(inside.join("file"), "g")),
                refused(fs::read(outside.join("file")).map(drop)),
                refused(fs::remove_file(outside.join("file"))),
                refused(fs::remove_file(inside.join("file"))),
            ])
        });
        let found = confined.join().unwrap();
        let denied = Err(ErrorKind::PermissionDenied);
        let wanted = [Ok(()), denied, denied, denied, Ok(())];
        assert_eq!(found.expect("this kernel has Landlock"), wanted);
    }
}
