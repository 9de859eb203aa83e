//! temporary
use anyhow::{Result, bail};

use super::Bench;
use crate::measure::Outcome;

pub(super) async fn run(_: &mut Bench) -> Result<Outcome> {
    bail!("not yet")
}
