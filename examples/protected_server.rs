//! An HTTP server that is asked three times what it can answer, bare and protected: what each class of requests gets.
//!
//! The server works on four requests at once, 20 ms each: 200 a second. 600 come, for six seconds each time; their clients wait for half a second. A
//! fifth are critical, two fifths sheddable.
#![expect(clippy::print_stdout, reason = "that is what it is for")]

use std::error::Error;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::routing::get;
use seawall::layer::DeadlineLayer;
use seawall::{Priority, Seawall, Time};
use tokio::sync::Semaphore;

const RATE: u32 = 600;
const SECONDS: u32 = 6;
/// The first are not counted: the number of permits is being found.
const SETTLED: u32 = 2;
const PATIENCE: Duration = Duration::from_millis(500);
const CLASSES: [(&str, &str, u32); 3] =
    [("critical", "/checkout", 1), ("normal", "/browse", 2), ("sheddable", "/report", 2)];

/// What the server does: four at once, first come, first served, whether or not anybody still waits for it.
fn app() -> Router {
    let workers = Arc::new(Semaphore::new(4));
    let work = move || {
        let workers = Arc::clone(&workers);
        async move {
            // A task of its own: it goes on when the client has gone away, as a thread or a database would.
            let done = tokio::spawn(async move {
                let _worker = workers.acquire_owned().await;
                Time::system().sleep(Duration::from_millis(20)).await;
            });
            if done.await.is_ok() { "done" } else { "failed" }
        }
    };
    CLASSES.iter().fold(Router::new(), |app, (_, path, _)| app.route(path, get(work.clone())))
}

async fn serve(app: Router) -> Result<String, Box<dyn Error>> {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?;
    tokio::spawn(async move { axum::serve(listener, app).await });
    Ok(format!("http://{address}"))
}

/// Of each class: how many came, how many were answered, and how many were told at once that they would not be.
#[derive(Clone, Copy, Default)]
struct Seen {
    came: u32,
    answered: u32,
    refused: u32,
}

async fn ask(client: reqwest::Client, url: String) -> Option<bool> {
    let answer = client.get(url).timeout(PATIENCE).send().await.ok()?;
    let is_good = answer.status().is_success();
    answer.bytes().await.ok()?;
    Some(is_good)
}

async fn load(url: &str) -> [Seen; 3] {
    let client = reqwest::Client::new();
    let time = Time::system();
    let began = time.now();
    let mut asked = Vec::new();
    for n in 0..RATE * SECONDS {
        time.sleep_until(began + Duration::from_secs(1) * n / RATE).await;
        let at = match n % 5 {
            0 => 0,
            1 | 2 => 1,
            _ => 2,
        };
        let task = tokio::spawn(ask(client.clone(), format!("{url}{}", CLASSES[at].1)));
        if n >= RATE * SETTLED {
            asked.push((at, task));
        }
    }
    let mut seen = [Seen::default(); 3];
    for (at, task) in asked {
        let seen: &mut Seen = &mut seen[at];
        seen.came += 1;
        match task.await {
            Ok(Some(true)) => seen.answered += 1,
            Ok(Some(false)) => seen.refused += 1,
            Ok(None) | Err(_) => {}
        }
    }
    seen
}

fn row(name: &str, seen: [Seen; 3]) -> String {
    let share =
        |part: u32, of: u32| format!("{:.0} %", 100.0 * f64::from(part) / f64::from(of.max(1)));
    let all = seen.iter().map(|it| it.answered).sum::<u32>() / (SECONDS - SETTLED);
    let shares: String =
        seen.iter().map(|it| format!("{:>11}", share(it.answered, it.came))).collect();
    let (came, refused) =
        seen.iter().fold((0, 0), |(came, refused), it| (came + it.came, refused + it.refused));
    format!("{name:<11}{all:>12}{shares}{:>16}", share(refused, came))
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    println!(
        "{RATE} requests a second, of which 200 can be answered; clients wait for {PATIENCE:?}. Answered in time:\n"
    );
    println!(
        "{:<11}{:>12}{:>11}{:>11}{:>11}{:>16}",
        "server", "a second", "critical", "normal", "sheddable", "told at once"
    );
    println!("{}", row("bare", load(&serve(app()).await?).await));

    let seawall = Seawall::builder().start()?;
    let protect = seawall.protect("shop").await?.priority(|request| match request.uri.path() {
        "/checkout" => Priority::CRITICAL,
        "/report" => Priority::SHEDDABLE,
        _ => Priority::NORMAL,
    });
    let protected = app().layer(protect).layer(DeadlineLayer::new().ignore_origin().or(PATIENCE));
    println!("{}", row("protected", load(&serve(protected).await?).await));
    let limit = seawall.dependency("shop").map_or(0, |shop| shop.snapshot().limit);
    println!("\nIt lets in {limit} at once, which nobody has told it.");
    seawall.shutdown(Duration::from_secs(1)).await;
    Ok(())
}
