//! What all nodes of the largest cluster together ask of the API server: the real policy and look of clean-up
//! on 5,000 nodes with 10 applications each, in simulated time. Figures are printed, and bounded.
//!
//! All requests but the watches themselves are counted, each in its second. Answers are the simplest that
//! fit to what happens.

mod node;
mod requests;

use node::{Node, Story};
use requests::{Kind, Requests};

/// Nodes of the largest cluster that Kubernetes supports.
const NODES: u64 = 5000;
/// Applications on each, every one quiet here: executors are gone, drivers are asked for.
const APPS: usize = 10;

fn run(story: &Story) -> Requests {
    let threads = std::thread::available_parallelism().map_or(1, usize::from) as u64;
    let part = |thread: u64| {
        let mut requests = Requests::default();
        for node in (0..NODES).filter(|node| node % threads == thread) {
            Node::new(node, APPS).live(story, &mut requests);
        }
        requests
    };
    let mut all = Requests::default();
    std::thread::scope(|scope| {
        let part = &part;
        let threads: Vec<_> = (0..threads)
            .map(|thread| scope.spawn(move || part(thread)))
            .collect();
        for thread in threads {
            all.add(&thread.join().expect("no panic"));
        }
    });
    all
}

fn tell(what: &str, requests: &Requests, from: usize, to: usize) {
    println!("{what} ({NODES} nodes x {APPS} applications), requests per second:");
    for (kind, mean, peak) in requests.rates(from, to) {
        println!("  {:<12} mean {mean:>6.0}  peak {peak:>6}", kind.label());
    }
}

/// Drivers live, executors are elsewhere: each node asks for each driver, from the cache, at a steady
/// pace, and lists nothing. 50,000 questions in 45 s are 1,111 a second.
#[test]
fn quiet_applications_cost_a_steady_pace() {
    let story = Story {
        ends: 240,
        ..Story::default()
    };
    let requests = run(&story);
    tell("steady", &requests, 60, 240);
    let (mean, peak) = requests.total(60, 240);
    assert!(mean < 1200.0, "{mean}");
    assert!(peak < 1800, "{peak}");
    assert_eq!(requests.exact(60, 240), 0, "nothing was to be removed");
}

/// All daemons begin in one second, as after a power cut.
#[test]
fn daemons_that_begin_together_do_not_ask_together() {
    let story = Story {
        ends: 120,
        ..Story::default()
    };
    let requests = run(&story);
    tell("all daemons begin", &requests, 0, 120);
    // Each lists once for its watch; no second after that is worse than the first.
    let (_, peak) = requests.total(2, 120);
    assert!(peak < 2500, "{peak}");
}

/// The API server is away for a minute, and everybody waits for it.
#[test]
fn an_api_server_that_comes_back_is_not_overrun() {
    let story = Story {
        away: Some((90, 150)),
        ends: 300,
        ..Story::default()
    };
    let requests = run(&story);
    tell("away", &requests, 95, 150);
    let (mean, peak) = requests.total(95, 150);
    assert!(mean < 1000.0 && peak < 2500, "tries: {mean}, {peak}");
    tell("back", &requests, 150, 300);
    let (_, peak) = requests.total(150, 300);
    assert!(peak < 3000, "{peak}");
}

/// An application that ran on every node is over: each node makes sure once, within the minute.
#[test]
fn the_end_of_an_application_on_all_nodes_is_confirmed_once_by_each() {
    let story = Story {
        over: Some(100),
        ends: 180,
        ..Story::default()
    };
    let requests = run(&story);
    tell("an application on all nodes ends", &requests, 100, 180);
    let lists = requests.of(Kind::List, 100, 180);
    assert_eq!(lists, NODES);
    let removed = &requests.removed;
    assert!(removed.len() as u64 == NODES && removed.iter().all(|after| *after < 60));
    let (_, peak) = requests.total(100, 180);
    assert!(peak < 2500, "{peak}");
}
