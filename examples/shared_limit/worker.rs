//! One of the processes.

use std::io::{self, Write as _};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use seawall::Time;
use seawall::clock::Moment;
use seawall::distributed::{DecidedBy, Redis, Request, SharedLimit, SharedLimits};
use seawall::limit::Config;
use seawall::prelude::*;
use serde_json::json;
use tokio::task::JoinSet;

use crate::args::Args;

/// They ask for so many times what the limit admits.
const OVERLOAD: f64 = 3.0;

#[derive(Default)]
struct Counts {
    admitted: AtomicU64,
    refused: AtomicU64,
    undecided: AtomicU64,
}

#[tokio::main(flavor = "current_thread")]
pub(crate) async fn run(args: &Args, url: &str) -> Result<(), crate::Error> {
    let seawall = Seawall::builder().start()?;
    let redis = Redis::builder(url).namespace(&args.namespace).build()?;
    let store = seawall.guard_store("limits", redis).await?;
    let config = Config::token_bucket(args.burst, args.rate as f64)?;
    let limit = SharedLimit::new("api", config).mode(args.mode.into()).lease(args.lease());
    let limits = SharedLimits::builder(store).limit(limit).build()?;
    // Connects, so that all begin with a connection; takes nothing.
    limits.show(&Request::default()).await?;
    let time = Time::system();
    say(&Counts::default(), 0.0, false)?;
    let mut go = String::new();
    io::stdin().read_line(&mut go)?;
    ask(args, &limits, &time).await?;
    limits.leave().await;
    seawall.shutdown(Duration::from_secs(1)).await;
    Ok(())
}

/// Asks at its part of three times the rate, whatever becomes of it, and says each second what has.
async fn ask(args: &Args, limits: &SharedLimits, time: &Time) -> Result<(), crate::Error> {
    let counts = Arc::new(Counts::default());
    let gap = args.processes as f64 / (OVERLOAD * args.rate as f64);
    let begin = time.now();
    let length = Duration::from_secs(args.seconds);
    let mut tasks = JoinSet::new();
    let mut said = 0;
    for number in 0_u64.. {
        let due: Moment = begin + Duration::from_secs_f64(gap * number as f64);
        if due.since(begin) >= length {
            break;
        }
        time.sleep_until(due).await;
        let (limits, of_all) = (limits.clone(), Arc::clone(&counts));
        tasks.spawn(async move { one(&limits, &of_all).await });
        while tasks.try_join_next().is_some() {}
        let seconds = time.now().since(begin);
        if seconds.as_secs() > said && said + 1 < args.seconds {
            said += 1;
            say(&counts, seconds.as_secs_f64(), false)?;
        }
    }
    time.sleep_until(begin + length).await;
    while tasks.join_next().await.is_some() {}
    // As many lines from each, however busy the machine is.
    while said + 1 < args.seconds {
        said += 1;
        say(&counts, said as f64, false)?;
    }
    Ok(say(&counts, time.now().since(begin).as_secs_f64(), true)?)
}

async fn one(limits: &SharedLimits, counts: &Counts) {
    let decision = limits.check(&Request::default(), 1).await;
    let count = if decision.decision.allowed { &counts.admitted } else { &counts.refused };
    count.fetch_add(1, Ordering::Relaxed);
    if matches!(decision.by, DecidedBy::Failure(_)) {
        counts.undecided.fetch_add(1, Ordering::Relaxed);
    }
}

fn say(counts: &Counts, seconds: f64, ended: bool) -> io::Result<()> {
    let line = json!({
        "admitted": counts.admitted.load(Ordering::Relaxed),
        "refused": counts.refused.load(Ordering::Relaxed),
        "undecided": counts.undecided.load(Ordering::Relaxed),
        "seconds": seconds,
        "ended": ended,
    });
    writeln!(io::stdout(), "{line}")
}
