//! A spike of work that can wait: what it leaves to work that cannot.
//!
//! One server of ten workers, 10 ms each: 1,000 calls a second. Critical, normal and sheddable calls come at 100, 300 and 400 a
//! second, all through one client; from 20 s to 80 s twelve times as many sheddable ones.

use std::time::Duration;

use seawall::Priority;
use seawall::simulation::{CallEnd, Clients, Distribution, Load, Scenario, Server};
use serde_json::{Map, Value, json};

use crate::chart::{self, Series};
use crate::progress::Progress;
use crate::scenarios::{Found, Result};
use crate::stacks::{policy, prioritized};

const LASTS: Duration = Duration::from_secs(100);
const SPIKE: std::ops::Range<Duration> = Duration::from_secs(20)..Duration::from_secs(80);
const TIMES: f64 = 12.0;
const CLASSES: [(&str, Priority, f64); 3] = [
    ("critical", Priority::CRITICAL, 100.0),
    ("normal", Priority::NORMAL, 300.0),
    ("sheddable", Priority::SHEDDABLE, 400.0),
];
const STACKS: [(&str, bool); 2] = [("without", false), ("priorities", true)];

pub(crate) fn run(seed: u64) -> Result {
    let mut progress = Progress::new("priority", STACKS.len());
    let mut page = format!(
        "1,000 calls a second can be served. Critical, normal and sheddable calls come at 100, 300 and 400 a second; for a minute \
         there are {TIMES} times as many sheddable ones. Answered in that minute:\n\n{:<12}{:>10}{:>10}{:>10}\n",
        "mailbox", "critical", "normal", "sheddable"
    );
    let mut csv = "stack,class,success,shed,not_answered\n".to_owned();
    let (mut results, mut pictures) = (Map::new(), Vec::new());
    for (name, priorities) in STACKS {
        let policy = policy(&prioritized(priorities))?;
        let server = Server::new(10, Distribution::constant(Duration::from_millis(10)));
        let mut scenario = Scenario::new().server("server", server);
        for (class, priority, rate) in CLASSES {
            let load = Load::poisson(rate);
            let load = if class == "sheddable" { load.times(TIMES, SPIKE) } else { load };
            let clients = Clients::of("server", policy.clone(), load).priority(priority);
            let clients = if class == "critical" { clients } else { clients.guards_of("critical") };
            scenario = scenario.clients(class, clients);
        }
        let report = scenario.run(LASTS, seed)?;
        let (mut row, mut lines) = (Map::new(), Vec::new());
        page += &format!("{name:<12}");
        for (class, _, _) in CLASSES {
            let clients = report.clients(class).ok_or("a scenario without its clients")?;
            let success = clients.answered_share(SPIKE);
            page += &format!("{:>10}", format!("{:.2} %", 100.0 * success));
            let shed = clients.ended_by(CallEnd::Shed);
            let lost = clients.calls - clients.ended_by(CallEnd::Answered);
            csv += &format!("{name},{class},{success},{shed},{lost}\n");
            row.insert(class.to_owned(), success.into());
            lines.push(Series::answered(class, clients, LASTS));
        }
        page += "\n";
        pictures.push((name, lines));
        results.insert(name.to_owned(), Value::Object(row));
        progress.step();
    }
    let titled: Vec<_> = pictures
        .into_iter()
        .map(|(name, lines)| match name {
            "without" => {
                ("the share of each class that is answered: first come, first served", lines)
            }
            _ => ("the share of each class that is answered: with priorities", lines),
        })
        .collect();
    let svg = chart::lines(&titled)?;
    let json = json!({ "success": results["priorities"], "without": results["without"] });
    Ok(Found { page, json, csv, svg })
}
