//! Tasks that need several answers of one overloaded service: what is left of those that need four.
//!
//! One server of ten workers, 10 ms each: 1,000 calls a second. Tasks of one, two, three and four calls come as often as each
//! other, and would make 2,000 calls a second. A task fails with its first call that fails.

use std::time::Duration;

use seawall::simulation::{CallEnd, Clients, Distribution, Load, Scenario, Server};
use serde_json::{Map, Value, json};

use crate::chart::{self, Series};
use crate::progress::Progress;
use crate::scenarios::{Found, Result};
use crate::stacks::{policy, prioritized};

const LASTS: Duration = Duration::from_secs(300);
const EACH: f64 = 200.0;
const SIZES: [u32; 4] = [1, 2, 3, 4];

pub(crate) fn run(seed: u64) -> Result {
    let mut progress = Progress::new("fanout", 2);
    let mut page = format!(
        "1,000 calls a second can be served, 2,000 would come: tasks of 1 to 4 calls, {EACH} a second of each. Tasks that succeed, and \
         that by those of one call:\n\n{:<10}{:>8}{:>8}{:>8}{:>8}{:>10}{:>6}{:>6}\n",
        "shed by", "1", "2", "3", "4", "2 by 1", "3", "4"
    );
    let mut csv = "stack,calls,success,relative\n".to_owned();
    let (mut results, mut lines) = (Map::new(), Vec::new());
    for (name, is_ours) in [("random", false), ("seawall", true)] {
        let policy = policy(&prioritized(true))?;
        let server = Server::new(10, Distribution::constant(Duration::from_millis(10)));
        let mut scenario = Scenario::new().server("server", server);
        for calls in SIZES {
            let clients =
                Clients::of("server", policy.clone(), Load::poisson(EACH)).tasks_of(calls);
            let clients = if calls == 1 { clients } else { clients.guards_of("1") };
            let clients = if is_ours { clients } else { clients.without_origin() };
            scenario = scenario.clients(&calls.to_string(), clients);
        }
        let report = scenario.run(LASTS, seed)?;
        let mut success = Vec::new();
        for calls in SIZES {
            let tasks =
                report.clients(&calls.to_string()).ok_or("a scenario without its clients")?;
            success.push(tasks.ended_by(CallEnd::Answered) as f64 / tasks.calls as f64);
        }
        page += &format!("{name:<10}");
        success.iter().for_each(|it| page += &format!("{it:>8.3}"));
        let (mut row, mut line) = (Map::new(), Vec::new());
        for (calls, success_of) in SIZES.into_iter().zip(&success) {
            let relative = success_of / success[0];
            csv += &format!("{name},{calls},{success_of},{relative}\n");
            if calls > 1 {
                page += &format!("{relative:>width$.2}", width = if calls == 2 { 10 } else { 6 });
                row.insert(calls.to_string(), relative.into());
            }
            line.push((f64::from(calls), relative));
        }
        page += "\n";
        results.insert(name.to_owned(), Value::Object(row));
        lines.push(Series::new(name, line));
        progress.step();
    }
    let svg = chart::lines(&[("success of tasks by that of one call, by calls of a task", lines)])?;
    Ok(Found { page, json: json!({ "relative_success": results }), csv, svg })
}
