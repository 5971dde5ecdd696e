//! Runs the storefront as a user does, six seconds each of the three kinds, one after the other, and
//! reads its metrics page over a plain socket while it runs.

use std::collections::BTreeMap;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::PathBuf;
use std::process::{Child, ChildStderr, Command, Stdio};
use std::sync::LazyLock;
use std::sync::mpsc::{self, Receiver};
use std::time::Duration;

use seawall::clock::Clock;
use serde_json::Value;

#[path = "storefront_test/page.rs"]
mod page;

use page::{Labels, Page};

const DEPENDENCIES: [&str; 3] = ["payment", "inventory", "notification"];
/// The healthy two, which must not suffer with the third.
const BYSTANDERS: [&str; 2] = ["inventory", "notification"];
/// More than a run has lines to pace them.
const MAX_SCRAPES: usize = 80;
/// How often a run is tried on a busy machine.
const MAX_TRIES: u32 = 3;

// ---- the runs ----

static RUNS: LazyLock<Runs> = LazyLock::new(|| {
    let mut tries = 1;
    let (guarded, control) = loop {
        let pair = (perform(&[]), perform(&["--no-outage"]));
        if tries == MAX_TRIES || (pair.0.is_calm() && pair.1.is_calm()) {
            break pair;
        }
        tries += 1;
    };
    let svg = picture();
    Runs { guarded, control, bare: perform(&["--bare", "--svg", svg.to_str().expect("text")]) }
});

/// Where the run without Seawall is drawn.
fn picture() -> std::path::PathBuf {
    std::env::temp_dir().join(format!("storefront-{}.svg", std::process::id()))
}

struct Runs {
    guarded: Run,
    control: Run,
    bare: Run,
}

/// What a run left behind.
struct Run {
    stdout: Vec<String>,
    json: Value,
    first_line_after: Duration,
    pages: Vec<String>,
}

impl Run {
    fn of(&self, dependency: &str) -> &Value {
        &self.json["dependencies"][dependency]
    }

    /// The share of calls that the dependency itself answered, in the whole run, in points.
    fn answered(&self, dependency: &str) -> f64 {
        points(self.of(dependency))
    }

    /// Whether the machine had the time to play it. These are real seconds: on one that compiles other
    /// things meanwhile healthy services are slow, customers leave a control run, too, and nothing is
    /// shown. That is tried again; a shop that is not kept apart from payment loses them every time.
    fn is_calm(&self) -> bool {
        self.json["checkouts"]["left"] == 0
            && BYSTANDERS.iter().all(|bystander| self.answered(bystander) > 99.5)
    }

    /// The same while payment was down.
    fn answered_in_outage(&self, dependency: &str) -> f64 {
        points(&self.json["during_outage"][dependency])
    }
}

fn points(counts: &Value) -> f64 {
    100.0 * number(&counts["success"]) as f64 / number(&counts["calls"]).max(1) as f64
}

fn number(value: &Value) -> u64 {
    value.as_u64().unwrap_or_else(|| panic!("{value} is no count"))
}

/// Runs the storefront, and scrapes its page at every line of progress.
fn perform(options: &[&str]) -> Run {
    let clock = Clock::system();
    let started = clock.now();
    let mut child = start("storefront", &[&["--seconds", "6", "--json"], options].concat());
    let mut stdout = BufReader::new(child.0.stdout.take().expect("piped")).lines();
    let progress = lines(child.0.stderr.take().expect("piped"));
    let mut read = vec![stdout.next().expect("a first line").expect("text")];
    let first_line_after = clock.now().since(started);
    let mut pages = Vec::new();
    if let Some(address) = metrics_address(&read[0]) {
        pages.push(scrape(&address).expect("the page is there from the start"));
        for line in progress {
            let timed = line.trim_start().starts_with(|c: char| c.is_ascii_digit());
            if !timed || pages.len() >= MAX_SCRAPES {
                continue;
            }
            match scrape(&address) {
                Ok(page) => pages.push(page),
                // We fell behind, and the run is over; whether it was enough is for a test to say.
                Err(_) => break,
            }
        }
    }
    read.extend(stdout.map(|line| line.expect("text")));
    assert!(child.0.wait().expect("it ends").success());
    let last = read.last().expect("at least one line");
    let json = serde_json::from_str(last).unwrap_or_else(|error| panic!("{error}: {last}"));
    Run { stdout: read, json, first_line_after, pages }
}

fn metrics_address(line: &str) -> Option<String> {
    let url = line.strip_prefix("metrics http://")?;
    url.strip_suffix("/metrics").map(str::to_owned)
}

/// A child process that does not outlive its test.
struct Started(Child);

impl Drop for Started {
    fn drop(&mut self) {
        // It may have ended by itself: then there is nothing to kill, only to collect.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn start(example: &str, args: &[&str]) -> Started {
    let test = std::env::current_exe().expect("this test's own path");
    let profile = test.parent().and_then(|deps| deps.parent()).expect("target/PROFILE/deps/TEST");
    let name = format!("{example}{}", std::env::consts::EXE_SUFFIX);
    let path: PathBuf = profile.join("examples").join(name);
    assert!(
        path.exists(),
        "{} is not built: plain `cargo test` builds it, `cargo test --test storefront` does not; \
         run `cargo build --examples` with the same profile first",
        path.display()
    );
    let child = Command::new(&path)
        .args(args)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn();
    Started(child.unwrap_or_else(|error| panic!("{}: {error}", path.display())))
}

/// Read to the end whatever becomes of them, so that the child never waits for us.
fn lines(stderr: ChildStderr) -> Receiver<String> {
    let (sender, receiver) = mpsc::channel();
    std::thread::spawn(move || {
        for line in BufReader::new(stderr).lines().map_while(Result::ok) {
            let _ = sender.send(line);
        }
    });
    receiver
}

fn scrape(address: &str) -> io::Result<String> {
    let mut stream = TcpStream::connect(address)?;
    stream.set_read_timeout(Some(Duration::from_secs(10)))?;
    write!(stream, "GET /metrics HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n")?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    let cut = || io::Error::from(io::ErrorKind::UnexpectedEof);
    let (head, body) = answer.split_once("\r\n\r\n").ok_or_else(cut)?;
    if head.starts_with("HTTP/1.1 503 ") {
        return Err(cut()); // it is shutting down
    }
    assert!(head.starts_with("HTTP/1.1 200 "), "{head}");
    assert!(
        head.to_ascii_lowercase().contains("content-type: text/plain; version=0.0.4"),
        "{head}"
    );
    let length = format!("content-length: {}", body.len());
    let is_whole = head.lines().any(|line| line.eq_ignore_ascii_case(&length));
    if is_whole { Ok(body.to_owned()) } else { Err(cut()) }
}

fn pages() -> Vec<Page> {
    RUNS.guarded.pages.iter().map(|text| Page::parse(text)).collect()
}

// ---- what the page must be ----

#[test]
fn every_page_is_valid_and_counters_never_fall() {
    let pages = pages();
    assert!(pages.len() >= 5, "only {} scrapes", pages.len());
    for two in pages.windows(2) {
        for (series, before) in two[0].rising() {
            let now = two[1].values.get(series);
            assert!(now.is_some_and(|now| *now >= before), "{series:?}: {before}, then {now:?}");
        }
    }
}

#[test]
fn breaker_states_sum_to_one_and_payment_is_seen_open() {
    let pages = pages();
    let state = |page: &Page, dependency: &str, state: &str| {
        page.value("seawall_breaker_state", &[("dependency", dependency), ("state", state)])
    };
    for page in &pages {
        for dependency in DEPENDENCIES {
            let states = ["closed", "open", "half_open"].map(|name| state(page, dependency, name));
            assert!(states.iter().all(|value| [0.0, 1.0].contains(value)), "{states:?}");
            assert!((states.iter().sum::<f64>() - 1.0).abs() < 1e-9, "{dependency}: {states:?}");
        }
    }
    assert!(pages.iter().any(|page| state(page, "payment", "open") == 1.0), "never seen open");
}

#[test]
fn the_run_can_be_drawn() {
    assert!(RUNS.bare.json["run"]["bare"].as_bool() == Some(true));
    let svg = std::fs::read_to_string(picture()).expect("it is drawn");
    assert!(svg.starts_with("<svg") && svg.contains("Without Seawall"));
    assert!(DEPENDENCIES.iter().all(|name| svg.contains(name)));
    // A bar for each cell of each strip, at least nearly.
    assert!(svg.matches("<rect").count() > 3 * 50);
    std::fs::remove_file(picture()).expect("it was there");
}

#[test]
fn histograms_are_cumulative_and_complete() {
    let mut most = 0;
    for page in pages() {
        let mut histograms: BTreeMap<Labels, Vec<(f64, f64)>> = BTreeMap::new();
        for ((name, labels), value) in &page.values {
            if name == "seawall_call_duration_seconds_bucket" {
                let mut labels = labels.clone();
                let bound = labels.remove("le").expect("a bound").parse().expect("a number");
                histograms.entry(labels).or_default().push((bound, *value));
            }
        }
        assert!(histograms.len() <= 3, "one for each method that was called");
        most = most.max(histograms.len());
        for (labels, mut buckets) in histograms {
            buckets.sort_by(|a, b| a.0.total_cmp(&b.0));
            assert!(buckets.is_sorted_by(|a, b| a.0 < b.0 && a.1 <= b.1), "{labels:?}");
            let count = page.values[&("seawall_call_duration_seconds_count".into(), labels)];
            assert_eq!(buckets.last(), Some(&(f64::INFINITY, count)));
        }
    }
    assert_eq!(most, 3, "in the end all have been");
}

#[test]
fn labels_are_bounded_by_the_configuration() {
    for page in pages() {
        for (name, labels) in page.values.keys() {
            assert!(name.starts_with("seawall_"), "{name}");
            assert!(DEPENDENCIES.contains(&labels["dependency"].as_str()), "{labels:?}");
            let method = labels.get("method").map_or("send", String::as_str);
            assert!(["charge", "reserve", "send"].contains(&method), "{labels:?}");
        }
        assert!(page.values.len() < 1_000, "{} series", page.values.len());
    }
}

#[test]
fn the_page_and_the_json_agree() {
    let (pages, run) = (pages(), &RUNS.guarded);
    let last = pages.last().expect("a scrape");
    for dependency in DEPENDENCIES {
        // The last customers leave after the last scrape.
        let (scraped, all) =
            (last.sum("seawall_calls_total", "dependency", dependency), run.of(dependency));
        assert!(scraped > 0.5 * number(&all["calls"]) as f64, "{dependency}: {scraped} of {all}");
        assert!(scraped <= number(&all["calls"]) as f64, "{dependency}: {scraped} of {all}");
    }
    // Payment has been well for seconds by then: it moves no more.
    let moves = run.of("payment")["transitions"].as_array().expect("a list");
    for (from, to) in [("closed", "open"), ("open", "half_open"), ("half_open", "closed")] {
        let told = moves.iter().filter(|step| step["from"] == from && step["to"] == to).count();
        let labels = [("dependency", "payment"), ("from", from), ("to", to)];
        let scraped = last.value("seawall_breaker_transitions_total", &labels);
        assert_eq!(scraped, told as f64, "{from} to {to}: {moves:?}");
    }
    assert_eq!(run.json["metrics"], run.stdout[0].trim_start_matches("metrics "));
}

// ---- what the run must show ----

#[test]
fn the_metrics_address_is_the_first_line_and_the_json_the_last() {
    let run = &RUNS.guarded;
    assert!(metrics_address(&run.stdout[0]).is_some(), "{:?}", run.stdout);
    assert_eq!(run.stdout.len(), 2, "{:?}", run.stdout);
    assert!(run.first_line_after < Duration::from_secs(1), "{:?}", run.first_line_after);
}

#[test]
fn every_call_is_accounted_for() {
    for run in [&RUNS.guarded, &RUNS.control, &RUNS.bare] {
        assert_eq!(run.json["unaccounted"], 0);
        for dependency in DEPENDENCIES {
            let of = run.of(dependency);
            let refused: u64 =
                of["rejected"].as_object().expect("a map").values().map(number).sum();
            let parts: u64 = ["success", "failure", "fallback", "cancelled"]
                .iter()
                .map(|part| number(&of[part]))
                .sum();
            assert_eq!(number(&of["calls"]), parts + refused, "{of}");
            assert!(number(&of["timeouts"]) <= number(&of["failure"]), "{of}");
            assert!(of["retries"].is_u64() && of["p50_ms"].is_f64() && of["p99_ms"].is_f64());
        }
    }
}

#[test]
fn payments_breaker_opens_probes_and_closes() {
    let moves = RUNS.guarded.of("payment")["transitions"].as_array().expect("a list");
    let (mut state, mut at_s) = (&Value::from("closed"), 0.0);
    for step in moves {
        assert_eq!(&step["from"], state, "{moves:?}");
        assert!(step["at_s"].as_f64().expect("seconds") >= at_s, "{moves:?}");
        (state, at_s) = (&step["to"], step["at_s"].as_f64().expect("seconds"));
    }
    assert!(moves.len() >= 3 && state == "closed", "{moves:?}");
    for bystander in BYSTANDERS {
        assert_eq!(RUNS.guarded.of(bystander)["transitions"], Value::Array(Vec::new()));
    }
}

#[test]
fn bystanders_do_not_suffer_behind_seawall_and_do_without_it() {
    for bystander in BYSTANDERS {
        let (guarded, control) =
            (RUNS.guarded.answered(bystander), RUNS.control.answered(bystander));
        assert!((guarded - control).abs() <= 1.0, "{bystander}: {guarded} %, control {control} %");
        let (guarded, control, bare) = (
            RUNS.guarded.answered_in_outage(bystander),
            RUNS.control.answered_in_outage(bystander),
            RUNS.bare.answered_in_outage(bystander),
        );
        assert!((guarded - control).abs() <= 1.0, "{bystander}: {guarded} %, control {control} %");
        assert!(bare < control - 5.0, "{bystander}: {bare} % bare, control {control} %");
        assert!(
            RUNS.bare.answered(bystander) < RUNS.control.answered(bystander) - 1.0,
            "{bystander}"
        );
    }
}

#[test]
fn the_quickstart_answers() {
    let mut child = start("quickstart", &[]);
    let mut text = String::new();
    child.0.stdout.take().expect("piped").read_to_string(&mut text).expect("text");
    assert!(child.0.wait().expect("it ends").success());
    assert_eq!(text, "Some(2)\n");
}
