//! A shop in front of three services that fail in turn, live in your terminal.
//!
//! `cargo run --release --example storefront` starts three real HTTP services on loopback, lets a
//! crowd of customers into a shop with 100 workers, and then breaks the services on a script:
//! payment hangs and refuses, inventory turns slow, notification is flooded. Every call goes through
//! a client that `#[resilient]` generated. `--bare` runs the same crowd and the same faults without
//! Seawall; `--no-outage` leaves payment's outage out, for comparison.
//!
//! | file | what it holds |
//! | --- | --- |
//! | `dependencies.rs` | the three `#[resilient]` traits and their HTTP clients: start here |
//! | `policy.rs` | the policy file, scaled to the length of the run |
//! | `guarded.rs`, `bare.rs` | the same shop with and without Seawall |
//! | `shop.rs` | customers, workers, checkouts |
//! | `faults.rs`, `services.rs` | the script, and the services that act it out |
//! | `stage.rs` | the run's clock |
//! | `reading.rs` | what is measured |
//! | `display.rs`, `story.rs`, `strip.rs`, `paint.rs` | the live display |
//! | `report.rs`, `table.rs`, `verdict.rs`, `picture.rs` | the end of it |

mod args;
mod bare;
mod dependencies;
mod display;
mod faults;
mod guarded;
mod paint;
mod picture;
mod policy;
mod reading;
mod report;
mod services;
mod shop;
mod stage;
mod story;
mod strip;
mod table;
mod verdict;

use std::error::Error;
use std::process::ExitCode;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use args::Args;
use clap::Parser;
use dependencies::{Inventory, Notification, Payment};
use display::Display;
use faults::Script;
use paint::Out;
use reading::{Outage, Read, Readings};
use services::Services;
use shop::{Crowd, Facade, Shop, Tally};
use stage::Stage;
use strip::Strip;
use tokio::sync::watch;

/// How long Seawall may drain at the end before it cancels what is left.
const DRAIN: Duration = Duration::from_secs(5);

fn main() -> ExitCode {
    let args = Args::parse();
    match run(&args) {
        Ok(()) => ExitCode::SUCCESS,
        // The reader has seen enough (`| head`): no reason to complain.
        Err(error) if is_broken_pipe(&*error) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("storefront: {error}");
            ExitCode::FAILURE
        }
    }
}

fn is_broken_pipe(error: &(dyn Error + 'static)) -> bool {
    error
        .downcast_ref::<std::io::Error>()
        .is_some_and(|error| error.kind() == std::io::ErrorKind::BrokenPipe)
}

fn run(args: &Args) -> Result<(), Box<dyn Error>> {
    if let Some(path) = &args.svg {
        seawall_examples::chart::prepare(path)?;
    }
    let stage = Arc::new(Stage::new(Duration::from_secs(args.seconds)));
    let script = Script::new(!args.no_outage);
    // The services live on a thread and runtime of their own: the shop cannot slow them down.
    let services = Services::start(&stage, &script, args.seed)?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let result = runtime.block_on(async {
        let mut out = Out::new(args.json);
        if args.bare {
            let (shop, read) = bare::open(&services, &stage)?;
            out.show(&verdict::invitation(args))?;
            let shop = Arc::new(shop);
            let run = Run { args, stage: &stage, script: &script, metrics: None };
            let finale = perform(run, &shop, read, &mut out).await?;
            draw(run, &finale)?;
            report::finish(run, &finale, &mut out)
        } else {
            let guarded = guarded::open(&services, &stage, args).await?;
            let metrics = guarded.metrics_url();
            let url = metrics.as_deref();
            if let Some(url) = url {
                out.line(&format!("metrics {url}"))?;
            }
            out.show(&verdict::invitation(args))?;
            // Kept to the end: a dependency that nobody has a client of is gone from the metrics.
            let (shop, read) = (Arc::new(guarded.shop), guarded.read);
            let run = Run { args, stage: &stage, script: &script, metrics: url };
            let finale = perform(run, &shop, read, &mut out).await?;
            let written = draw(run, &finale).and_then(|()| report::finish(run, &finale, &mut out));
            guarded.seawall.shutdown(DRAIN).await;
            written
        }
    });
    services.stop();
    result
}

/// Draws the run, if that is wanted.
fn draw(run: Run<'_>, finale: &Finale) -> Result<(), Box<dyn Error>> {
    match &run.args.svg {
        Some(path) => picture::draw(path, &finale.strips, run.script, run.args),
        None => Ok(()),
    }
}

/// What is played, and for whom.
#[derive(Clone, Copy)]
struct Run<'a> {
    args: &'a Args,
    stage: &'a Arc<Stage>,
    script: &'a Script,
    /// Where metrics are served, if they are.
    metrics: Option<&'a str>,
}

/// What is known when the crowd has gone home.
struct Finale {
    readings: Readings,
    outage: Option<Outage>,
    tally: Tally,
    strips: [Strip; 3],
    interrupted: bool,
}

/// Lets the crowd in, shows what happens, and gathers what was measured.
async fn perform<P, I, N>(
    run: Run<'_>,
    shop: &Arc<Shop<P, I, N>>,
    read: Read,
    out: &mut Out,
) -> Result<Finale, Box<dyn Error>>
where
    P: Payment + Send + Sync + 'static,
    I: Inventory + Send + Sync + 'static,
    N: Notification + Send + Sync + 'static,
{
    let Run { args, stage, script, .. } = run;
    let measured = Arc::clone(shop);
    let read: Read = Arc::new(move || read().with_no_worker(measured.tally().left));
    let outage = Mutex::new(None);
    let mut display = Display::new(run);
    let (stop, stopped) = watch::channel(false);

    stage.begin();
    let crowd = Crowd { rate: args.rate, seed: args.seed, blast: script.blast(stage) };
    let mut trading = tokio::spawn(Arc::clone(shop).trade(Arc::clone(stage), crowd, stopped));
    let interrupted = tokio::select! {
        ended = &mut trading => { ended?; false }
        shown = display.show(&read, &**shop, out) => { shown?; false }
        () = measure_outage(stage, script, &read, &outage) => false,
        () = interrupt() => true,
    };
    if interrupted {
        // An early end is still an orderly one: what was measured so far is reported.
        stop.send_replace(true);
        trading.await?;
    }
    display.close(&read, &**shop, out)?;
    Ok(Finale {
        readings: read(),
        outage: outage.into_inner().unwrap_or_else(PoisonError::into_inner),
        tally: shop.tally(),
        strips: display.into_strips(),
        interrupted,
    })
}

/// Reads all three dependencies when payment's outage begins and again when it is over, in a
/// control run too, so that the two runs are compared over the same stretch. Never returns.
async fn measure_outage(
    stage: &Stage,
    script: &Script,
    read: &Read,
    outage: &Mutex<Option<Outage>>,
) {
    let (from, to) = script.outage(stage);
    stage.sleep_until(from).await;
    let before = read();
    stage.sleep_until(to).await;
    let counts = read().since(&before);
    *outage.lock().unwrap_or_else(PoisonError::into_inner) = Some(Outage { from, to, counts });
    std::future::pending().await
}

/// Returns when somebody has seen enough: Ctrl-C, or a polite kill. Never, where there are no signals.
async fn interrupt() {
    #[cfg(unix)]
    let told_to_end = async {
        use tokio::signal::unix::{SignalKind, signal};
        match signal(SignalKind::terminate()) {
            Ok(mut terminate) => terminate.recv().await,
            Err(_) => std::future::pending().await,
        }
    };
    #[cfg(not(unix))]
    let told_to_end = std::future::pending::<Option<()>>();
    tokio::select! {
        Ok(()) = tokio::signal::ctrl_c() => {}
        Some(()) = told_to_end => {}
        else => std::future::pending().await,
    }
}
