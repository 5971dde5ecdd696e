//! The result in words and numbers.

use std::fmt::Write;
use std::path::Path;

use serde_json::{Map, Value, json};

use crate::contest::{Contest, LOG, Point, Run};
use crate::traces::{LIMIT, Shape, WINDOW_S};

/// One line of JSON.
pub(crate) fn json(contest: &Contest) -> String {
    let by_name = |value: &dyn Fn(&[Run]) -> Value| -> Value {
        let names = contest.contestants.iter().map(|one| one.name);
        let values = names.zip(&contest.runs).map(|(name, runs)| (name.to_owned(), value(runs)));
        Value::Object(values.collect::<Map<_, _>>())
    };
    let by_trace = |value: &dyn Fn(usize) -> Value| -> Value {
        let names = contest.traces.iter().enumerate();
        Value::Object(names.map(|(at, trace)| (trace.name.to_owned(), value(at))).collect())
    };
    let boundary = contest.trace("boundary");
    let exact = contest.of(LOG);
    let curve: Vec<Value> = contest
        .curve
        .iter()
        .map(|point| {
            json!({
                "shape": point.shape.name(),
                "load": point.load,
                "wrong_percent": round(point.wrong),
                "excess_percent": round(point.excess),
                "worst_window": round(point.worst_window),
            })
        })
        .collect();
    let result = json!({
        "admitted": by_name(&|runs| by_trace(&|at| json!(runs[at].admitted()))),
        "boundary_burst": by_name(&|runs| json!(round(runs[boundary].worst_window()))),
        "worst_window": by_name(&|runs| by_trace(&|at| json!(round(runs[at].worst_window())))),
        "wrong_percent": by_name(&|runs| by_trace(&|at| json!(round(runs[at].differs_from(&exact[at]))))),
        "longest_wait_s": by_name(&|runs| by_trace(&|at| json!(runs[at].longest_wait.as_secs_f64()))),
        "arrived": by_trace(&|at| json!(contest.traces[at].arrivals.len())),
        "sliding_window_error": curve,
    });
    format!("{result}\n")
}

fn round(value: f64) -> f64 {
    (value * 1_000.0).round() / 1_000.0
}

/// A page of 80 columns.
pub(crate) fn text(contest: &Contest, picture: Option<&Path>) -> String {
    let mut page = String::new();
    // Writing to a string cannot fail.
    let _ = write_page(&mut page, contest, picture);
    page
}

fn write_page(page: &mut String, contest: &Contest, picture: Option<&Path>) -> std::fmt::Result {
    writeln!(page, "\nFive ways to allow {LIMIT} calls in {WINDOW_S} s\n")?;
    for trace in &contest.traces {
        writeln!(page, "  {:<9} {}", trace.name, trace.what)?;
    }
    section(page, contest, "Calls let through", &|run, _| run.admitted().to_string())?;
    section(page, contest, "Worst window: the most in any 10 s, by the limit", &|run, _| {
        format!("{:.2}", run.worst_window())
    })?;
    section(
        page,
        contest,
        "Decided otherwise than the exact log, % of the calls",
        &|run, exact| format!("{:.1}", run.differs_from(exact)),
    )?;
    section(page, contest, "Unevenness of the output: 0 as a clock, 1 as by chance", &|run, _| {
        format!("{:.1}", run.unevenness())
    })?;
    let waits = contest.of("leaky_bucket").iter().map(|run| run.longest_wait.as_secs_f64());
    writeln!(
        page,
        "\nThe leaky bucket holds calls back instead, here for up to {:.1} s.",
        waits.fold(0.0, f64::max)
    )?;
    curve(page, contest)?;
    page.push_str(ADVICE);
    if let Some(picture) = picture {
        writeln!(page, "\nThe picture: {}", picture.display())?;
    }
    Ok(())
}

fn section(
    page: &mut String,
    contest: &Contest,
    title: &str,
    cell: &dyn Fn(&Run, &Run) -> String,
) -> std::fmt::Result {
    writeln!(page, "\n{title}")?;
    write!(page, "  {:<20}", "")?;
    for trace in &contest.traces {
        write!(page, "{:>10}", trace.name)?;
    }
    writeln!(page)?;
    let exact = contest.of(LOG);
    for (one, runs) in contest.contestants.iter().zip(&contest.runs) {
        write!(page, "  {:<20}", one.name)?;
        for (run, exact) in runs.iter().zip(exact) {
            write!(page, "{:>10}", cell(run, exact))?;
        }
        writeln!(page)?;
    }
    Ok(())
}

type Cell<'a> = &'a dyn Fn(&Point) -> String;

fn curve(page: &mut String, contest: &Contest) -> std::fmt::Result {
    let figures: [(&str, Cell<'_>); 3] = [
        ("decides otherwise than the log, % of the calls", &|it| format!("{:.1}", it.wrong)),
        ("lets more through than the log (or less, −), %", &|it| format!("{:+.1}", it.excess)),
        ("worst window, by the limit", &|it| format!("{:.2}", it.worst_window)),
    ];
    for (what, cell) in figures {
        writeln!(page, "\nThe sliding window: {what}")?;
        write!(page, "  {:<12}", "load, × limit")?;
        for shape in Shape::ALL {
            write!(page, "{:>18}", shape.name())?;
        }
        writeln!(page)?;
        for points in contest.curve.chunks(Shape::ALL.len()) {
            let Some(first) = points.first() else { continue };
            write!(page, "  {:<13.2}", first.load)?;
            for point in points {
                write!(page, "{:>18}", cell(point))?;
            }
            writeln!(page)?;
        }
    }
    Ok(())
}

const ADVICE: &str = "
Token bucket or leaky bucket?
  A token bucket lets a burst through at once, if it has been saved up for: for
  your own callers, whose bursts are harmless, and for APIs that allow them. In
  the long run it lets no more through than the others; in one window, up to
  twice. A leaky bucket sends at an even pace whatever comes: for what cannot
  take a burst (a weak service, a paid API that counts by the second). Its price
  is the wait. A fixed window lets twice its limit through around a boundary. A
  sliding window costs as little and is seldom far off, but bursts that drift
  can bring it to 1.7 times its limit. The log is exact, and remembers all.
";
