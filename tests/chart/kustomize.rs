//! `daemonset/kustomize`: the base is what the chart renders, and each overlay gives what the chart
//! gives with the overlay's `values.yaml`.

use std::process::{Command, Stdio};

use e2e::binary;
use serde_json::Value;

use crate::render::{self, Objects, daemonset, stdout};

/// Overlays, and the release whose names they have.
const OVERLAYS: &[(&str, &str)] = &[
    ("node-selector", "shuffle-daemon"),
    ("other-users", "shuffle-daemon"),
    ("second-service", "second"),
];
/// Labels of Helm, which has no part in an installation by kustomize.
const OF_HELM: &[&str] = &["helm.sh/chart", "app.kubernetes.io/managed-by"];

#[test]
fn base_is_rendered_from_the_chart() {
    let file = daemonset("kustomize/base/shuffle-daemon.yaml");
    let rendered = render::text("shuffle-daemon", &[]);
    let of_helm = |line: &&str| {
        !line.starts_with("# Source:")
            && !OF_HELM
                .iter()
                .any(|label| line.trim_start().starts_with(label))
    };
    let lines: Vec<_> = rendered.lines().filter(of_helm).collect();
    let expected = format!("{HEAD}{}\n", lines.join("\n"));
    if std::env::var_os("UPDATE_DOCS").is_some() {
        std::fs::write(&file, &expected).unwrap();
    }
    let found = std::fs::read_to_string(&file).unwrap();
    assert_eq!(
        found, expected,
        "run: UPDATE_DOCS=1 cargo test -p e2e --test chart"
    );
}

const HEAD: &str = "# Rendered from ../../chart with its default values by a test (UPDATE_DOCS=1); not to be edited.\n";

#[test]
fn overlays_are_the_chart_with_other_values() {
    let on_disk = std::fs::read_dir(daemonset("kustomize/overlays"))
        .unwrap()
        .count();
    assert_eq!(on_disk, OVERLAYS.len());
    for (overlay, release) in OVERLAYS {
        let folder = daemonset("kustomize/overlays").join(overlay);
        let built = Command::new(binary::kube().unwrap())
            .args(["kubectl", "kustomize"])
            .arg(&folder)
            .stdin(Stdio::null())
            .output()
            .unwrap();
        let built = Objects::read(&stdout(built));
        let values = format!("--values={}", folder.join("values.yaml").display());
        let mut rendered = render::objects(release, &[&values]);
        rendered.0.values_mut().for_each(without_helm);
        for (name, object) in &rendered.0 {
            let of_kustomize = built.0.get(name);
            assert_eq!(of_kustomize, Some(object), "{overlay}: {name}");
        }
        assert_eq!(
            built.0.len(),
            rendered.0.len(),
            "{overlay}: {:?}",
            built.0.keys()
        );
    }
}

fn without_helm(object: &mut Value) {
    if let Some(labels) = object["metadata"]["labels"].as_object_mut() {
        labels.retain(|label, _| !OF_HELM.contains(&label.as_str()));
    }
}
