//! Log lines on standard error: text on a terminal, JSON otherwise.

use std::io::IsTerminal;

use tracing::level_filters::LevelFilter;
use tracing_subscriber::filter::{ParseError, Targets};
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{Layer, Registry};

use crate::config::LogFormat;

/// Starts logging for the process.
///
/// # Errors
/// When the filter does not parse.
pub fn start(filter: &str, format: LogFormat) -> Result<(), ParseError> {
    let filter: Targets = filter.parse()?;
    // Said twice, so that calls below every level of the filter cost one comparison.
    let level = Layer::<Registry>::max_level_hint(&filter).unwrap_or(LevelFilter::TRACE);
    let builder = tracing_subscriber::fmt()
        .with_max_level(level)
        .with_writer(std::io::stderr);
    let text = match format {
        LogFormat::Text => true,
        LogFormat::Json => false,
        LogFormat::Auto => std::io::stderr().is_terminal(),
    };
    // A second start, in tests, keeps the first.
    let _ = if text {
        builder
            .with_ansi(std::io::stderr().is_terminal())
            .with_target(false)
            .finish()
            .with(filter)
            .try_init()
    } else {
        builder
            .json()
            .flatten_event(true)
            .with_current_span(true)
            .with_span_list(false)
            .finish()
            .with(filter)
            .try_init()
    };
    Ok(())
}
