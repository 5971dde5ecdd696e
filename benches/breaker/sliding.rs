//! Who really slides. A window that keeps what it has ever seen opens as late as it has been healthy.

use std::time::Duration;

use seawall::breaker::Window;
use seawall::clock::Clock;

use super::peers::{MIN_CALLS, Peer};

/// The successes before the first failure.
const SUCCESSES: u32 = 1_000_000;
/// The same by time; fewer, for one peer looks at each of them at each call.
const TIMED_SUCCESSES: u32 = 10_000;
/// The window by time: the shortest that all have.
const LENGTH: Duration = Duration::from_secs(1);

/// A breaker to be looked at, made anew with this window.
pub(crate) type Make = dyn Fn(Window) -> Box<dyn Peer>;

/// Prints how late each opens after a million successes, and returns who slides: who needs no more failures
/// than the window holds calls, and counts them too when every other call succeeds. A run of failures
/// passes the first and not the second.
pub(crate) fn by_calls(calls: u32, all: &[(&'static str, &Make)]) -> Vec<&'static str> {
    let title = format!("window of {calls} calls, 50 %, after {SUCCESSES} successes");
    println!("\nUntil it opens: {title}");
    println!("| breaker | failures | failures, every other call a success | slides |");
    println!("| --- | --- | --- | --- |");
    let limit = SUCCESSES + calls;
    let mut sliding = Vec::new();
    for (name, make) in all {
        let [in_a_row, alternating] = [false, true].map(|alternating| {
            let peer = make(Window::Calls(calls));
            assert_eq!(peer.calls(SUCCESSES, false), SUCCESSES, "{name}: refuses a success");
            failures_until_open(&*peer, limit, alternating)
        });
        let within = |failures: Option<u32>| failures.is_some_and(|failures| failures <= calls);
        let slides = within(in_a_row) && within(alternating);
        let [in_a_row, alternating] = [in_a_row, alternating].map(|failures| show(failures, limit));
        println!("| {name} | {in_a_row} | {alternating} | {} |", yes(slides));
        sliding.extend(slides.then_some(*name));
    }
    sliding
}

/// The same by time. It slides if successes older than the window count no longer, and if those within it
/// count as much as as many failures do.
pub(crate) fn by_time(all: &[(&'static str, &Make)]) -> Vec<&'static str> {
    println!(
        "\nFailures until it opens, after {TIMED_SUCCESSES} successes that have left a window of \
         {LENGTH:?}, and after as many within it: 50 %, at least {MIN_CALLS} calls"
    );
    println!("| breaker | failures, all successes gone | failures, none gone | slides |");
    println!("| --- | --- | --- | --- |");
    let pairs: Vec<_> = all
        .iter()
        .map(|(name, make)| (*name, [0, 1].map(|_| make(Window::Time(LENGTH)))))
        .collect();
    for (_, pair) in &pairs {
        for peer in pair {
            peer.calls(TIMED_SUCCESSES, false);
        }
    }
    pass(LENGTH + LENGTH / 10);
    let limit = 2 * TIMED_SUCCESSES;
    let mut sliding = Vec::new();
    for (name, [empty, full]) in &pairs {
        let gone = failures_until_open(&**empty, limit, false);
        full.calls(TIMED_SUCCESSES, false);
        let none_gone = failures_until_open(&**full, limit, false);
        let slides = gone.is_some_and(|failures| failures <= MIN_CALLS)
            && none_gone.is_some_and(|failures| failures <= TIMED_SUCCESSES);
        println!(
            "| {name} | {} | {} | {} |",
            show(gone, limit),
            show(none_gone, limit),
            yes(slides)
        );
        sliding.extend(slides.then_some(*name));
    }
    sliding
}

/// How many failures it lets through, with a success after each if they are to alternate; `None` if it
/// has not opened after `limit` of them.
pub(crate) fn failures_until_open(peer: &dyn Peer, limit: u32, alternating: bool) -> Option<u32> {
    (0..=limit).find(|_| {
        let refused = peer.calls(1, true) == 0;
        if alternating && !refused {
            peer.calls(1, false);
        }
        refused
    })
}

/// Lets the system's clock go on: the peers read no other.
fn pass(time: Duration) {
    let clock = Clock::system();
    let until = clock.now() + time;
    while clock.now() < until {
        std::thread::yield_now();
    }
}

fn show(failures: Option<u32>, limit: u32) -> String {
    failures.map_or_else(|| format!("more than {limit}"), |failures| failures.to_string())
}

fn yes(slides: bool) -> &'static str {
    if slides { "yes" } else { "**no**" }
}
