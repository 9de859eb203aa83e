//! What became of the driver of an application, as Pods tell it. Pure.
//!
//! `k8s::api` asks the API server for them, `cleanup::policy` decides what follows.

use std::time::SystemTime;

use k8s_openapi::api::core::v1;

use super::pod::{self, Owner, Pod};

/// What became of the driver of an application.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Driver {
    /// Its Pod exists and has not ended.
    Living(Owner),
    /// Its Pod has ended, is gone, or another has its name.
    Over,
    /// All Pods that are called its driver have ended, the last one at this time. What was made later
    /// belongs to a run whose driver is no such Pod.
    Ended(SystemTime),
    /// There is no such Pod, and none was known: it runs outside of the cluster, its Pod has no labels or
    /// is gone, or does not say when it ended.
    Unknown,
}

impl Driver {
    /// What the Pod says that has the driver's name now. A driver that Spark did not start (client
    /// mode in a Pod) has none of its labels.
    #[must_use]
    pub fn named(owner: &Owner, found: Option<&v1::Pod>) -> Self {
        let is_it = |pod: &&v1::Pod| pod.metadata.uid.as_deref() == Some(&owner.uid);
        match found.filter(is_it) {
            Some(pod) if !pod::has_ended(pod) => Self::Living(owner.clone()),
            _ => Self::Over,
        }
    }

    /// What the Pods say that are called drivers of an application, and the namespace of a living one.
    #[must_use]
    pub fn among(found: &[Pod]) -> (Self, String) {
        match found.iter().find(|pod| pod.living) {
            Some(pod) => {
                let owner = Owner {
                    name: pod.name.clone(),
                    uid: pod.uid.clone(),
                };
                (Self::Living(owner), pod.namespace.clone())
            }
            None => {
                let last = found.iter().filter_map(|pod| pod.ended).max();
                (last.map_or(Self::Unknown, Self::Ended), String::new())
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_driver_without_labels_that_completed_is_over() {
        let owner = Owner {
            name: "notebook".into(),
            uid: "u".into(),
        };
        let pod = |uid: &str, phase: &str| {
            let mut pod = v1::Pod::default();
            pod.metadata.uid = Some(uid.into());
            pod.status.get_or_insert_default().phase = Some(phase.into());
            Driver::named(&owner, Some(&pod))
        };
        assert_eq!(pod("u", "Running"), Driver::Living(owner.clone()));
        assert_eq!(pod("u", "Succeeded"), Driver::Over);
        assert_eq!(pod("another", "Running"), Driver::Over);
        assert_eq!(Driver::named(&owner, None), Driver::Over);
    }
}
