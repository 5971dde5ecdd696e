//! The circuit breaker alone, beside its peers: an admitted success and a refusal.
//!
//! What a line includes. Every breaker is shared by all threads of a run, and is asked for one call that
//! answers at once, with the answer handed back.
//! * *seawall, told the time*: admit and record, by a caller who has read the clock for reasons of its
//!   own, as Seawall's pipeline has. *One clock read*, *two clock reads*: what a lone breaker's user
//!   pays, who reads it for the breaker's sake. *Awaited*: as with two, in a runtime.
//! * recloser, failsafe and circuitbreaker-rs: their synchronous `call`, which reads the clock itself
//!   where it has need of it. Recloser reads none while closed; circuitbreaker-rs reads three.
//! * tower-resilience has no synchronous call: `poll_ready` and `call` of one clone for each thread,
//!   awaited in a runtime, its boxed future included.
//!
//! A window that never forgets is cheap, and useless. So each peer is asked first when it opens after a
//! million successes, and a target while closed is a ratio to the best of those that slide; what does
//! not is listed all the same, and says so. While open all of them are measured against.

#![allow(clippy::print_stdout, reason = "a bench prints its figures")]

mod breaker {
    pub(crate) mod peers;
    pub(crate) mod sliding;
}

use std::hint::black_box;
use std::time::Duration;

use breaker::peers::{self, Peer, Told};
use breaker::sliding::{self, Make, failures_until_open};
use seawall::breaker::Window;
use seawall_benches::{Contender, Effort, Figures, compare};

/// At most this share of the best peer's time while closed, and while open.
const CLOSED_TARGET: f64 = 0.5;
const OPEN_TARGET: f64 = 0.4;

/// The window by time, and the one that tower-resilience can be measured with: it looks at every call
/// in the window at every call.
const LONG: Window = Window::Time(Duration::from_secs(30));
const SHORT: Window = Window::Time(Duration::from_millis(1));

const OURS: [(&str, Told); 4] = [
    ("seawall, told the time", Told::Anyway),
    ("seawall, one clock read", Told::Once),
    ("seawall, two clock reads", Told::Twice),
    ("seawall, two clock reads, awaited", Told::Awaited),
];

const BY_CALLS: [(&str, &Make); 4] = [
    ("recloser", &peers::recloser),
    ("failsafe, in a row", &peers::failsafe_consecutive),
    ("circuitbreaker-rs", &peers::rs_rate),
    ("tower-resilience", &peers::tower),
];

const BY_TIME: [(&str, &Make); 3] = [
    ("failsafe, by time", &peers::failsafe_average),
    ("circuitbreaker-rs, by time", &peers::rs_time),
    ("tower-resilience, by time", &peers::tower),
];

/// One line of a table.
struct Line {
    name: String,
    /// Whether a target is a ratio to it.
    counts: bool,
    peer: Box<dyn Peer>,
}

fn ours(window: Window) -> Vec<Line> {
    let line = |(name, told): (&str, Told)| Line {
        name: name.to_owned(),
        counts: false,
        peer: peers::ours(told, window),
    };
    OURS.map(line).into()
}

fn theirs(name: &str, window: Window, make: &Make, slides: bool) -> Line {
    let name = if slides { name.to_owned() } else { format!("{name} (does not slide)") };
    Line { name, counts: slides, peer: make(window) }
}

/// Times the lines, then prints how ours stand to the best of the peers that count.
fn table(title: &str, effort: Effort, target: f64, let_through: bool, lines: &[Line]) {
    let contenders: Vec<_> = lines
        .iter()
        .map(|Line { name, peer, .. }| {
            Contender::new(name, move |n| {
                let expected = if let_through { n } else { 0 };
                assert_eq!(black_box(peer.calls(n, false)), expected, "{name}");
            })
        })
        .collect();
    let figures = compare(title, effort, &contenders);
    let counts = |f: &&Figures| lines.iter().any(|line| line.counts && line.name == f.name);
    println!(
        "\n| threads | ours | the best peer that counts | ours ÷ it, median | least | target |"
    );
    println!("| --- | --- | --- | --- | --- | --- |");
    for own in figures.iter().filter(|f| f.name.starts_with("seawall")) {
        let best = figures
            .iter()
            .filter(|f| f.threads == own.threads)
            .filter(counts)
            .min_by(|a, b| a.median().total_cmp(&b.median()));
        let Some(best) = best else { continue };
        let ratio = own.ratio_to(best);
        let met = if ratio.median() <= target { "met" } else { "missed" };
        println!(
            "| {} | {} | {} | {:.2}× | {:.2}× | ≤ {target}×: {met} |",
            own.threads,
            own.name,
            best.name,
            ratio.median(),
            ratio.least(),
        );
    }
}

fn closed_by_calls(calls: u32, effort: Effort) {
    let window = Window::Calls(calls);
    let told: &Make = &|window| peers::ours(Told::Anyway, window);
    let mut all = vec![("seawall", told)];
    all.extend(BY_CALLS);
    let sliding = sliding::by_calls(calls, &all);
    assert!(sliding.contains(&"seawall"), "ours does not slide");
    let mut lines = ours(window);
    for (name, make) in BY_CALLS {
        lines.push(theirs(name, window, make, sliding.contains(&name)));
    }
    let title = format!("Closed, a success, window of {calls} calls");
    table(&title, effort, CLOSED_TARGET, true, &lines);
}

fn closed_by_time(effort: Effort) {
    let told: &Make = &|window| peers::ours(Told::Anyway, window);
    let mut all = vec![("seawall", told)];
    all.extend(BY_TIME);
    let sliding = sliding::by_time(&all);
    assert!(sliding.contains(&"seawall"), "ours does not slide");
    let mut lines = ours(LONG);
    for (name, make) in BY_TIME {
        let (name, window) = match name {
            "tower-resilience, by time" => ("tower-resilience, by time, 1 ms only", SHORT),
            _ => (name, LONG),
        };
        let slides = sliding.iter().any(|sliding| name.starts_with(sliding));
        lines.push(theirs(name, window, make, slides));
    }
    // The bar that the windows by calls have: ours must cost the same whatever the window.
    lines.push(Line {
        name: "recloser, 100 calls".to_owned(),
        counts: true,
        peer: peers::recloser(Window::Calls(100)),
    });
    table("Closed, a success, window of 30 s", effort, CLOSED_TARGET, true, &lines);
}

fn open(effort: Effort) {
    let window = Window::Calls(100);
    let mut lines = ours(window);
    // A refusal is found out before the second read.
    lines.retain(|line| line.name != "seawall, two clock reads");
    for (name, make) in BY_CALLS {
        lines.push(theirs(name, window, make, true));
    }
    for line in &lines {
        let failures = failures_until_open(&*line.peer, 1_000, false);
        assert!(failures.is_some(), "{} does not open", line.name);
    }
    table("Open, a refusal", effort, OPEN_TARGET, false, &lines);
}

fn main() {
    let effort = Effort::from_args();
    closed_by_calls(100, effort);
    closed_by_calls(10_000, effort);
    closed_by_time(effort);
    open(effort);
}
