//! One total of permits for ten dependencies, beside ten fixed pools, when load moves from one to another.
//!
//! 200 permits for ten dependencies, whose answers take 50 ms. Each is called 60 times a second, but for one, which is called 2,000
//! times and needs 100 permits; every ten seconds it is another one. Then one of them hangs for 20 s.

use std::cell::RefCell;
use std::io;
use std::rc::Rc;
use std::time::Duration;

use seawall::bulkhead::FleetConfig;
use seawall::simulation::{Client, Fleet, TaskContext, World};
use serde_json::{Map, Value, json};

use crate::chart::{self, Series};
use crate::progress::Progress;
use crate::scenarios::{Found, Result};
use crate::seen::{ONE, OTHERS, Seen};
use crate::stacks::policy;

const DEPENDENCIES: usize = 10;
const TOTAL: u32 = 200;
const MINIMUM: u32 = 5;
const WORK: Duration = Duration::from_millis(50);
const QUIET: f64 = 60.0;
const HOT: f64 = 2_000.0;
const SHIFTS_EVERY: u64 = 10;
/// Ten shifts, and then 20 s in which the first one hangs.
const SHIFTS_FOR: u64 = 100;
const LASTS: u64 = 120;

/// Which is hot, or hangs.
fn special(second: u64) -> usize {
    (second / SHIFTS_EVERY) as usize % DEPENDENCIES
}

async fn call(context: TaskContext, client: Rc<Client>, which: usize, seen: Rc<RefCell<Seen>>) {
    let second = context.elapsed().as_secs();
    let hangs = second >= SHIFTS_FOR && which == 0;
    let is_special = which == if second < SHIFTS_FOR { special(second) } else { 0 };
    let kind = if is_special { ONE } else { OTHERS };
    seen.borrow_mut().came(kind, second);
    let answer = client.call_idempotent(async || {
        if hangs {
            std::future::pending::<()>().await;
        }
        context.sleep(WORK).await;
        Ok::<_, io::Error>(())
    });
    if answer.await.is_ok() {
        seen.borrow_mut().answered(kind, second);
    }
}

fn simulate(fixed: bool, seed: u64) -> std::result::Result<Seen, Box<dyn std::error::Error>> {
    let permits = if fixed { TOTAL / DEPENDENCIES as u32 } else { TOTAL };
    let policy = policy(&format!(
        "timeout = '1s'\ndeadline = '1s'\nbreaker = {{ mode = 'disabled' }}\nretry = {{ max_attempts = 1 }}\n\
         bulkhead = {{ max_concurrent = {permits}, max_wait = '50ms' }}"
    ))?;
    let world = World::new(seed);
    let context = world.context();
    let names: Vec<String> = (0..DEPENDENCIES).map(|which| format!("dependency_{which}")).collect();
    let fleet = names
        .iter()
        .fold(FleetConfig::builder(TOTAL), |fleet, name| fleet.member(name, MINIMUM, 1.0));
    let fleet = Fleet::new(&fleet.build()?);
    let seen = Rc::new(RefCell::new(Seen::default()));
    for (which, name) in names.iter().enumerate() {
        let client = Rc::new(Client::new(&context, name, policy.clone()));
        if !fixed {
            fleet.seat(&client);
        }
        let (arrivals, seen) = (context.clone(), Rc::clone(&seen));
        world.spawn(async move {
            let entropy = arrivals.next_entropy();
            while arrivals.elapsed() < Duration::from_secs(LASTS) {
                let second = arrivals.elapsed().as_secs();
                let is_hot = second < SHIFTS_FOR && special(second) == which;
                let rate = if is_hot { HOT } else { QUIET };
                let gap = -(1.0 - entropy.unit()).ln() / rate;
                // Nobody sleeps over a shift.
                let left =
                    SHIFTS_EVERY as f64 - arrivals.elapsed().as_secs_f64() % SHIFTS_EVERY as f64;
                arrivals.sleep(Duration::from_secs_f64(gap.min(left + 1e-6))).await;
                if gap <= left {
                    arrivals.spawn(call(
                        arrivals.clone(),
                        Rc::clone(&client),
                        which,
                        Rc::clone(&seen),
                    ));
                }
            }
        });
    }
    world.run();
    Ok(seen.take())
}

pub(crate) fn run(seed: u64) -> Result {
    let mut progress = Progress::new("fleet", 2);
    let mut page = format!(
        "{TOTAL} permits for {DEPENDENCIES} dependencies. One is called {HOT} times a second and needs 100 of them, another one every \
         {SHIFTS_EVERY} s; then one hangs. Calls answered:\n\n{:<14}{:>12}{:>10}{:>16}{:>18}\n",
        "permits", "in all", "the hot", "the other nine", "while one hangs"
    );
    let mut csv = "permits,answered,hot,others,others_while_one_hangs\n".to_owned();
    let (mut results, mut lines, mut answered) = (Map::new(), Vec::new(), Vec::new());
    for (name, fixed) in [("ten of 20", true), ("a fleet", false)] {
        let seen = simulate(fixed, seed)?;
        let shifts = 0..SHIFTS_FOR;
        let all = seen.answers(ONE, shifts.clone()) + seen.answers(OTHERS, shifts.clone());
        let (hot, others) = (seen.share(ONE, shifts.clone()), seen.share(OTHERS, shifts));
        let hanging = seen.share(OTHERS, SHIFTS_FOR..LASTS);
        let percent = |share: f64| format!("{:.1} %", 100.0 * share);
        page += &format!(
            "{name:<14}{all:>12}{:>10}{:>16}{:>18}\n",
            percent(hot),
            percent(others),
            percent(hanging)
        );
        csv += &format!("{name},{all},{hot},{others},{hanging}\n");
        let line =
            (0..SHIFTS_FOR).map(|second| (second as f64, seen.share(ONE, second..second + 1)));
        lines.push(Series::new(name, line.collect()));
        answered.push(all);
        let key = if fixed { "fixed" } else { "fleet" };
        results.insert(
            key.to_owned(),
            json!({ "answered": all, "hot": hot, "others": others, "others_while_one_hangs": hanging }),
        );
        progress.step();
    }
    let more = answered[1] / answered[0];
    page += &format!("\nThe fleet answers {more:.2} times as much.\n");
    results.insert("more".to_owned(), more.into());
    let svg =
        chart::lines(&[("the share of calls of the hot dependency that is answered", lines)])?;
    Ok(Found { page, json: json!({ "fleet": Value::Object(results) }), csv, svg })
}
