//! The daemon as a whole, for `Status`.

use protocol::control::v1;

use super::State;
use super::inspect::age_s;
use crate::disk::roots::Roots;
use crate::disk::usage::space;

/// Asks the file systems. Waits for disks.
pub(super) fn disks(roots: &Roots) -> Vec<v1::Disk> {
    let disk = |root: u16| {
        let path = roots.path(root, "");
        match space(roots, root) {
            Ok(space) => v1::Disk {
                root: path,
                size_bytes: space.size_bytes,
                free_bytes: space.free_bytes,
                free_files: space.free_files,
                error: String::new(),
            },
            Err(errno) => v1::Disk {
                root: path,
                error: errno.to_string(),
                ..v1::Disk::default()
            },
        }
    };
    (0..roots.len()).map(disk).collect()
}

impl State {
    pub(super) fn status(&self, disks: Vec<v1::Disk>) -> v1::StatusResponse {
        let parts = &self.parts;
        let state_dir = parts.state_dir.as_ref();
        v1::StatusResponse {
            version: env!("CARGO_PKG_VERSION").into(),
            state: parts.drain.state().label().into(),
            uptime_s: age_s(self.started),
            apps: parts.registry.apps().len() as u64,
            executors: parts.registry.len() as u64,
            connections: parts.connections.len() as u64,
            chunks_in_flight: parts.in_flight.chunks(),
            bytes_in_flight: parts.in_flight.bytes(),
            store: Some(v1::Store {
                dir: state_dir
                    .map(|dir| dir.display().to_string())
                    .unwrap_or_default(),
            }),
            watch: self.watch(),
            cleanup: Some(self.cleanup()),
            disks,
            walk_age_s: self.usages.walked().map(age_s),
        }
    }

    fn watch(&self) -> Option<v1::Watch> {
        let cluster = self.parts.cluster.as_ref()?;
        let pods = cluster.pods.snapshot();
        Some(v1::Watch {
            node: cluster.node.clone(),
            reached: cluster.reach.is_reached(),
            complete: pods.is_complete(),
            pods: pods.iter().count() as u64,
            living: pods.living().count() as u64,
        })
    }

    fn cleanup(&self) -> v1::Cleanup {
        let cluster = self.parts.cluster.as_ref();
        let Some((cluster, plan)) =
            cluster.and_then(|cluster| Some((cluster, cluster.plan.as_ref()?)))
        else {
            return v1::Cleanup {
                mode: "off".into(),
                ..v1::Cleanup::default()
            };
        };
        let last = plan.last();
        v1::Cleanup {
            mode: if cluster.dry_run { "dry-run" } else { "on" }.into(),
            look_age_s: last.as_ref().map(|look| age_s(look.at)),
            planned: last.map_or(0, |look| look.removals.len() as u64),
        }
    }
}
