//! A real server under three times its limit, for half a minute, which it spends beside the other tests. For less, or more:
//! `SEAWALL_LOAD_SECONDS=3 cargo test -p seawall-tests --test edges load -- --nocapture`

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use seawall::Time;
use seawall::layer::RateLimitLayer;

use super::server::{Server, client, limiter};

const RATE: u64 = 200;
/// Two seconds' worth: a machine that is busy elsewhere for so long loses nothing.
const BURST: u64 = 400;
const CONNECTIONS: u64 = 6;

/// 30 unless the environment says otherwise, and at most 120.
fn seconds() -> u64 {
    let asked = std::env::var("SEAWALL_LOAD_SECONDS").ok();
    asked.and_then(|seconds| seconds.parse().ok()).unwrap_or(30).clamp(1, 120)
}

/// How often each status came, and what the refusals' Retry-After said.
#[derive(Debug, Default)]
struct Answers {
    statuses: BTreeMap<u16, u64>,
    retry_after: BTreeMap<String, u64>,
    without_fields: u64,
}

impl Answers {
    fn count(&mut self, answer: &reqwest::Response) {
        *self.statuses.entry(answer.status().as_u16()).or_default() += 1;
        let of =
            |name: &str| answer.headers().get(name).map(|value| value.to_str().unwrap().to_owned());
        let fields = [
            "x-ratelimit-limit",
            "x-ratelimit-remaining",
            "x-ratelimit-reset",
            "ratelimit",
            "ratelimit-policy",
        ];
        self.without_fields += u64::from(fields.iter().any(|name| of(name).is_none()));
        if answer.status() == 429 {
            *self.retry_after.entry(of("retry-after").unwrap_or_default()).or_default() += 1;
        }
    }
}

/// One connection's share, evenly spaced; what is late is made up for at once.
async fn ask(client: reqwest::Client, url: String, offset: u64, answers: Arc<Mutex<Answers>>) {
    let time = Time::system();
    let gap = Duration::from_secs(1) * CONNECTIONS as u32 / (3 * RATE) as u32;
    let start = time.now() + gap * offset as u32 / CONNECTIONS as u32;
    let requests = 3 * RATE * seconds() / CONNECTIONS;
    for i in 0..requests {
        let due = (start + gap * i as u32).since(time.now());
        if !due.is_zero() {
            time.sleep(due).await;
        }
        let answer = client.get(&url).send().await.unwrap();
        answers.lock().unwrap().count(&answer);
        answer.bytes().await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn under_three_times_the_limit_as_many_are_admitted_as_the_limit_and_the_burst() {
    let server = Server::start(RateLimitLayer::new(limiter(BURST, RATE as f64))).await;
    let answers = Arc::new(Mutex::new(Answers::default()));
    let client = client();
    let asking = (0..CONNECTIONS)
        .map(|i| tokio::spawn(ask(client.clone(), server.url("/"), i, Arc::clone(&answers))));
    for task in asking.collect::<Vec<_>>() {
        task.await.unwrap();
    }
    let answers = answers.lock().unwrap();
    let (admitted, elapsed) = (server.seen.admitted(), server.seen.seconds());
    let allowed = BURST as f64 + RATE as f64 * elapsed;
    let share = admitted as f64 / allowed;
    eprintln!(
        "{admitted} admitted in {elapsed:.3} s; burst and rate allow {allowed:.1}: {share:.4}; {answers:?}"
    );
    let asked: u64 = answers.statuses.values().sum();
    assert_eq!(asked, 3 * RATE * seconds() / CONNECTIONS * CONNECTIONS);
    assert_eq!(answers.statuses[&200], admitted, "what the client saw is what the server did");
    assert_eq!(answers.statuses[&200] + answers.statuses[&429], asked, "and nothing else");
    assert_eq!(answers.without_fields, 0);
    // A token comes back in 5 ms, so a whole second is always enough, and less cannot be said. That the one that waits so long
    // passes is shown in `answers`, where nobody else is faster.
    assert_eq!(answers.retry_after.keys().collect::<Vec<_>>(), ["1"]);
    assert!(admitted as f64 <= allowed, "{admitted} of {allowed}");
    assert!(share >= 0.99, "{share}");
}
