//! Application ids that are used again: what only the id gives to an application, and what is known of runs.

use super::*;

fn scoped(executor: &str, born: u64) -> Entry {
    Entry {
        app: Some(APP.into()),
        executor: Some(executor.into()),
        ..entry(&format!("{APP}/{executor}/{OTHER}"), born)
    }
}

/// A registered executor that no Pod has confirmed.
fn unverified() -> AppView {
    let mut app = app("exec", None);
    app.executors[0].pod = None;
    app
}

fn removed_dirs(removed: &[Removal]) -> Vec<&str> {
    let dirs = removed.iter().flat_map(|removal| match removal {
        Removal::App { dirs, .. } => dirs.as_slice(),
        _ => &[],
    });
    dirs.map(|(_, dir)| dir.as_str()).collect()
}

/// Seed 9992: a list from a cache that was older than an outage still showed a Pod of an earlier run, and gave that
/// run an executor that had registered meanwhile, which went with its driver.
#[test]
fn a_table_from_an_old_cache_proves_no_life() {
    let mut world = World::new();
    world.apps = vec![unverified()];
    world.entries = vec![entry(DIR, 1000)];
    let table = watch("9").1.snapshot();
    for _ in 0..3 {
        world.look(5, &table);
    }
    world.pods.clear();
    let mut removed = Vec::new();
    for _ in 0..60 {
        let decision = world.at(5);
        for ask in &decision.asks {
            let answer = match ask {
                Ask::Driver { .. } => Driver::Over,
                Ask::FindDriver { .. } => Driver::Unknown,
            };
            world.answer(ask, Some(answer));
        }
        removed.extend(decision.removals);
    }
    assert_eq!(removed_dirs(&removed), [""; 0]);
    // Where the table is minutes younger than the directory, there is no doubt.
    let mut world = World::new();
    world.apps = vec![unverified()];
    world.look(5, &table);
    world.pods.clear();
    assert!(removed_dirs(&world.removed(120, &Driver::Over)).contains(&DIR));
}

/// Seed 3275: what only a path gave to an application went as idle, while the driver of the application was known to
/// live, for another executor of it.
#[test]
fn what_only_the_id_gives_stays_while_any_run_of_it_goes_on() {
    let mut world = World::new();
    world.pods.clear();
    world.apps[0].idle = Duration::from_secs(1_000_000);
    // By a clock that ran ahead.
    world.entries.push(scoped("5", 90_000));
    let living = Driver::Living(owner("driver"));
    for _ in 0..2000 {
        let decision = world.at(5);
        for ask in &decision.asks {
            let answer = match ask {
                Ask::Driver { .. } => living.clone(),
                Ask::FindDriver { .. } => panic!("{ask:?} would change nothing"),
            };
            world.answer(ask, Some(answer));
        }
        assert_eq!(removed_dirs(&decision.removals), [""; 0]);
    }
    let removed = world.removed(4000, &Driver::Over);
    assert!(removed_dirs(&removed).contains(&DIR));
    // It may be of a run that nobody has seen, so it is asked for.
    let removed = world.removed(4000, &Driver::Unknown);
    assert!(removed_dirs(&removed).iter().any(|dir| dir.contains(OTHER)));
}

/// Seed 427: executors whose driver is no Pod waited for what only their id gives to their application.
#[test]
fn what_kubernetes_confirmed_waits_for_no_other_run() {
    let mut world = World::new();
    world.pods.clear();
    world.apps = vec![app("exec", None)];
    world.apps[0].idle = Duration::from_secs(1_000_000);
    let mut second = app("other", Some("driver")).executors.remove(0);
    (second.id, second.dirs) = ("2".into(), vec![(0, OTHER.into())]);
    world.apps[0].executors.push(second);
    world.entries = vec![entry(DIR, 100), entry(OTHER, 100), scoped("5", 90_000)];
    let removed = world.removed(4000, &Driver::Living(owner("driver")));
    let mut dirs = removed_dirs(&removed);
    dirs.dedup();
    assert_eq!(dirs, [DIR]);
}

/// Fetches from executors that are registered say that an application goes on.
#[test]
fn a_directory_without_a_registration_is_as_idle_as_its_application() {
    let mut world = World::new();
    world.pods.clear();
    world.apps = vec![unverified()];
    world.entries = vec![entry(DIR, 90_000), scoped("5", 90_000)];
    let removed = world.removed(7200, &Driver::Unknown);
    assert_eq!(removed_dirs(&removed), [""; 0]);
    world.apps[0].idle = Duration::from_secs(3600);
    let removed = world.removed(600, &Driver::Unknown);
    let mut dirs = removed_dirs(&removed);
    dirs.sort_unstable();
    dirs.dedup();
    assert_eq!(dirs.len(), 2);
}

/// Seed 3088: a cache called the driver of an earlier run living, so that what a later run had made before this answer
/// went with it.
#[test]
fn a_driver_that_a_cache_calls_living_owns_nothing_young() {
    let mut world = World::new();
    world.pods.clear();
    world.apps = vec![unverified()];
    world.entries = vec![entry(DIR, 1000)];
    let mut asks = Vec::new();
    for _ in 0..60 {
        let decision = world.at(5);
        assert_eq!(removed_dirs(&decision.removals), [""; 0]);
        for ask in decision.asks {
            let answer = match (&ask, asks.len()) {
                (Ask::FindDriver { .. }, 0) => Driver::Living(owner("driver")),
                (Ask::FindDriver { .. }, _) => Driver::Living(owner("second")),
                (Ask::Driver { owner, .. }, _) if owner.uid == "driver" => Driver::Over,
                (Ask::Driver { owner, .. }, _) => Driver::Living(owner.clone()),
            };
            world.answer(&ask, Some(answer));
            asks.push(ask);
        }
    }
    let found = asks.iter().skip(1);
    let exact = |ask: &&Ask| matches!(ask, Ask::FindDriver { exact: true, .. });
    assert_eq!(found.clone().filter(exact).count(), 1, "{asks:?}");
}

/// After a lost state directory: the driver that was found is asked for once more by name, past the cache, so that what
/// was made before goes within a minute of its end.
#[test]
fn what_was_made_before_a_driver_certainly_lived_goes_with_it() {
    let mut world = World::new();
    world.apps.clear();
    world.pods.clear();
    world.entries = vec![scoped("1", 1000)];
    let living = Driver::Living(owner("driver"));
    let asks = world.at(5).asks;
    assert!(!asks[0].is_exact());
    world.answer(&asks[0], Some(living.clone()));
    assert!(world.policy.take_news());
    let asks = world.at(0).asks;
    assert!(matches!(asks[0], Ask::Driver { .. }) && asks[0].is_exact());
    world.answer(&asks[0], Some(living));
    let removed = world.removed(60, &Driver::Over);
    assert!(removed_dirs(&removed).iter().any(|dir| dir.contains(OTHER)));
}

/// Seed 1299: removals that took long were taken for an outage, after which all nodes wait before they ask.
#[test]
fn a_look_that_takes_long_is_no_pause() {
    let mut world = World::new();
    world.at(5);
    world.pods.clear();
    for _ in 0..5 {
        let decision = world.at(5);
        assert!(!world.policy.pace.resumes);
        let slow = decision
            .removals
            .first()
            .map_or_else(leftovers, Clone::clone);
        for _ in 0..3 {
            world.now += 10;
            let now = Duration::from_secs(world.now);
            world.policy.removed(&slow, true, now);
        }
    }
    world.at(40);
    assert!(world.policy.pace.resumes);
}
