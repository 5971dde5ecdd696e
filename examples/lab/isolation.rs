//! One of ten dependencies hangs: what the other nine keep.
//!
//! An application of 80 workers answers 1,000 requests a second. Each needs a worker for as long as it lasts, and makes one
//! call of one of ten dependencies, which takes 20 ms. From 20 s to 60 s one of them does not answer at all. A request that gets no
//! worker within 250 ms is lost.

use std::cell::{Cell, RefCell};
use std::io;
use std::rc::Rc;
use std::time::Duration;

use seawall::simulation::{Client, TaskContext, World};
use serde_json::{Map, Value, json};
use tokio::sync::Semaphore;

use crate::chart::{self, Series};
use crate::progress::Progress;
use crate::scenarios::{Found, Result};
use crate::seen::{ONE, OTHERS, Seen};
use crate::stacks::policy;

const DEPENDENCIES: usize = 10;
const WORKERS: usize = 80;
const RATE: f64 = 1_000.0;
const LASTS: u64 = 80;
const HANGS: std::ops::Range<u64> = 20..60;
const WORK: Duration = Duration::from_millis(20);
const PATIENCE: Duration = Duration::from_millis(250);

/// Each by its name: what stands in the policy file of every dependency.
const STACKS: [(&str, &str); 4] = [
    (
        "nothing",
        "timeout = '10s'\ndeadline = '10s'\nbreaker = { mode = 'disabled' }\nbulkhead = { max_concurrent = 100_000 }",
    ),
    (
        "timeout",
        "timeout = '1s'\ndeadline = '1s'\nbreaker = { mode = 'disabled' }\nbulkhead = { max_concurrent = 100_000 }",
    ),
    (
        "bulkhead",
        "timeout = '1s'\ndeadline = '1s'\nbreaker = { mode = 'disabled' }\nbulkhead = { max_concurrent = 10, max_wait = '50ms' }",
    ),
    ("seawall", "timeout = '1s'\ndeadline = '1s'\nbulkhead = { max_wait = '50ms' }"),
];

struct Application {
    context: TaskContext,
    workers: Semaphore,
    clients: Vec<Client>,
    seen: RefCell<Seen>,
    /// The most requests that were in it at once.
    inside: Cell<usize>,
    peak: Cell<usize>,
}

impl Application {
    async fn serve(self: Rc<Self>, which: usize) {
        let second = self.context.elapsed().as_secs();
        let kind = if which == 0 { ONE } else { OTHERS };
        self.seen.borrow_mut().came(kind, second);
        self.inside.set(self.inside.get() + 1);
        self.peak.set(self.peak.get().max(self.inside.get()));
        if self.answer(which).await.is_some() {
            self.seen.borrow_mut().answered(kind, second);
        }
        self.inside.set(self.inside.get() - 1);
    }

    async fn answer(&self, which: usize) -> Option<()> {
        let patience = self.context.sleep(PATIENCE);
        let _worker = tokio::select! {
            biased;
            worker = self.workers.acquire() => worker.ok()?,
            () = patience => return None,
        };
        let call = self.clients[which].call_idempotent(async || {
            if which == 0 && HANGS.contains(&self.context.elapsed().as_secs()) {
                std::future::pending::<()>().await;
            }
            self.context.sleep(WORK).await;
            Ok::<_, io::Error>(())
        });
        call.await.ok()
    }
}

fn simulate(
    text: &str,
    seed: u64,
) -> std::result::Result<(Seen, usize), Box<dyn std::error::Error>> {
    let policy = policy(&format!("{text}\nretry = {{ max_attempts = 1 }}"))?;
    let world = World::new(seed);
    let context = world.context();
    let application = Rc::new(Application {
        clients: (0..DEPENDENCIES)
            .map(|which| Client::new(&context, &format!("dependency_{which}"), policy.clone()))
            .collect(),
        workers: Semaphore::new(WORKERS),
        seen: RefCell::default(),
        inside: Cell::default(),
        peak: Cell::default(),
        context: context.clone(),
    });
    let arrivals = Rc::clone(&application);
    world.spawn(async move {
        let entropy = arrivals.context.next_entropy();
        while arrivals.context.elapsed() < Duration::from_secs(LASTS) {
            let which = (entropy.unit() * DEPENDENCIES as f64) as usize;
            arrivals.context.spawn(Rc::clone(&arrivals).serve(which));
            let gap = -(1.0 - entropy.unit()).ln() / RATE;
            arrivals.context.sleep(Duration::from_secs_f64(gap)).await;
        }
    });
    world.run();
    let seen = application.seen.take();
    Ok((seen, application.peak.get()))
}

pub(crate) fn run(seed: u64) -> Result {
    let mut progress = Progress::new("isolation", STACKS.len());
    let mut page = format!(
        "{WORKERS} workers, {RATE} requests a second, each with one call of one of {DEPENDENCIES} dependencies; one of them hangs for 40 s. Answered meanwhile:\n\n{:<10}{:>15}{:>20}{:>23}\n",
        "stack", "the other nine", "the one that hangs", "most requests at once"
    );
    let mut csv = "stack,others,hanging,peak\n".to_owned();
    let (mut results, mut lines) = (Map::new(), Vec::new());
    for (name, text) in STACKS {
        let (seen, peak) = simulate(text, seed)?;
        let (hanging, others) = (seen.share(ONE, HANGS), seen.share(OTHERS, HANGS));
        page += &format!(
            "{name:<10}{:>15}{:>20}{peak:>23}\n",
            format!("{:.2} %", 100.0 * others),
            format!("{:.2} %", 100.0 * hanging)
        );
        csv += &format!("{name},{others},{hanging},{peak}\n");
        let shares =
            (0..LASTS).map(|second| (second as f64, seen.share(OTHERS, second..second + 1)));
        lines.push(Series::new(name, shares.collect()));
        results
            .insert(name.to_owned(), json!({ "others": others, "hanging": hanging, "peak": peak }));
        progress.step();
    }
    let svg =
        chart::lines(&[("the share of requests for the other nine that is answered", lines)])?;
    Ok(Found { page, json: json!({ "kept": Value::Object(results) }), csv, svg })
}
