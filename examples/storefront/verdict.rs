//! What the run has shown, in two sentences that say only what was measured.

use std::time::Duration;

use crate::Finale;
use crate::args::Args;
use crate::reading::{INVENTORY, NOTIFICATION, Outage, PAYMENT};
use crate::shop::WORKERS;

/// What is about to be seen.
pub(crate) fn invitation(args: &Args) -> String {
    format!(
        "A shop with {WORKERS} workers takes {} customers a second for {} s{}. {}.",
        args.rate,
        args.seconds,
        if args.bare { ", without Seawall" } else { "" },
        if args.no_outage {
            "Inventory turns slow and notification is flooded, but payment stays well"
        } else {
            "Payment fails, inventory turns slow, notification is flooded"
        },
    )
}

/// Two sentences on the run; one, if it was cut short before there was anything to say.
pub(crate) fn sentences(
    args: &Args,
    (from, to): &(Duration, Duration),
    finale: &Finale,
) -> Vec<String> {
    let Some(outage) = &finale.outage else {
        return vec!["Cut short: this run ended before payment's outage did.".to_owned()];
    };
    let when = format!("from {:.1} s to {:.1} s", from.as_secs_f64(), to.as_secs_f64());
    let others = others(outage);
    match (args.bare, args.no_outage) {
        (false, false) => vec![breaker(finale, *to, &when), bystanders(finale, &others)],
        (true, false) => bare(finale, &when, &others),
        (bare, true) => vec![
            format!(
                "The control run: payment was well all along, {when} too, where it fails otherwise."
            ),
            format!(
                "In that time {others} of their calls; compare the run without --no-outage{}.",
                if bare { ", with --bare and without" } else { "" }
            ),
        ],
    }
}

/// "inventory answered 100.0 % and notification 99.9 %".
fn others(outage: &Outage) -> String {
    let percent = |dependency: usize| 100.0 * outage.counts[dependency].success_ratio();
    format!(
        "inventory answered {:.1} % and notification {:.1} %",
        percent(INVENTORY),
        percent(NOTIFICATION)
    )
}

fn breaker(finale: &Finale, recovered: Duration, when: &str) -> String {
    let payment = &finale.readings.0[PAYMENT];
    let later = payment.counts.fallback;
    let Some(opened) = payment.transitions.iter().find(|step| step.to == "open") else {
        return format!(
            "Payment was down {when} and its breaker saw too few calls to open: raise --rate."
        );
    };
    let back = match payment.transitions.last() {
        Some(last) if last.to == "closed" => format!(
            "closed {:.1} s after the service was well again",
            last.at.saturating_sub(recovered).as_secs_f64()
        ),
        _ => "has not closed since".to_owned(),
    };
    format!(
        "Payment was down {when}: its breaker opened at {:.1} s, {back}, and {later} orders were taken \
         to be paid later instead of being lost.",
        opened.at.as_secs_f64()
    )
}

fn bystanders(finale: &Finale, others: &str) -> String {
    let peak = finale.tally.peak_busy;
    let workers = if peak < WORKERS as u64 {
        format!("and never were more than {peak} of {WORKERS} workers busy")
    } else {
        format!("though at times all {WORKERS} workers were busy: this rate is a lot for them")
    };
    format!(
        "Meanwhile {others} of their calls, {workers}; add --bare to see the same run without Seawall."
    )
}

fn bare(finale: &Finale, when: &str, others: &str) -> Vec<String> {
    let tally = &finale.tally;
    if tally.left == 0 {
        return vec![
            format!(
                "Payment was down {when}, and at this rate {WORKERS} workers were enough to sit it out."
            ),
            format!(
                "In that time {others} of their calls: raise --rate or --seconds to see them fall."
            ),
        ];
    }
    vec![
        format!(
            "Payment was down {when}: up to {} of {WORKERS} workers waited for it without a timeout, and {} of {} \
             customers left because no worker was free.",
            finale.tally.peak_busy, tally.left, tally.arrived
        ),
        format!(
            "So {others} of the calls they were due in that time, though nothing was wrong with either: \
             leave --bare out to see Seawall keep them apart."
        ),
    ]
}
