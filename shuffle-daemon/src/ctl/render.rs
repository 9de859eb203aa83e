//! Answers as tables or as JSON.

use protocol::control::v1;
use serde::Serialize;

use super::args::Output;
use super::table::{bytes, or_dash, table, time};

/// JSON of an answer. The messages have no keys but texts, so nothing can fail.
fn json(value: &impl Serialize) -> String {
    let mut text = serde_json::to_string_pretty(value).unwrap_or_default();
    text.push('\n');
    text
}

pub(super) fn apps(output: Output, mut apps: Vec<v1::App>) -> String {
    apps.sort_by(|a, b| a.app.cmp(&b.app));
    if output == Output::Json {
        return json(&apps);
    }
    let rows: Vec<_> = apps
        .iter()
        .map(|app| {
            vec![
                app.app.clone(),
                app.executors.to_string(),
                or_dash(app.living_pods.map(|pods| pods.to_string())),
                disk_bytes(app.disk.as_ref()),
                disk_age(app.disk.as_ref()),
                bytes(app.served_bytes),
                time(app.idle_s),
                or_dash(Some(driver(&app.namespace, &app.driver))),
            ]
        })
        .collect();
    let head = [
        "APPLICATION",
        "EXECUTORS",
        "LIVING",
        "ON DISK",
        "AS OF",
        "SERVED",
        "IDLE",
        "DRIVER",
    ];
    table(&head, &[1, 2, 3, 4, 5, 6], &rows)
}

#[derive(Serialize)]
struct AppAndExecutors {
    app: v1::App,
    executors: Vec<v1::Executor>,
}

pub(super) fn app(output: Output, app: v1::App, executors: Vec<v1::Executor>) -> String {
    let executors = sorted(executors);
    if output == Output::Json {
        return json(&AppAndExecutors { app, executors });
    }
    let disk = match &app.disk {
        Some(disk) => format!(
            "{} in {} files, as of {} ago",
            bytes(disk.bytes),
            disk.files,
            time(disk.age_s)
        ),
        None => "not walked yet".into(),
    };
    let pods = app.living_pods.map(|pods| pods.to_string());
    let lines = pairs(&[
        ("application", app.app.clone()),
        ("driver", or_dash(Some(driver(&app.namespace, &app.driver)))),
        (
            "executors",
            format!(
                "{} registered, {} unverified",
                app.executors, app.unverified
            ),
        ),
        ("living Pods", pods.unwrap_or_else(|| "not known".into())),
        ("on disk", disk),
        (
            "served",
            format!(
                "{} in {} blocks",
                bytes(app.served_bytes),
                app.served_blocks
            ),
        ),
        ("idle", time(app.idle_s)),
    ]);
    format!("{lines}\n{}", executor_table(&executors))
}

pub(super) fn executors(output: Output, executors: Vec<v1::Executor>) -> String {
    let executors = sorted(executors);
    if output == Output::Json {
        return json(&executors);
    }
    executor_table(&executors)
}

/// By application, then by number where ids are numbers.
fn sorted(mut executors: Vec<v1::Executor>) -> Vec<v1::Executor> {
    executors.sort_by_cached_key(|one| {
        let number = one.executor.parse::<u64>().unwrap_or(u64::MAX);
        (one.app.clone(), number, one.executor.clone())
    });
    executors
}

fn executor_table(executors: &[v1::Executor]) -> String {
    let rows: Vec<_> = executors
        .iter()
        .map(|one| {
            let pod = if one.unverified {
                "unverified"
            } else {
                &one.pod
            };
            vec![
                one.app.clone(),
                one.executor.clone(),
                pod.to_owned(),
                disk_bytes(one.disk.as_ref()),
                disk_age(one.disk.as_ref()),
                bytes(one.served_bytes),
                one.dirs.join(" "),
            ]
        })
        .collect();
    let head = [
        "APPLICATION",
        "EXECUTOR",
        "POD",
        "ON DISK",
        "AS OF",
        "SERVED",
        "DIRECTORIES",
    ];
    table(&head, &[3, 4, 5], &rows)
}

pub(super) fn orphans(output: Output, mut planned: Vec<v1::PlannedRemoval>) -> String {
    planned.sort_by(|a, b| (&a.kind, &a.app, &a.dirs).cmp(&(&b.kind, &b.app, &b.dirs)));
    if output == Output::Json {
        return json(&planned);
    }
    if planned.is_empty() {
        return "nothing\n".into();
    }
    let rows: Vec<_> = planned
        .iter()
        .map(|one| {
            vec![
                one.kind.clone(),
                or_dash(Some(one.app.clone())),
                or_dash(Some(one.executor.clone())),
                disk_bytes(one.disk.as_ref()),
                if one.will_go { "yes" } else { "no" }.to_owned(),
                one.reason.clone(),
                one.dirs.join(" "),
            ]
        })
        .collect();
    let head = [
        "KIND",
        "APPLICATION",
        "EXECUTOR",
        "ON DISK",
        "GOES",
        "REASON",
        "DIRECTORIES",
    ];
    table(&head, &[3], &rows)
}

pub(super) fn removed(output: Output, what: &str, removed: &v1::Removed) -> String {
    if output == Output::Json {
        return json(removed);
    }
    let mut text = format!(
        "removed {what}: {} files, {}, {} executors forgotten\n",
        removed.files,
        bytes(removed.bytes),
        removed.executors
    );
    if removed.living_pods > 0 {
        text.push_str(&format!(
            "{} of its executors' Pods ran at that time; what they write from now on is not in it\n",
            removed.living_pods
        ));
    }
    for dir in &removed.kept {
        text.push_str(&format!(
            "left alone, because it is not called as Spark calls it or another executor has it too: {dir}\n"
        ));
    }
    text
}

pub(super) fn secret_put(output: Output, app: &str, put: &v1::PutSecretResponse) -> String {
    if output == Output::Json {
        return json(put);
    }
    let mut text = format!("secret of application {app}: {}\n", put.outcome);
    if !put.overruled_by.is_empty() {
        text.push_str(&format!(
            "it does not count: {} comes first and has another one\n",
            put.overruled_by
        ));
    }
    if !put.durable {
        text.push_str("it is in memory only: the daemon forgets it when it ends\n");
    }
    text
}

pub(super) fn secret_forgotten(
    output: Output,
    app: &str,
    forgotten: &v1::ForgetSecretResponse,
) -> String {
    if output == Output::Json {
        return json(forgotten);
    }
    let mut text = format!("secret of application {app}: forgotten\n");
    if !forgotten.left_in.is_empty() {
        text.push_str(&format!("that of {} counts now\n", forgotten.left_in));
    }
    if !forgotten.durable {
        text.push_str(
            "it is still in the state directory, which cannot be written, and may be back when the daemon is started again\n",
        );
    }
    text
}

pub(super) fn drained(output: Output, drained: v1::DrainResponse) -> String {
    match (output, drained.cut_off) {
        (Output::Json, _) => json(&drained),
        (Output::Table, 0) => "drained\n".into(),
        (Output::Table, cut_off) => {
            format!("drained; {cut_off} connections were cut off at the drain timeout\n")
        }
    }
}

pub(super) fn status(output: Output, status: &v1::StatusResponse) -> String {
    if output == Output::Json {
        return json(status);
    }
    let store = status.store.as_ref().map_or("", |store| &store.dir);
    let walk = status
        .walk_age_s
        .map(|age_s| format!("{} ago", time(age_s)));
    let lines = pairs(&[
        ("state", status.state.clone()),
        ("version", status.version.clone()),
        ("up", time(status.uptime_s)),
        (
            "registered",
            format!(
                "{} executors of {} applications",
                status.executors, status.apps
            ),
        ),
        (
            "connections",
            format!(
                "{}, {} chunks with {} on their way",
                status.connections,
                status.chunks_in_flight,
                bytes(status.bytes_in_flight)
            ),
        ),
        (
            "store",
            if store.is_empty() {
                "in memory only"
            } else {
                store
            }
            .to_owned(),
        ),
        ("watch", watch(status)),
        ("clean-up", cleanup(status)),
        ("disks walked", walk.unwrap_or_else(|| "not yet".into())),
    ]);
    format!("{lines}\n{}", disks(&status.disks))
}

fn watch(status: &v1::StatusResponse) -> String {
    match &status.watch {
        None => "without Kubernetes".into(),
        Some(watch) => format!(
            "node {}: API server {}, {}, {} Pods, {} of them living",
            watch.node,
            if watch.reached {
                "answers"
            } else {
                "cannot be reached"
            },
            if watch.complete {
                "list complete"
            } else {
                "no complete list yet"
            },
            watch.pods,
            watch.living
        ),
    }
}

fn cleanup(status: &v1::StatusResponse) -> String {
    match &status.cleanup {
        Some(v1::Cleanup {
            mode,
            look_age_s: Some(age_s),
            planned,
        }) => format!(
            "{mode}, looked {} ago and found {planned} to remove",
            time(*age_s)
        ),
        Some(v1::Cleanup { mode, .. }) if mode == "off" => "off".into(),
        Some(v1::Cleanup { mode, .. }) => format!("{mode}, has not looked yet"),
        None => "not known".into(),
    }
}

fn disks(disks: &[v1::Disk]) -> String {
    let rows: Vec<_> = disks
        .iter()
        .map(|disk| {
            vec![
                disk.root.clone(),
                bytes(disk.size_bytes),
                bytes(disk.free_bytes),
                disk.free_files.to_string(),
                disk.error.clone(),
            ]
        })
        .collect();
    let head = ["ROOT", "SIZE", "FREE", "FREE FILES", "ERROR"];
    table(&head, &[1, 2, 3], &rows)
}

fn pairs(pairs: &[(&str, String)]) -> String {
    let line = |(name, value): &(&str, String)| format!("{name:<14}{value}\n");
    pairs.iter().map(line).collect()
}

fn driver(namespace: &str, name: &str) -> String {
    match (namespace, name) {
        ("", _) => String::new(),
        (namespace, "") => namespace.to_owned(),
        (namespace, name) => format!("{namespace}/{name}"),
    }
}

fn disk_bytes(disk: Option<&v1::DiskUse>) -> String {
    or_dash(disk.map(|disk| bytes(disk.bytes)))
}

fn disk_age(disk: Option<&v1::DiskUse>) -> String {
    or_dash(disk.map(|disk| format!("{} ago", time(disk.age_s))))
}
