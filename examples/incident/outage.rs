//! A real HTTP server falls ill under an open-loop load: how soon the breaker opens, and how soon it closes again.
//!
//! In real time. Each run has a server, a client and 200 calls a second of its own, whatever becomes of those before: two
//! seconds of health, the illness until the breaker has opened and three seconds more, then health again.

use std::error::Error;
use std::fmt::Write;
use std::io;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use seawall::clock::Moment;
use seawall::event::{Event, Observer, State};
use seawall::prelude::*;
use seawall::{Time, Transition};
use serde_json::{Map, Value, json};
use tokio::sync::Notify;
use tokio::time::MissedTickBehavior;

use crate::server::{Illness, Server};

const PER_SECOND: u32 = 200;
/// A timeout of ten seconds, the default, is the longest that anything takes to show.
const LONGEST_WAIT: Duration = Duration::from_secs(10);
/// How much longer than that, or than callers wait, the illness lasts if nothing opens.
const GRACE: Duration = Duration::from_secs(3);

const ILLNESSES: [(&str, Illness); 5] = [
    ("hangs", Illness::Hangs),
    ("refuses", Illness::Refuses),
    ("answers_503", Illness::Unavailable),
    ("answers_slowly", Illness::Slow),
    ("fails_one_in_two", Illness::HalfFails),
];

/// README's is the one of `--openings`, too.
pub(crate) const README: &str = r#"
    [service]
    deadline   = "2s"
    timeout    = "800ms"
    breaker    = { failure_rate = 0.5, min_calls = 20, window = "30s", open_for = "60s", half_open_calls = 5, success_threshold = 2 }
    retry      = { max_attempts = 3, base_delay = "100ms", max_delay = "2s", jitter = "full", budget = 0.2 }
    bulkhead   = { max_concurrent = 20, max_wait = "250ms" }
    mailbox    = { capacity = 100, on_full = "error" }
    rate_limit = { token_bucket = { capacity = 200, refill_per_second = 100 } }
"#;

const POLICIES: [(&str, &str); 3] = [
    ("none", ""),
    ("readme", README),
    ("failure_rate_only", "service.breaker = { failure_rate = 0.5 }"),
];

/// How long callers wait before they give up, in seconds.
const PATIENCES: [&str; 3] = ["0.3", "1", "30"];

#[resilient]
trait Service {
    async fn ask(&self) -> io::Result<()>;
}

struct Http {
    client: reqwest::Client,
    url: String,
}

impl Service for Http {
    async fn ask(&self) -> io::Result<()> {
        let answer = self.client.get(&self.url).send().await.map_err(io::Error::other)?;
        answer.error_for_status().map_err(io::Error::other)?;
        Ok(())
    }
}

/// Which of them is run.
#[derive(Clone, Copy)]
struct Run {
    illness: (&'static str, Illness),
    policy: (&'static str, &'static str),
    patience: &'static str,
}

/// What came of it, in seconds.
struct Outcome {
    run: Run,
    opened_after: Option<f64>,
    recovered_after: Option<f64>,
    /// Openings while the server was well, or only slow.
    false_trips: usize,
}

/// Every move of the breaker.
#[derive(Clone, Default)]
struct Moves(Arc<(Mutex<Vec<Transition>>, Notify)>);

impl Moves {
    fn all(&self) -> Vec<Transition> {
        self.0.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn first(&self, to: State, since: Moment) -> Option<Moment> {
        let mut moves = self.all().into_iter();
        moves.find(|moved| moved.to == to && moved.at >= since).map(|moved| moved.at)
    }

    /// Looks after every move until there is something to be seen.
    async fn within<T>(&self, limit: Duration, look: impl Fn() -> Option<T>) -> Option<T> {
        let waits = async {
            loop {
                let moved = self.0.1.notified();
                if let Some(seen) = look() {
                    return seen;
                }
                moved.await;
            }
        };
        tokio::time::timeout(limit, waits).await.ok()
    }
}

impl Observer for Moves {
    fn on_event(&self, event: &Event) {
        if let Event::Transition { transition, .. } = event {
            self.0.0.lock().unwrap_or_else(PoisonError::into_inner).push(*transition);
            self.0.1.notify_waiters();
        }
    }
}

/// Runs all of them, or the quick ones; the page, and how many openings were none too few.
pub(crate) fn run(
    is_quick: bool,
    as_json: bool,
) -> Result<(String, Map<String, Value>), Box<dyn Error>> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let mut outcomes = Vec::new();
    for policy in POLICIES {
        if is_quick && policy.0 == "failure_rate_only" {
            continue;
        }
        eprintln!("{}: {} outages at once, about half a minute", policy.0, ILLNESSES.len() * 3);
        let patiences = PATIENCES.into_iter().filter(|patience| !is_quick || *patience == "1");
        let runs = patiences
            .flat_map(|patience| ILLNESSES.map(|illness| Run { illness, policy, patience }));
        let running: Vec<_> = runs.map(|run| runtime.spawn(outage(run))).collect();
        for running in running {
            let outcome = runtime.block_on(running)?.map_err(|error| error.to_string())?;
            eprintln!("  {}", line(&outcome));
            outcomes.push(outcome);
        }
    }
    let page = if as_json { String::new() } else { table(&outcomes) };
    Ok((page, json(&outcomes)))
}

async fn outage(run: Run) -> Result<Outcome, Box<dyn Error + Send + Sync>> {
    let text = |error: Box<dyn Error>| error.to_string();
    let start = || Server::start().map_err(text);
    let mut server = tokio::task::block_in_place(start)?;
    let moves = Moves::default();
    let seawall = Seawall::builder()
        .policy_text("outage.toml", run.policy.1)
        .observer(moves.clone())
        .start()?;
    // Its own retries are off: no budget would see them.
    let client = reqwest::Client::builder().retry(reqwest::retry::never()).no_proxy().build()?;
    let http = Http { client, url: server.url() };
    let client: ServiceClient<Http> = seawall.spawn("service", http).await?;
    let patience = Duration::from_secs_f64(run.patience.parse()?);
    let load = tokio::spawn(load(client, patience));
    let time = Time::system();
    time.sleep(Duration::from_secs(2)).await;

    let fell_ill = seawall.now();
    tokio::task::block_in_place(|| server.fall_ill(run.illness.1));
    let limit = patience.min(LONGEST_WAIT) + GRACE;
    let opened = moves.within(limit, || moves.first(State::Open, fell_ill)).await;
    time.sleep(GRACE).await;
    let recovered = seawall.now();
    tokio::task::block_in_place(|| server.recover().map_err(text))?;
    let is_closed = || match seawall.dependency("service") {
        Some(handle) if handle.state() == State::Closed => {
            Some(moves.first(State::Closed, recovered).unwrap_or(recovered))
        }
        _ => None,
    };
    let closed = moves.within(Duration::from_secs(60), is_closed).await;
    load.abort();
    seawall.shutdown(Duration::ZERO).await;

    let is_false = |moved: &&Transition| {
        moved.to == State::Open && (moved.at < fell_ill || run.illness.1 == Illness::Slow)
    };
    Ok(Outcome {
        run,
        opened_after: opened.map(|at| at.since(fell_ill).as_secs_f64()),
        recovered_after: opened.and(closed).map(|at| at.since(recovered).as_secs_f64()),
        false_trips: moves.all().iter().filter(is_false).count(),
    })
}

/// Calls, evenly, until it is aborted.
async fn load(client: ServiceClient<Http>, patience: Duration) {
    let mut ticks = tokio::time::interval(Duration::from_secs(1) / PER_SECOND);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Burst);
    loop {
        ticks.tick().await;
        let client = client.clone();
        tokio::spawn(async move { tokio::time::timeout(patience, client.ask()).await });
    }
}

fn seconds(seconds: Option<f64>) -> String {
    seconds.map_or_else(|| "never".to_owned(), |seconds| format!("{seconds:.2} s"))
}

fn line(outcome: &Outcome) -> String {
    let Run { illness, policy, patience } = outcome.run;
    format!(
        "{:<18} {:<18} {:>6} s {:>12} {:>12}",
        illness.0,
        policy.0,
        patience,
        seconds(outcome.opened_after),
        seconds(outcome.recovered_after),
    )
}

fn table(outcomes: &[Outcome]) -> String {
    let mut page = format!(
        "\nAn HTTP server falls ill under {PER_SECOND} calls a second.\n\n\
         the server         policy             patience    opened in    closed in\n"
    );
    for outcome in outcomes {
        // Writing to a String cannot fail.
        let _ = writeln!(page, "{}", line(outcome));
    }
    page
}

fn json(outcomes: &[Outcome]) -> Map<String, Value> {
    let round = |seconds: Option<f64>| seconds.map(|seconds| (seconds * 1e3).round() / 1e3);
    let mut result = Map::new();
    for outcome in outcomes {
        let Run { illness, policy, patience } = outcome.run;
        let figures = [
            ("opened_after_s", round(outcome.opened_after)),
            ("recovered_after_s", round(outcome.recovered_after)),
        ];
        for (figure, value) in figures {
            let place = result.entry(figure).or_insert_with(|| json!({}));
            place[illness.0][policy.0][patience] = json!(value);
        }
    }
    let false_trips: usize = outcomes.iter().map(|outcome| outcome.false_trips).sum();
    result.insert("false_trips".to_owned(), json!(false_trips));
    result
}
