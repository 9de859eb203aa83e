//! Clean-up in simulation: the real table of Pods, policy, look, admission and discovery among an API
//! server, disks, clocks and applications that are simulated, with everything going wrong that can.
//!
//! `SIM_SCHEDULES` says how many schedules are run (2,000); `SIM_SEED=…` runs one alone and tells its
//! story. `judge` and `deadline` say what must hold after each.

#![allow(
    clippy::print_stdout,
    reason = "figures, progress, and the story of a seed"
)]
#![allow(clippy::panic, reason = "a test ends so, also outside of its function")]

mod admit;
mod api;
mod broken;
mod clock;
mod cluster;
mod daemon;
mod deadline;
mod disk;
mod judge;
mod load;
mod object;
mod pods;
mod registry;
mod rng;
mod spark;
mod stories;
mod watch;
mod world;

use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use world::{END, World};

/// Schedules when nobody says otherwise.
const SCHEDULES: u64 = 2000;
/// Within so many schedules a broken policy must be found out; the real one passes them all, so
/// that what is found is the broken one's fault.
const CAUGHT_WITHIN: u64 = SCHEDULES;
const SHOWN_MAX: usize = 8;

fn number(variable: &str) -> Option<u64> {
    let text = std::env::var(variable).ok()?;
    let number = text.parse();
    Some(number.unwrap_or_else(|_| panic!("{variable}={text} is no number")))
}

/// What all schedules came to.
#[derive(Debug, Default)]
struct Sums {
    trees: u64,
    tidied: u64,
    orphans: u64,
    oldest: u64,
    faults: Vec<u64>,
}

fn run_all(schedules: u64) -> Sums {
    let sums = Mutex::new(Sums::default());
    let next = AtomicU64::new(0);
    let began = Instant::now();
    let work = || {
        loop {
            let seed = next.fetch_add(1, Ordering::Relaxed);
            if seed >= schedules {
                break;
            }
            let mut world = World::random(seed, None, false);
            let end = world.run(END);
            let mut sums = sums.lock().expect("no panic elsewhere");
            sums.trees += world.judge.trees;
            sums.tidied += world.judge.tidied;
            sums.orphans += world.judge.orphans;
            sums.oldest = sums.oldest.max(world.judge.oldest);
            if let Err(fault) = end {
                println!("SIM_SEED={seed} at {fault}");
                sums.faults.push(seed);
            }
            if (seed + 1).is_multiple_of(10_000) {
                let rate = (seed + 1) as f64 / began.elapsed().as_secs_f64();
                println!(
                    "{} schedules, {rate:.0}/s, faults: {}",
                    seed + 1,
                    sums.faults.len()
                );
            }
        }
    };
    std::thread::scope(|scope| {
        for _ in 0..std::thread::available_parallelism().map_or(1, usize::from) {
            scope.spawn(work);
        }
    });
    sums.into_inner().expect("no panic elsewhere")
}

#[test]
fn no_byte_of_a_living_owner_goes_and_no_orphan_stays() {
    if let Some(seed) = number("SIM_SEED") {
        let mut world = World::random(seed, None, true);
        let end = world.run(END);
        println!("{}", world.story.unwrap_or_default().join("\n"));
        end.unwrap_or_else(|fault| panic!("SIM_SEED={seed} at {fault}"));
        return;
    }
    let schedules = number("SIM_SCHEDULES").unwrap_or(SCHEDULES);
    let began = Instant::now();
    let sums = run_all(schedules);
    let rate = schedules as f64 / began.elapsed().as_secs_f64();
    println!(
        "{schedules} schedules, {rate:.0}/s: {} trees and {} leftovers removed, {} looks at orphans, the oldest {} s",
        sums.trees,
        sums.tidied,
        sums.orphans,
        sums.oldest / 1000
    );
    let shown = &sums.faults[..sums.faults.len().min(SHOWN_MAX)];
    assert!(
        sums.faults.is_empty(),
        "{} of {schedules} schedules show faults; each replays with SIM_SEED=… cargo test -p e2e --test sim: {shown:?}",
        sums.faults.len(),
    );
    let enough = sums.trees > schedules && sums.tidied > schedules && sums.orphans > schedules;
    assert!(enough, "too little happened: {sums:?}");
}

#[test]
fn broken_policies_are_caught() {
    for broken in broken::ALL {
        let fault = (0..CAUGHT_WITHIN).find_map(|seed| {
            let fault = World::random(seed, Some(broken), false).run(END).err()?;
            Some(format!("seed {seed} at {fault}"))
        });
        let fault = fault.unwrap_or_else(|| panic!("{broken:?} was not caught"));
        println!("{broken:?}: {}", &fault[..fault.len().min(160)]);
    }
}
