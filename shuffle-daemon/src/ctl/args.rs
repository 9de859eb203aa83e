//! The command line of `shufflectl`.

use std::path::PathBuf;

use clap::error::ErrorKind;
use clap::{CommandFactory, Parser, Subcommand, ValueEnum};
use clap_complete::Shell;

use super::transport::Target;
use crate::tls::{Identity, Pem};

/// Shows and changes what a shuffle daemon holds, over its control socket or over TLS.
#[derive(Debug, Parser)]
#[command(name = super::NAME, version, max_term_width = 100, after_help = AFTER)]
pub(super) struct Args {
    /// Unix socket of the daemon: its --control.
    #[arg(
        long,
        global = true,
        value_name = "PATH",
        env = "SHUFFLE_DAEMON_CONTROL",
        default_value = "/run/shuffle-daemon/control.sock"
    )]
    socket: PathBuf,

    #[command(flatten)]
    tcp: Server,

    /// Tables for people, or JSON with the names of control.proto.
    #[arg(
        long,
        short,
        global = true,
        value_name = "FORMAT",
        default_value = "table"
    )]
    pub(super) output: Output,

    #[command(subcommand)]
    pub(super) command: Command,
}

/// A daemon over TCP, instead of the socket.
#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Over TCP")]
struct Server {
    /// Address of the daemon: its --control-listen. Takes the three files below, too.
    #[arg(
        long,
        global = true,
        value_name = "HOST:PORT",
        env = "SHUFFLECTL_SERVER"
    )]
    server: Option<String>,

    /// Authorities of the daemon's certificate, PEM.
    #[arg(long, global = true, value_name = "FILE", env = "SHUFFLECTL_TLS_CA")]
    tls_ca: Option<PathBuf>,

    /// Our certificate, PEM.
    #[arg(long, global = true, value_name = "FILE", env = "SHUFFLECTL_TLS_CERT")]
    tls_cert: Option<PathBuf>,

    /// Its private key, PEM.
    #[arg(long, global = true, value_name = "FILE", env = "SHUFFLECTL_TLS_KEY")]
    tls_key: Option<PathBuf>,

    /// Name in the daemon's certificate, if it is not the host.
    #[arg(
        long,
        global = true,
        value_name = "NAME",
        env = "SHUFFLECTL_TLS_SERVER_NAME"
    )]
    tls_server_name: Option<String>,
}

impl Args {
    /// Where the daemon is.
    ///
    /// # Errors
    /// When some of what TCP takes is missing. Here and not by clap, which looks at what stands before
    /// the subcommand and behind it apart.
    pub(super) fn target(&self) -> Result<Target, clap::Error> {
        let Server {
            server,
            tls_ca,
            tls_cert,
            tls_key,
            tls_server_name,
        } = &self.tcp;
        let given = [
            ("--server", server.is_some()),
            ("--tls-ca", tls_ca.is_some()),
            ("--tls-cert", tls_cert.is_some()),
            ("--tls-key", tls_key.is_some()),
        ];
        let pem = |flag, path: &PathBuf| Pem {
            flag,
            path: path.clone(),
        };
        match (server, tls_ca, tls_cert, tls_key) {
            (None, None, None, None) => Ok(Target::Socket(self.socket.clone())),
            (Some(server), Some(ca), Some(cert), Some(key)) => Ok(Target::Server {
                address: server.clone(),
                name: tls_server_name.clone(),
                identity: Identity {
                    cert: pem("--tls-cert", cert),
                    key: pem("--tls-key", key),
                    authorities: pem("--tls-ca", ca),
                },
            }),
            _ => {
                let missing = given.iter().filter(|(_, given)| !given);
                let missing: Vec<_> = missing.map(|(flag, _)| *flag).collect();
                let text = format!("over TCP, {} is missing, too", missing.join(", "));
                Err(Self::command().error(ErrorKind::MissingRequiredArgument, text))
            }
        }
    }
}

const AFTER: &str = "\
Exit codes: 0 done, 1 failed, 2 a command line that does not parse, 3 no such application, \
executor or secret, 4 the daemon cannot be reached, or takes another certificate.";

/// How answers look.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum Output {
    /// For people.
    Table,
    /// For programs.
    Json,
}

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// List the applications with registered executors.
    Apps,
    /// One application.
    App {
        #[command(subcommand)]
        command: AppCommand,
    },
    /// List the registered executors.
    Executors {
        /// Only those of this application.
        #[arg(long, value_name = "APP")]
        app: Option<String>,
    },
    /// One executor.
    Executor {
        #[command(subcommand)]
        command: ExecutorCommand,
    },
    /// Secret of one application, for a daemon with spark.authenticate.
    Secret {
        #[command(subcommand)]
        command: SecretCommand,
    },
    /// Show what clean-up would remove now, and why. Without clean-up: what nobody has registered.
    Orphans,
    /// Take no new connections and let replies in flight finish. The daemon stays, not ready, until
    /// it is ended.
    Drain,
    /// Show the daemon: watch of Pods, clean-up, disks, store.
    Status,
    /// Show the busiest applications, again and again.
    Top {
        /// Seconds between two looks.
        #[arg(long = "interval", value_name = "SECONDS", default_value_t = 2, value_parser = clap::value_parser!(u64).range(1..=3600))]
        interval_s: u64,
        /// End after so many looks.
        #[arg(long, value_name = "N")]
        count: Option<u64>,
    },
    /// Print a completion script for a shell.
    Completion {
        /// The shell.
        shell: Shell,
    },
}

#[derive(Debug, Subcommand)]
pub(super) enum AppCommand {
    /// Show one application and its executors.
    Show {
        /// Application id.
        app: String,
    },
    /// End an application on this node: forget its executors and remove its files.
    Remove {
        /// Application id.
        app: String,
        /// Only forget its executors; clean-up removes the files once no Pod can need them.
        #[arg(long)]
        keep_files: bool,
    },
}

#[derive(Debug, Subcommand)]
pub(super) enum ExecutorCommand {
    /// Remove an executor's files but for its map outputs; it stays registered.
    Remove {
        /// Application id.
        app: String,
        /// Executor id.
        executor: String,
        /// Also when its Pod runs, whose tasks then fail.
        #[arg(long)]
        force: bool,
    },
}

#[derive(Debug, Subcommand)]
pub(super) enum SecretCommand {
    /// Give the daemon an application's secret, read from standard input to its end.
    ///
    /// The bytes are used as those of spark.authenticate.secret.file: base64 of all of them, a line feed at their end
    /// included, is the secret. 1 to 65535 bytes. It counts for logins from then on, also in place of one that was put
    /// before, and goes when the application is removed or over.
    Put {
        /// Application id.
        app: String,
    },
    /// Forget a secret that was put. Connections that have logged in with it go on.
    Forget {
        /// Application id.
        app: String,
    },
}
