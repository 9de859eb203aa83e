//! The unix socket of the control plane: made for its owner only, gone when the daemon ends. Its user
//! and root may connect.

use std::io::ErrorKind;
use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context, bail};
use tokio::net::UnixListener;

use super::server::{Server, accepted};
use crate::metrics;

/// Read and write for the owner.
const MODE: u32 = 0o600;

/// A bound socket. Its file is removed when it is dropped, unless somebody has put another there.
#[derive(Debug)]
pub(super) struct Socket {
    listener: UnixListener,
    path: PathBuf,
    inode: u64,
}

impl Socket {
    /// Must run inside a runtime.
    ///
    /// # Errors
    /// When there is something else at the path, or another process listens there.
    pub(super) fn bind(path: &Path) -> anyhow::Result<Self> {
        remove_stale(path)?;
        let listener = UnixListener::bind(path).context("bind a unix socket; its directory must exist and the whole path may have at most 107 bytes")?;
        // Until here another user may have connected: `may_connect` looks at who each peer is.
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(MODE))
            .context("make the socket its owner's")?;
        let inode = std::fs::symlink_metadata(path)?.ino();
        Ok(Self {
            listener,
            path: path.to_owned(),
            inode,
        })
    }

    /// Accepts for ever.
    pub(super) async fn run(&self, server: &Server) {
        let places = server.places();
        while let Ok(place) = Arc::clone(&places).acquire_owned().await {
            let Some((stream, _)) = accepted(self.listener.accept().await).await else {
                continue;
            };
            if !may_connect(&stream) {
                metrics::control_refused().increment(1);
                continue;
            }
            let task_server = server.clone();
            server.spawn(async move {
                task_server.serve(stream).await;
                drop(place);
            });
        }
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }
}

/// The mode of the socket says the same; between its making and that, this does.
fn may_connect(stream: &tokio::net::UnixStream) -> bool {
    let own = rustix::process::geteuid().as_raw();
    match stream.peer_cred() {
        Ok(peer) if peer.uid() == own || peer.uid() == 0 => true,
        Ok(peer) => {
            tracing::warn!(
                uid = peer.uid(),
                "refused a connection to the control plane"
            );
            false
        }
        Err(error) => {
            tracing::warn!(%error, "cannot tell who connects to the control plane");
            false
        }
    }
}

impl Drop for Socket {
    fn drop(&mut self) {
        let ours = std::fs::symlink_metadata(&self.path)
            .is_ok_and(|metadata| metadata.ino() == self.inode);
        if ours && let Err(error) = std::fs::remove_file(&self.path) {
            tracing::warn!(%error, path = %self.path.display(), "cannot remove the control socket");
        }
    }
}

/// A daemon that was killed leaves its socket.
fn remove_stale(path: &Path) -> anyhow::Result<()> {
    match std::fs::symlink_metadata(path) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(error).context("look at what is there"),
        Ok(metadata) if !metadata.file_type().is_socket() => {
            bail!("there is something that is no socket; give another path")
        }
        Ok(_) => {}
    }
    match UnixStream::connect(path) {
        Ok(_) => bail!("another process listens there; give each daemon its own path"),
        Err(error) if error.kind() == ErrorKind::ConnectionRefused => {
            std::fs::remove_file(path).context("remove the socket of a daemon that is gone")
        }
        Err(error) => Err(error).context("see whether somebody listens there"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn stale_sockets_are_replaced_and_others_are_not() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("control.sock");
        let stale = std::os::unix::net::UnixListener::bind(&path).unwrap();
        drop(stale);
        let socket = Socket::bind(&path).unwrap();
        let mode = std::fs::metadata(&path).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        let text = Socket::bind(&path).unwrap_err().to_string();
        assert!(text.contains("another process"), "{text}");
        drop(socket);
        assert!(!path.exists());
        std::fs::write(&path, "precious").unwrap();
        let text = Socket::bind(&path).unwrap_err().to_string();
        assert!(text.contains("no socket") && path.exists(), "{text}");
    }
}
