//! From which states the study's model recovers: requests that stand in the server's queue for nobody, and calls that come back
//! at once, as retries do. λ is 8 here, and there is no spike.

use std::error::Error;
use std::time::Duration;

use seawall::simulation::{Clients, Load, Scenario};
use serde_json::{Map, json};

use crate::chart;
use crate::progress::Progress;
use crate::scenarios::{Found, Result};
use crate::stacks::policy;
use crate::study::{policies, server};

const STEP: u32 = 20;
const STARTS: [u32; 6] = [0, 20, 40, 60, 80, 100];
const SEEDS: u64 = 8;
const WITHIN: Duration = Duration::from_secs(60);
/// So much longer it runs, to see that it stays well.
const LASTS: Duration = Duration::from_secs(120);
const WINDOW: Duration = Duration::from_secs(10);
const WELL: f64 = 0.9;

/// Whether it is well again in time, from so many in the queue and so many calls that come at once.
fn recovers(
    text: &str,
    queued: u32,
    due: u32,
    seed: u64,
) -> std::result::Result<bool, Box<dyn Error>> {
    let load = Load::poisson(8.0).and_at_once(due);
    let clients = Clients::of("server", policy(text)?, load);
    let report = Scenario::new()
        .server("server", server().begins_with_abandoned(queued))
        .clients("clients", clients)
        .run(LASTS, seed)?;
    let recovery =
        report.clients("clients").and_then(|it| it.recovery(Duration::ZERO, WINDOW, WELL));
    Ok(recovery.is_some_and(|it| it <= WITHIN))
}

pub(crate) fn run(seed: u64) -> Result {
    let mut progress = Progress::new("map", 2 * STARTS.len() * STARTS.len());
    let mut page = format!(
        "M/M/1, λ 8, μ 10, a queue of 100, a timeout of 4 s, 3 retries. The share of {SEEDS} runs that recover within 60 s, by what\n\
         stands in the queue at first (up) and the calls that come back at once (across):\n"
    );
    let mut csv = "stack,queued,due,share\n".to_owned();
    let (mut result, mut maps) = (Map::new(), Vec::new());
    for (name, text) in policies() {
        let mut rows = Vec::new();
        for queued in STARTS {
            let mut row = Vec::new();
            for due in STARTS {
                let mut recovered = 0;
                for run in 0..SEEDS {
                    let seed = seed.wrapping_mul(1_000_003).wrapping_add(run);
                    recovered += u32::from(recovers(&text, queued, due, seed)?);
                }
                let share = f64::from(recovered) / SEEDS as f64;
                csv += &format!("{name},{queued},{due},{share}\n");
                row.push(share);
                progress.step();
            }
            rows.push(row);
        }
        let all: f64 = rows.iter().flatten().sum();
        let share = all / (STARTS.len() * STARTS.len()) as f64;
        page += &format!("\n{name}: {share:.2} of all\n");
        for (queued, row) in STARTS.iter().zip(&rows).rev() {
            let cells: String = row.iter().map(|share| format!("  {share:.2}")).collect();
            page += &format!("{queued:>5}{cells}\n");
        }
        page += &format!("     {}\n", STARTS.map(|due| format!("  {due:>4}")).concat());
        result.insert(name.to_owned(), json!({ "share": share, "cells": rows }));
        maps.push((format!("{name}: {share:.2}"), rows));
    }
    let axes = ("calls that come back at once", "queued at first");
    let svg = chart::heat(&maps, axes, STEP)?;
    Ok(Found { page, json: json!({ "map": result }), csv, svg })
}
