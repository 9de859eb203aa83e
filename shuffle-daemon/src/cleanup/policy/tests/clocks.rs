//! A node's clock that is set: its times of before and of after have no order.

use super::*;

/// An executor that is known by its id alone, and a directory of it.
fn by_id(world: &mut World, dir: &str, born: u64) {
    world.pods.clear();
    let executor = &mut world.apps[0].executors[0];
    (executor.pod, executor.driver) = (None, None);
    executor.dirs = vec![(0, dir.into())];
    world.entries = vec![entry(dir, born)];
}

fn apps(removed: &[Removal]) -> usize {
    let apps = removed.iter();
    apps.filter(|removal| matches!(removal, Removal::App { .. }))
        .count()
}

/// Seed 9760: the driver of an earlier run had ended by a clock that ran ahead, and the clock was set back. What a later
/// run of the id made then, while the API server was away, went as if the first driver had ended after it.
#[test]
fn an_end_by_a_clock_that_was_set_back_is_no_end_of_what_came_later() {
    let ended = Driver::Ended(UNIX_EPOCH + Duration::from_secs(4595));
    for restarted in [false, true] {
        let mut world = World::new();
        world.ahead = 3600;
        by_id(&mut world, DIR, 4590);
        assert!(apps(&world.removed(100, &ended)) > 0, "nobody removes it");
        world.ahead = 0;
        world.now += 60;
        let made = world.now - 10;
        by_id(&mut world, OTHER, made);
        world.apps[0].executors[0].number += 1;
        if restarted {
            world.policy = Policy::new(world.policy.settings.clone(), "node");
        }
        assert_eq!(apps(&world.removed(600, &ended)), 0);
        world.apps[0].idle = Duration::from_secs(1_000_000);
        assert!(apps(&world.removed(3600, &ended)) > 0, "idle");
    }
}

/// That a run lived when the clock showed later times proves nothing about what was made since.
#[test]
fn a_life_by_a_clock_that_was_set_back_is_none_since() {
    let mut world = World::new();
    world.ahead = 3600;
    world.at(5);
    world.ahead = 0;
    world.now += 60;
    let made = world.now - 10;
    by_id(&mut world, OTHER, made);
    let removed = world.removed(600, &Driver::Over);
    assert_eq!(apps(&removed), 0, "{removed:?}");
}

#[test]
fn a_clock_that_is_set_back_shows_times_twice() {
    let at = |seconds: u64| UNIX_EPOCH + Duration::from_secs(seconds);
    let mut clock = Clock::default();
    for now in 0..10 {
        assert_eq!(clock.note(Duration::from_secs(now), at(500 + now)), None);
    }
    assert_eq!(clock.note(Duration::from_secs(19), at(419)), Some(at(409)));
    for (time, doubtful) in [(408, false), (409, true), (519, true), (520, true)] {
        assert_eq!(clock.is_doubtful(at(time), at(419)), doubtful, "{time}");
    }
    // Later these times are past, and of before or after.
    assert!(clock.is_doubtful(at(519), at(600)) && !clock.is_doubtful(at(520), at(600)));
    // Set forward.
    assert_eq!(clock.note(Duration::from_secs(20), at(9000)), None);
}

/// Seed 56707: a clock that ran half a minute ahead took a Pod and was set right before the Pod made a directory; to a daemon
/// that has started since, the directory is older than the Pod, unless it asks when the Pod was given to the node.
#[test]
fn what_a_pod_made_after_the_clock_was_set_right_is_its_own() {
    let mut world = World::new();
    world.apps.clear();
    world.entries = vec![entry("spark-0fb05b2d-41f7-4a27-9bcd-1de0c1a6a3f4", 906)];
    let at = |seconds| Some(UNIX_EPOCH + Duration::from_secs(seconds));
    world.pods[0].scheduled = at(900);
    world.pods[0].started = at(931);
    let living = Driver::Living(owner("driver"));
    assert_eq!(world.removed(600, &living), []);
    world.pods.clear();
    assert_eq!(world.removed(20, &living).len(), 1);
}
