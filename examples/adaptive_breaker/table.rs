//! The result, for people and for programs.

use std::fmt::Write;
use std::path::Path;
use std::time::Duration;

use serde_json::{Map, Value, json};

use crate::args::Args;
use crate::contest::{Contest, MIN_CALLS, OPEN_FOR, Score, Threshold};
use crate::story::INCIDENTS;

/// `{"fixed": {"0.05": {"false_trips": n, "delay_s": x or null}, …}, "adaptive": {…}}`.
pub(crate) fn json(contest: &Contest) -> String {
    let score =
        |score: &Score| json!({ "false_trips": score.false_trips, "delay_s": score.delay_s() });
    let mut fixed = Map::new();
    for each in &contest.fixed {
        fixed.insert(name(each.threshold), score(each));
    }
    let all = json!({ "fixed": Value::Object(fixed), "adaptive": score(&contest.adaptive) });
    format!("{all}\n")
}

fn name(threshold: Threshold) -> String {
    match threshold {
        Threshold::Fixed(share) => share.to_string(),
        Threshold::Adaptive => "adaptive".into(),
    }
}

/// The table, and what it says.
pub(crate) fn text(args: &Args, contest: &Contest, picture: Option<&Path>) -> String {
    let mut text = String::new();
    // Writing to a string cannot fail.
    let _ = write_text(&mut text, args, contest, picture);
    text
}

fn write_text(
    text: &mut String,
    args: &Args,
    contest: &Contest,
    picture: Option<&Path>,
) -> std::fmt::Result {
    writeln!(
        text,
        "Four weeks, {} calls (up to {} a second), seed {}. At least {MIN_CALLS} calls in a window of {} s for the\n\
         fixed thresholds, of {} s for the adaptive one; all open for {} s.\n",
        grouped(contest.calls),
        args.noon,
        args.seed,
        args.windows().fixed.as_secs(),
        args.windows().adaptive.as_secs(),
        OPEN_FOR.as_secs(),
    )?;
    writeln!(
        text,
        "{:>10}  {:>11}  {:>15}  {:>25}  {:>8}",
        "", "", "refused while", "delay to the true trip", ""
    )?;
    write!(text, "{:>10}  {:>11}  {:>15}", "threshold", "false trips", "all was well")?;
    for incident in &INCIDENTS {
        write!(text, "  {:>14}", incident.name)?;
    }
    writeln!(text, "  {:>8}", "mean")?;
    for score in contest.fixed.iter().chain([&contest.adaptive]) {
        if score.threshold == Threshold::Adaptive {
            writeln!(text)?;
        }
        let (trips, refused) = (grouped(score.false_trips), grouped(score.refused));
        write!(text, "{:>10}  {trips:>11}  {refused:>15}", name(score.threshold))?;
        for delay in score.delays {
            write!(text, "  {:>14}", seconds(delay.map(|delay: Duration| delay.as_secs_f64())))?;
        }
        writeln!(text, "  {:>8}", score.delay_s().map_or("-".into(), |s| seconds(Some(s))))?;
    }
    writeln!(text)?;
    writeln!(text, "{}", verdict(contest))?;
    if let Some(picture) = picture {
        writeln!(text, "Chart: {}", picture.display())?;
    }
    Ok(())
}

/// Only what the numbers above say.
fn verdict(contest: &Contest) -> String {
    let named = |scores: &[&Score]| {
        let names: Vec<_> = scores.iter().map(|score| name(score.threshold)).collect();
        names.join(", ")
    };
    let rivals: Vec<_> = contest.rivals().collect();
    if !rivals.is_empty() {
        return format!("As good in both ways: a fixed threshold of {}.", named(&rivals));
    }
    let ours = grouped(contest.adaptive.false_trips);
    let price = contest.calmest().map_or_else(
        || "no fixed threshold saw both incidents".into(),
        |calmest| {
            format!(
                "of the fixed thresholds that saw both incidents, the one with the fewest ({}) has {}",
                name(calmest.threshold),
                grouped(calmest.false_trips)
            )
        },
    );
    let earlier: Vec<_> = contest.earlier().collect();
    match earlier.iter().map(|score| score.false_trips).min() {
        None => format!(
            "The adaptive one is earlier than each of these fixed thresholds.\nIt has {ours} false trips; {price}."
        ),
        Some(fewest) => format!(
            "No fixed threshold has both as few false trips and as early a true trip.\n\
             Earlier: {}, each with {} false trips or more.\n\
             The adaptive one has {ours}; {price}.",
            named(&earlier),
            grouped(fewest),
        ),
    }
}

fn seconds(delay: Option<f64>) -> String {
    delay.map_or("missed".into(), |delay| format!("{delay:.1} s"))
}

/// 1,234,567.
pub(crate) fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}
