//! The model of a published study of metastable failures: M/M/1, λ = 9.3, μ = 10, a queue of 100, clients that wait for 4 s
//! and retry three times at once.

use std::error::Error;
use std::time::Duration;

use seawall::simulation::{Clients, Distribution, Load, Scenario, Server};
use serde_json::{Map, Value, json};

use crate::progress::Progress;
use crate::stacks::{policy, seawall, unguarded};

const SEEDS: u64 = 40;
const FROM: Duration = Duration::from_secs(120);
const UNTIL: Duration = Duration::from_secs(125);
const LASTS: Duration = Duration::from_secs(400);
/// Ten seconds of about 93 calls: in fewer, chance alone makes a bad one.
const WINDOW: Duration = Duration::from_secs(10);
const WELL: f64 = 0.9;

/// How many runs there are.
pub(crate) const STEPS: usize = 2 * SEEDS as usize;

pub(crate) fn server() -> Server {
    Server::new(1, Distribution::exponential(Duration::from_millis(100))).queue(100)
}

/// Each by its name.
pub(crate) fn policies() -> [(&'static str, String); 2] {
    [("naive", unguarded("4s", 4, "'none'")), ("seawall", seawall("4s", 4))]
}

pub(crate) fn run(seed: u64, progress: &mut Progress) -> Result<(String, Value), Box<dyn Error>> {
    let mut page = format!(
        "\nM/M/1, λ 9.3, μ 10, a queue of 100, a timeout of 4 s, 3 retries, 30 calls/s from 120 s to 125 s, {SEEDS} seeds:\n\n\
         {:<16}  {:>9}  {:>19}\n",
        "stack", "recovered", "median recovery, s"
    );
    let mut result = Map::new();
    for (name, text) in policies() {
        let policy = policy(&text)?;
        let mut recoveries = Vec::new();
        for run in 0..SEEDS {
            let load = Load::poisson(9.3).times(30.0 / 9.3, FROM..UNTIL);
            let clients = Clients::of("server", policy.clone(), load);
            let scenario = Scenario::new().server("server", server()).clients("clients", clients);
            let report = scenario.run(LASTS, seed.wrapping_mul(1_000_003).wrapping_add(run))?;
            let found = report.clients("clients").and_then(|it| it.recovery(UNTIL, WINDOW, WELL));
            recoveries.extend(found.map(|it| it.as_secs_f64()));
            progress.step();
        }
        recoveries.sort_by(f64::total_cmp);
        let recovered = recoveries.len();
        let median = (recovered > 0).then(|| recoveries[recovered / 2]);
        let shown = median.map_or("-".to_owned(), |it| format!("{it:.1}"));
        page += &format!("{name:<16}  {recovered:>3} of {SEEDS:<2}  {shown:>19}\n");
        result.insert(
            name.to_owned(),
            json!({ "recovered": recovered, "of": SEEDS, "median_s": median }),
        );
    }
    Ok((page, Value::Object(result)))
}
