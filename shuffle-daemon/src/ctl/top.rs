//! `shufflectl top`: the busiest applications, again and again.

use std::collections::HashMap;
use std::io::{IsTerminal, Write};
use std::time::Duration;

use protocol::control::v1;
use serde::Serialize;
use tokio::time::Instant;

use super::Failure;
use super::args::Output;
use super::client::Client;
use super::table::{bytes, or_dash, table, time};

/// Lines that fit on a screen.
const APPS_MAX: usize = 20;
/// To the first place of a terminal, and everything away.
const CLEAR: &str = "\x1b[H\x1b[2J";

/// One look, as a line of JSON.
#[derive(Serialize)]
struct Look<'a> {
    status: &'a v1::StatusResponse,
    apps: &'a [v1::App],
}

/// Looks until it is ended, or `count` times.
pub(super) async fn run(
    client: &mut Client,
    output: Output,
    interval_s: u64,
    count: Option<u64>,
) -> Result<(), Failure> {
    let mut every = tokio::time::interval(Duration::from_secs(interval_s));
    let mut rates = Rates::default();
    let mut looks = 0;
    while count.is_none_or(|count| looks < count) {
        every.tick().await;
        looks += 1;
        let status = client.status().await?;
        let apps = client.apps().await?;
        let mut out = std::io::stdout();
        if output == Output::Json {
            let look = Look {
                status: &status,
                apps: &apps,
            };
            let line = serde_json::to_string(&look).unwrap_or_default();
            writeln!(out, "{line}")?;
        } else {
            if out.is_terminal() {
                out.write_all(CLEAR.as_bytes())?;
            }
            let text = screen(&status, rates.of(apps, Instant::now()));
            out.write_all(text.as_bytes())?;
        }
        out.flush()?;
    }
    Ok(())
}

/// Bytes served between two looks.
#[derive(Default)]
struct Rates {
    before: HashMap<String, u64>,
    at: Option<Instant>,
}

impl Rates {
    /// Applications with their bytes a second, the busiest first.
    fn of(&mut self, apps: Vec<v1::App>, now: Instant) -> Vec<(f64, v1::App)> {
        let seconds = self.at.map_or(0.0, |at| (now - at).as_secs_f64());
        let mut rated: Vec<(f64, v1::App)> = apps
            .into_iter()
            .map(|app| {
                let before = self.before.get(&app.app).copied();
                let more = app
                    .served_bytes
                    .saturating_sub(before.unwrap_or(app.served_bytes));
                let rate = if seconds > 0.0 {
                    more as f64 / seconds
                } else {
                    0.0
                };
                (rate, app)
            })
            .collect();
        self.before = rated
            .iter()
            .map(|(_, app)| (app.app.clone(), app.served_bytes))
            .collect();
        self.at = Some(now);
        rated.sort_by(|(a, app_a), (b, app_b)| {
            let served = app_b.served_bytes.cmp(&app_a.served_bytes);
            b.total_cmp(a).then(served).then(app_a.app.cmp(&app_b.app))
        });
        rated
    }
}

fn screen(status: &v1::StatusResponse, apps: Vec<(f64, v1::App)>) -> String {
    let more = apps.len().saturating_sub(APPS_MAX);
    let rows: Vec<_> = apps
        .into_iter()
        .take(APPS_MAX)
        .map(|(rate, app)| {
            vec![
                app.app,
                format!("{}/s", bytes(rate as u64)),
                bytes(app.served_bytes),
                or_dash(app.disk.map(|disk| bytes(disk.bytes))),
                app.executors.to_string(),
                time(app.idle_s),
            ]
        })
        .collect();
    let head = [
        "APPLICATION",
        "SERVING",
        "SERVED",
        "ON DISK",
        "EXECUTORS",
        "IDLE",
    ];
    let mut text = format!(
        "{} · up {} · {} executors of {} applications · {} connections · {} on their way\n\n{}",
        status.state,
        time(status.uptime_s),
        status.executors,
        status.apps,
        status.connections,
        bytes(status.bytes_in_flight),
        table(&head, &[1, 2, 3, 4, 5], &rows)
    );
    if more > 0 {
        text.push_str(&format!("and {more} more\n"));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_busiest_come_first() {
        let app = |name: &str, served_bytes| v1::App {
            app: name.into(),
            served_bytes,
            ..v1::App::default()
        };
        let start = Instant::now();
        let mut rates = Rates::default();
        let first = rates.of(vec![app("a", 10), app("b", 50)], start);
        assert_eq!((first[0].0, &*first[0].1.app), (0.0, "b"));
        let later = start + Duration::from_secs(2);
        let second = rates.of(vec![app("a", 110), app("b", 52), app("new", 999)], later);
        let shown: Vec<_> = second
            .iter()
            .map(|(rate, app)| (*rate, &*app.app))
            .collect();
        assert_eq!(shown, [(50.0, "a"), (1.0, "b"), (0.0, "new")]);
    }
}
