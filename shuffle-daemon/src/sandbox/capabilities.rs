//! Capabilities (capabilities(7)): which to keep.

use std::str::FromStr;

use anyhow::Context;
use rustix::thread::{self, CapabilitySet, CapabilitySets};

use super::Holds;

/// Capabilities to keep, of those that the process has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Keep(CapabilitySet);

impl Default for Keep {
    /// Those that let a daemon of another user read and remove executors' files.
    fn default() -> Self {
        Self(CapabilitySet::DAC_OVERRIDE | CapabilitySet::DAC_READ_SEARCH | CapabilitySet::FOWNER)
    }
}

impl FromStr for Keep {
    type Err = String;

    /// Names as Kubernetes has them (without `CAP_`), separated by commas; empty: none.
    fn from_str(text: &str) -> Result<Self, String> {
        let mut keep = CapabilitySet::empty();
        for name in text.split(',').filter(|name| !name.is_empty()) {
            let short = name.strip_prefix("CAP_").unwrap_or(name);
            keep |= CapabilitySet::from_name(short)
                .ok_or_else(|| format!("\"{name}\" is no capability of Linux"))?;
        }
        Ok(Self(keep))
    }
}

/// Gives up all others, also for programs that this one might start.
pub(super) fn drop_all_but(Keep(keep): Keep) -> anyhow::Result<Holds> {
    let has = thread::capabilities(None).context("capget")?;
    let keep = has.permitted & keep;
    if has.effective.contains(CapabilitySet::SETPCAP) {
        for (_, capability) in CapabilitySet::all().iter_names() {
            // A kernel that does not know one has nothing to give up.
            let is_there = thread::capability_is_in_bounding_set(capability).unwrap_or(false);
            if is_there && !keep.contains(capability) {
                thread::remove_capability_from_bounding_set(capability)
                    .context("prctl PR_CAPBSET_DROP")?;
            }
        }
    }
    // An older kernel than 4.3 has no ambient set.
    let _ = thread::clear_ambient_capability_set();
    let sets = CapabilitySets {
        effective: keep,
        permitted: keep,
        inheritable: CapabilitySet::empty(),
    };
    thread::set_capabilities(None, sets).context("capset")?;
    Ok(Holds::Fully)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_those_of_kubernetes_or_of_linux() {
        let both = Keep(CapabilitySet::DAC_OVERRIDE | CapabilitySet::FOWNER);
        assert_eq!("DAC_OVERRIDE,CAP_FOWNER".parse(), Ok(both));
        assert_eq!("".parse(), Ok(Keep(CapabilitySet::empty())));
        assert!("ROOT".parse::<Keep>().is_err());
    }

    #[test]
    fn what_is_not_kept_is_gone_for_the_thread() {
        let inside = std::thread::spawn(|| {
            drop_all_but("FOWNER".parse().unwrap()).unwrap();
            thread::capabilities(None).unwrap()
        });
        let has = inside.join().unwrap();
        assert!(CapabilitySet::FOWNER.contains(has.permitted), "{has:?}");
        assert_eq!(has.inheritable, CapabilitySet::empty());
    }
}
