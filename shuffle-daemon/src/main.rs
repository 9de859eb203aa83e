//! The daemon's process: configuration, log, signals, exit code.

#![forbid(unsafe_code)]

use std::io::Write;
use std::process::ExitCode;

use anyhow::Context;
use shuffle_daemon::app::{Addresses, App, Stop};
use shuffle_daemon::config::{Config, LogFormat};
use shuffle_daemon::{auth, ctl, metrics, prepare, runtime, sandbox, telemetry};
use tokio::signal::unix::{SignalKind, signal};

#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

fn main() -> ExitCode {
    if let Some(args) = ctl::arguments(std::env::args_os()) {
        return ctl::main(args);
    }
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // Without a log yet, or beside it: what a person must see.
            let _ = writeln!(std::io::stderr(), "shuffle-daemon: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> anyhow::Result<()> {
    let mut arguments = std::env::args_os().skip(1);
    if arguments
        .next()
        .is_some_and(|first| first == "prepare-dirs")
    {
        telemetry::start("info", LogFormat::Auto).context("start the log")?;
        return prepare::run(arguments);
    }
    let config = Config::from_process()?;
    telemetry::start(&config.log, config.log_format).with_context(|| {
        format!(
            "--log: \"{}\" is not a filter such as info or shuffle_daemon=debug",
            config.log
        )
    })?;
    if !config.ignored.is_empty() {
        tracing::warn!(
            settings = config.ignored.join(", "),
            "these settings are of no use to this service and ignored"
        );
    }
    let prometheus = metrics::install().context("install the metrics recorder")?;
    if config.auth.is_some() {
        auth::forbid_dumps()?;
    }
    sandbox::enter(&config)?;
    let control = runtime::control().context("start the runtime")?;
    let ended = control.block_on(async {
        let stop = stop_on_signals()?;
        let app = App::build(config, prometheus).await?;
        let addresses = app.addresses()?;
        let Addresses {
            listen, metrics, ..
        } = addresses;
        tracing::info!(%listen, %metrics, version = env!("CARGO_PKG_VERSION"), "serving");
        let mut out = std::io::stdout();
        writeln!(out, "ready {addresses}")
            .and_then(|()| out.flush())
            .context("write the ready line")?;
        runtime::forget_start();
        app.run(stop).await
    });
    // A read that hangs at a disk must not keep the process.
    control.shutdown_background();
    ended
}

/// By SIGTERM or SIGINT.
fn stop_on_signals() -> anyhow::Result<Stop> {
    let stop = Stop::default();
    for kind in [SignalKind::terminate(), SignalKind::interrupt()] {
        let mut signals = signal(kind).context("install a signal handler")?;
        let stop = stop.clone();
        tokio::spawn(async move {
            while signals.recv().await.is_some() {
                if stop.once.is_cancelled() {
                    stop.again.cancel();
                }
                stop.once.cancel();
            }
        });
    }
    Ok(stop)
}
