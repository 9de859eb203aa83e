//! When a watch is begun again, event by event; no API server is asked.

use kube::core::Status;

use super::*;

type Event = watcher::Result<watcher::Event<v1::Pod>>;

fn refused() -> Event {
    let status = Status::failure("it is away", "InternalError").with_code(500);
    Err(watcher::Error::InitialListFailed(kube::Error::Api(
        status.boxed(),
    )))
}

fn gone() -> Event {
    let status = Status::failure("too old resource version", "Expired").with_code(GONE);
    Err(watcher::Error::WatchError(status.boxed()))
}

/// What a watch does with an event: notes it, and waits if it is an error.
fn waits(pause: &mut Pause, event: &Event) -> Option<Duration> {
    pause.note(event);
    if event.is_ok() {
        pause.reset();
        return None;
    }
    pause.next()
}

#[test]
fn a_list_that_is_asked_for_is_no_answer() {
    assert_eq!(tells_reached(&Ok(watcher::Event::Init)), None);
    assert_eq!(tells_reached(&Ok(watcher::Event::InitDone)), Some(true));
    assert_eq!(tells_reached(&refused()), Some(false));
    assert_eq!(tells_reached(&gone()), Some(true));
}

#[test]
fn an_outage_is_over_for_a_watch_soon_after_it_is() {
    let mut pause = Pause::default();
    let mut least = Vec::new();
    for _ in 0..10 {
        assert_eq!(waits(&mut pause, &Ok(watcher::Event::Init)), None);
        let waited = waits(&mut pause, &refused()).unwrap();
        assert!(waited <= PROBE_MAX, "{waited:?}");
        least.push(waited);
    }
    // Tries become rare, although each began with an event that was no error.
    assert!(least[0] <= PROBE_FIRST, "{least:?}");
    assert!(
        least[5..].iter().all(|waited| *waited >= PROBE_MAX / 2),
        "{least:?}"
    );
    // The API server is back and does not know where the watch was: a list follows at once.
    let waited = waits(&mut pause, &gone()).unwrap();
    assert!(waited <= PROBE_FIRST, "{waited:?}");
    assert_eq!(waits(&mut pause, &Ok(watcher::Event::InitDone)), None);
    let waited = waits(&mut pause, &refused()).unwrap();
    assert!(waited <= PROBE_FIRST, "{waited:?}");
}

#[test]
fn before_the_first_answer_the_api_server_is_not_lost() {
    let reach = Reach::default();
    assert!(!reach.is_reached() && !reach.is_lost());
    reach.set(false);
    assert!(!reach.is_reached() && reach.is_lost());
    reach.set(true);
    assert!(reach.is_reached() && !reach.is_lost());
}
