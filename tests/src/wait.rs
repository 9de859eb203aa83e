//! Waiting for conditions instead of sleeping.

use std::time::{Duration, Instant};

use anyhow::bail;

/// How long a condition may take to come true.
pub const LIMIT: Duration = Duration::from_secs(60);
const PAUSE: Duration = Duration::from_millis(5);

/// Asks until the answer is yes.
///
/// # Errors
/// When it is still no after [`LIMIT`].
pub async fn until(what: &str, mut holds: impl AsyncFnMut() -> bool) -> anyhow::Result<()> {
    let end = Instant::now() + LIMIT;
    while !holds().await {
        if Instant::now() > end {
            bail!("{what}: not within {LIMIT:?}");
        }
        tokio::time::sleep(PAUSE).await;
    }
    Ok(())
}
