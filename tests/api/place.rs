//! A node as a story sees it: an API server, a daemon that watches it, and Pods whose executors are
//! the story itself.

use std::path::{Path, PathBuf};

use e2e::api_server::ApiServer;
use e2e::ctl;
use e2e::daemon::Daemon;
use e2e::files::{ShuffleFiles, pattern};
use e2e::pods::Pods;
use serde_json::{Value, json};
use tempfile::TempDir;

pub(crate) const NODE: &str = "node1";
pub(crate) const NAMESPACE: &str = "spark";
/// Stories connect from here, so Pods that are to be theirs have this address.
pub(crate) const HERE: &str = "127.0.0.1";
const SOCKET: &str = "control.sock";
const UUID: &str = "0fb05b2d-41f7-4a27-9bcd-1de0c1a6a3f4";

pub(crate) struct Place {
    pub(crate) server: ApiServer,
    pub(crate) pods: Pods,
    pub(crate) daemon: Daemon,
    run: TempDir,
}

impl Place {
    /// Everything runs, and the daemon has seen its (empty) node.
    pub(crate) async fn new(args: &[&str]) -> Self {
        let server = ApiServer::start().await.unwrap();
        let pods = Pods::in_namespace(server.client().await.unwrap(), NAMESPACE)
            .await
            .unwrap();
        let kubeconfig = server.kubeconfig();
        let kubeconfig = kubeconfig.to_str().unwrap();
        let run = tempfile::tempdir().unwrap();
        let socket = run.path().join(SOCKET);
        let own = [
            "--control",
            socket.to_str().unwrap(),
            "--kubeconfig",
            kubeconfig,
            "--node-name",
            NODE,
            "--cleanup-grace",
            "1s",
        ];
        let daemon = Daemon::start(&[&own, args].concat()).await.unwrap();
        let place = Self {
            server,
            pods,
            daemon,
            run,
        };
        place.reached(1.0).await;
        place
    }

    /// Waits until the daemon knows whether the API server answers.
    pub(crate) async fn reached(&self, reached: f64) {
        self.daemon
            .wait_metric("shuffle_kubernetes_api_reachable", "", |now| {
                (now - reached).abs() < 0.5
            })
            .await
            .unwrap();
    }

    /// Path of the control socket.
    pub(crate) fn socket(&self) -> PathBuf {
        self.run.path().join(SOCKET)
    }

    /// What `shufflectl` answers as JSON; it must succeed.
    pub(crate) async fn json(&self, args: &[&str]) -> Value {
        ctl::json(&self.socket(), args).await.unwrap()
    }

    /// Gives the daemon an application's secret.
    pub(crate) async fn put_secret(&self, app: &str, secret: &[u8]) {
        let ran = ctl::ctl_reading(&self.socket(), &["secret", "put", app], secret).await;
        assert_eq!(ran.unwrap().code, 0);
    }

    /// The Pod of an executor that mounts the daemon's root at `/data/spark`.
    pub(crate) fn executor(&self, app: &str, executor: u32, driver: Option<&str>) -> Value {
        let mut pod = match driver {
            Some(uid) => Pods::owned_executor(NODE, app, executor, &format!("{app}-driver"), uid),
            None => Pods::executor(NODE, app, executor),
        };
        pod["spec"]["volumes"][0]["hostPath"]["path"] = json!(self.daemon.root());
        pod
    }

    /// Files of an executor at a path of the root, and the directory as its container names it.
    pub(crate) fn files(&self, app: &str, executor: u32, below: &str) -> (ShuffleFiles, String) {
        let name = Path::new(below).join(format!("blockmgr-{executor}{}", &UUID[1..]));
        let path: PathBuf = self.daemon.root().join(&name);
        std::fs::create_dir_all(&path).unwrap();
        let files = ShuffleFiles {
            app: app.into(),
            executor: executor.to_string(),
            dirs: vec![path.to_str().unwrap().into()],
            sub_dirs: 64,
        };
        files.write_map_output(0, 1, &[block()]).unwrap();
        (files, format!("/data/spark/{}", name.display()))
    }

    /// Registers an executor by the name that its container has for its directory.
    pub(crate) async fn register(&self, files: &ShuffleFiles, dir: &str) -> Result<(), String> {
        let inside = ShuffleFiles {
            dirs: vec![dir.to_owned()],
            ..files.clone()
        };
        let mut client = self.daemon.connect().await.unwrap();
        inside
            .register(&mut client)
            .await
            .map_err(|error| error.to_string())
    }

    /// Whether the map output of an executor is served.
    pub(crate) async fn serves(&self, files: &ShuffleFiles) -> bool {
        let mut client = self.daemon.connect().await.unwrap();
        let (maps, reduces): ([i64; 1], [&[i32]; 1]) = ([1], [&[0]]);
        let request = protocol::shuffle::FetchShuffleBlocks {
            app_id: (&*files.app).into(),
            exec_id: (&*files.executor).into(),
            shuffle_id: 0,
            map_ids: maps.as_slice().into(),
            reduce_ids: reduces.as_slice().into(),
            batch_fetch_enabled: false,
        };
        let handle = client.fetch_shuffle_blocks(request).await.unwrap();
        let blocks = client.fetch_all(handle).await.unwrap();
        matches!(&blocks[..], [Ok(bytes)] if **bytes == *block())
    }
}

fn block() -> Vec<u8> {
    pattern(7, 10_000)
}
