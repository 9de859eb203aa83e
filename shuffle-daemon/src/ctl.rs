//! `shufflectl`, the client of the control plane; also `shuffle-daemon ctl`.
//!
//! Asks one daemon over its socket, or over TLS, and shows the answer as a table or as JSON. It keeps nothing
//! and reads no file but its certificates, and a secret from standard input. Every command returns when the daemon has done the work. Exit codes are
//! `Failure::code`; CONTROL.md lists them.

mod args;
mod client;
mod render;
mod secret;
mod table;
mod top;
mod transport;

use std::ffi::OsString;
use std::io::{ErrorKind, Write};
use std::path::Path;
use std::process::ExitCode;

use clap::{CommandFactory, Parser};

use args::{AppCommand, Args, Command, ExecutorCommand, Output};
use client::Client;
use protocol::control::v1;
use transport::Target;

/// The name that makes the daemon's program the client.
const NAME: &str = "shufflectl";

/// Why a command failed.
#[derive(Debug, thiserror::Error)]
enum Failure {
    /// Nobody answers, or not to us.
    #[error("cannot reach the daemon at {at}: {reason}; {hint}")]
    Unreachable {
        /// As given.
        at: String,
        /// What the system said.
        reason: String,
        /// What may help.
        hint: String,
    },
    /// Standard input has no secret. Nothing of it is in the text.
    #[error("standard input: {0}")]
    Secret(String),
    /// Our own certificates cannot be used.
    #[error(transparent)]
    Certificates(#[from] crate::tls::Error),
    /// No such application, executor or secret.
    #[error("{0}")]
    NotFound(String),
    /// The daemon refused, or could not.
    #[error("{0}")]
    Refused(String),
    /// Some of the work is not done.
    #[error("{0} directories are not, or not wholly, removed; the daemon's log says why")]
    Incomplete(u64),
    /// The answer could not be written.
    #[error("write the answer: {0}")]
    Output(#[from] std::io::Error),
    /// There is no runtime to be had.
    #[error("start the runtime: {0}")]
    Runtime(std::io::Error),
}

impl Failure {
    /// 1 failed, 3 not found, 4 unreachable; clap's 2 is for a command line that does not parse.
    fn code(&self) -> u8 {
        match self {
            Self::NotFound(_) => 3,
            Self::Unreachable { .. } => 4,
            _ => 1,
        }
    }
}

/// The client's arguments, its name first, if it is the client that was called.
#[must_use]
pub fn arguments(args: impl IntoIterator<Item = OsString>) -> Option<Vec<OsString>> {
    let mut args = args.into_iter();
    let program = args.next()?;
    let name = OsString::from(NAME);
    if Path::new(&program).file_name() == Some(&name) {
        return Some(std::iter::once(name).chain(args).collect());
    }
    if args.next()? == "ctl" {
        return Some(std::iter::once(name).chain(args).collect());
    }
    None
}

/// Runs a command line to its end.
#[must_use]
pub fn main(args: Vec<OsString>) -> ExitCode {
    let parsed = Args::try_parse_from(args).and_then(|args| {
        let target = args.target()?;
        Ok((args, target))
    });
    let (args, target) = match parsed {
        Ok(parsed) => parsed,
        Err(error) => {
            let _ = error.print();
            return ExitCode::from(u8::try_from(error.exit_code()).unwrap_or(2));
        }
    };
    match run(&args, target) {
        Ok(()) => ExitCode::SUCCESS,
        // Whoever read the answer has seen enough.
        Err(Failure::Output(error)) if error.kind() == ErrorKind::BrokenPipe => ExitCode::SUCCESS,
        Err(failure) => {
            let _ = writeln!(std::io::stderr(), "{NAME}: {failure}");
            ExitCode::from(failure.code())
        }
    }
}

fn run(args: &Args, target: Target) -> Result<(), Failure> {
    if let Command::Completion { shell } = args.command {
        let mut script = Vec::new();
        clap_complete::generate(shell, &mut Args::command(), NAME, &mut script);
        return Ok(std::io::stdout().write_all(&script)?);
    }
    let runtime = crate::runtime::control().map_err(Failure::Runtime)?;
    runtime.block_on(command(args, target))
}

async fn command(args: &Args, target: Target) -> Result<(), Failure> {
    let output = args.output;
    if let Command::Secret { command } = &args.command {
        let text = secret::run(command, output, target).await?;
        return Ok(std::io::stdout().write_all(text.as_bytes())?);
    }
    let mut client = Client::connect(target).await?;
    let text = match &args.command {
        Command::Apps => render::apps(output, client.apps().await?),
        Command::App { command } => match command {
            AppCommand::Show { app } => {
                let shown = client.app(app).await?;
                let executors = client.executors(app).await?;
                render::app(output, shown, executors)
            }
            AppCommand::Remove { app, keep_files } => {
                let removed = client.remove_app(app, *keep_files).await?;
                return done(output, &format!("application {app}"), &removed);
            }
        },
        Command::Executors { app } => {
            let app = app.as_deref().unwrap_or_default();
            render::executors(output, client.executors(app).await?)
        }
        Command::Executor { command } => {
            let ExecutorCommand::Remove {
                app,
                executor,
                force,
            } = command;
            let removed = client.remove_executor(app, executor, *force).await?;
            let what = format!("leftovers of executor {executor} of application {app}");
            return done(output, &what, &removed);
        }
        Command::Orphans => render::orphans(output, client.plan().await?),
        Command::Drain => render::drained(output, client.drain().await?),
        Command::Status => render::status(output, &client.status().await?),
        Command::Top { interval_s, count } => {
            return top::run(&mut client, output, *interval_s, *count).await;
        }
        // Done before.
        Command::Secret { .. } | Command::Completion { .. } => String::new(),
    };
    Ok(std::io::stdout().write_all(text.as_bytes())?)
}

/// What a removal came to; what is left of it makes the command fail.
fn done(output: Output, what: &str, removed: &v1::Removed) -> Result<(), Failure> {
    let text = render::removed(output, what, removed);
    std::io::stdout().write_all(text.as_bytes())?;
    if removed.failed > 0 {
        return Err(Failure::Incomplete(removed.failed));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_client_is_called_by_either_name() {
        let called = |line: &str| {
            let args = arguments(line.split(' ').map(OsString::from))?;
            let texts = args.into_iter().map(|arg| arg.into_string().unwrap());
            Some(texts.collect::<Vec<_>>().join(" "))
        };
        for (line, wanted) in [
            ("/bin/shufflectl apps", Some("shufflectl apps")),
            ("shuffle-daemon ctl apps", Some("shufflectl apps")),
            ("shuffle-daemon ctl", Some("shufflectl")),
            ("shuffle-daemon --root ctl", None),
            ("shuffle-daemon", None),
        ] {
            assert_eq!(called(line).as_deref(), wanted, "{line}");
        }
    }

    #[test]
    fn the_command_line_is_sound() {
        Args::command().debug_assert();
    }
}
