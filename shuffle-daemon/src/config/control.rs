//! Flags of the control plane: its unix socket, and TCP with certificates on both sides.

use std::net::SocketAddr;
use std::path::PathBuf;

use super::{Control, ControlTcp, Error, file};

#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Control plane")]
pub(super) struct ControlFlags {
    /// Unix socket of the control plane, which shufflectl connects to; only this user and root may.
    #[arg(long, value_name = "PATH", env = "SHUFFLE_DAEMON_CONTROL")]
    control: Option<PathBuf>,

    /// Address and port of the control plane over TLS 1.3, for clients with a certificate. Needs the
    /// three flags below; without it and --control there is no control plane.
    #[arg(long, value_name = "ADDR:PORT", env = "SHUFFLE_DAEMON_CONTROL_LISTEN")]
    control_listen: Option<SocketAddr>,

    /// Certificate of this daemon and those between it and its authority, PEM. This file and the two below
    /// are read again when they change.
    #[arg(long, value_name = "FILE", env = "SHUFFLE_DAEMON_CONTROL_TLS_CERT")]
    control_tls_cert: Option<PathBuf>,

    /// Its private key, PEM.
    #[arg(long, value_name = "FILE", env = "SHUFFLE_DAEMON_CONTROL_TLS_KEY")]
    control_tls_key: Option<PathBuf>,

    /// Authorities whose certificates let a client do everything, PEM.
    #[arg(long, value_name = "FILE", env = "SHUFFLE_DAEMON_CONTROL_CLIENT_CA")]
    control_client_ca: Option<PathBuf>,
}

/// None when the control plane is to be nowhere.
pub(super) fn read(flags: ControlFlags, file: &file::File) -> Result<Option<Control>, Error> {
    let file_of = |flag: Option<PathBuf>, file: &Option<PathBuf>| flag.or_else(|| file.clone());
    let socket = file_of(flags.control, &file.control);
    let listen = flags.control_listen.or(file.control_listen);
    let cert = file_of(flags.control_tls_cert, &file.control_tls_cert);
    let key = file_of(flags.control_tls_key, &file.control_tls_key);
    let client_ca = file_of(flags.control_client_ca, &file.control_client_ca);
    let given = [
        ("--control-listen", listen.is_some()),
        ("--control-tls-cert", cert.is_some()),
        ("--control-tls-key", key.is_some()),
        ("--control-client-ca", client_ca.is_some()),
    ];
    let tcp = match (listen, cert, key, client_ca) {
        (None, None, None, None) => None,
        (Some(listen), Some(cert), Some(key), Some(client_ca)) => Some(ControlTcp {
            listen,
            cert,
            key,
            client_ca,
        }),
        _ => return Err(incomplete(&given)),
    };
    Ok((socket.is_some() || tcp.is_some()).then_some(Control { socket, tcp }))
}

fn incomplete(given: &[(&str, bool)]) -> Error {
    let names = |wanted: bool| {
        let names = given.iter().filter(|(_, given)| *given == wanted);
        names.map(|(name, _)| *name).collect::<Vec<_>>().join(", ")
    };
    Error::ControlTcp {
        given: names(true),
        missing: names(false),
    }
}
