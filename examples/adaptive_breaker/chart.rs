//! The result as a picture: how the threshold follows the week, and what that is worth.

use std::path::Path;

use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, Pos, VPos};
use seawall_examples::chart::{
    Area, BLUE as BASELINE, Drawn, FAINT, GREEN as GOOD, QUIET, RED as BAD, axes, legend, patch,
    picture, words,
};

use crate::contest::{Contest, Glimpse, Score, Threshold};
use crate::story::{DAY, INCIDENTS, Incident, LENGTH, WEEK};
use crate::table::grouped;

const SIZE: (u32, u32) = (1100, 900);
const SEEN: RGBColor = RGBColor(0x9a, 0xa5, 0xb1);
/// The greatest threshold, and room for the legend above it.
const HIGHEST: f64 = 0.85;

pub(crate) fn draw(path: &Path, contest: &Contest) -> Drawn {
    picture(path, SIZE, |root| {
        let (above, below) = root.split_vertically(470);
        threshold(&above, &contest.week.glimpses)?;
        scores(&below, contest)
    })
}

/// The fourth week: what failed, what is normal, and the threshold above it.
fn threshold(area: &Area<'_>, glimpses: &[Glimpse]) -> Drawn {
    let title = "The fourth week: the threshold follows what is normal for the hour";
    let mut chart = ChartBuilder::on(area)
        .caption(title, words(20))
        .margin(16)
        .x_label_area_size(34)
        .y_label_area_size(56)
        .build_cartesian_2d(0.0..168.0, 0.0..HIGHEST)?;
    let mut mesh = chart.configure_mesh();
    axes(&mut mesh, 13);
    mesh.x_labels(0).y_labels(7).y_label_formatter(&percent).y_desc("calls that fail").draw()?;
    for (day, name) in ["Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"].into_iter().enumerate() {
        let midnight = day as f64 * 24.0;
        let line = [(midnight, 0.0), (midnight, HIGHEST)];
        chart.draw_series(LineSeries::new(line, FAINT))?;
        below(area, chart.backend_coord(&(midnight + 12.0, 0.0)), name)?;
    }
    for (from, until) in this_week() {
        let band =
            Rectangle::new([(from - 0.3, 0.0), (until + 0.3, HIGHEST)], BAD.mix(0.18).filled());
        chart.draw_series([band])?.label("incident").legend(|at| patch(at, BAD.mix(0.3)));
    }
    let shares = glimpses.iter().filter_map(|it| Some((it.hour, it.share?)));
    chart
        .draw_series(shares.map(|at| Circle::new(at, 1, SEEN.filled())))?
        .label("what failed, in five minutes")
        .legend(|at| patch(at, SEEN.to_rgba()));
    let line = |value: fn(&Glimpse) -> f64| glimpses.iter().map(move |it| (it.hour, value(it)));
    chart
        .draw_series(LineSeries::new(line(|it| it.baseline), BASELINE.stroke_width(2)))?
        .label("what is normal (baseline)")
        .legend(|at| patch(at, BASELINE.to_rgba()));
    chart
        .draw_series(LineSeries::new(line(|it| it.threshold), GOOD.stroke_width(2)))?
        .label("threshold")
        .legend(|at| patch(at, GOOD.to_rgba()));
    legend(&mut chart, 13)
}

fn percent(share: &f64) -> String {
    format!("{:.0} %", share * 100.0)
}

/// A label under the axis.
fn below(area: &Area<'_>, (x, y): (i32, i32), text: &str) -> Drawn {
    let (left, top) = area.get_base_pixel();
    let centred = Pos::new(HPos::Center, VPos::Top);
    let style = words(13).pos(centred);
    area.draw_text(text, &style, (x - left, y - top + 8))?;
    Ok(())
}

/// A label at the left of the axis.
fn beside(area: &Area<'_>, (x, y): (i32, i32), text: &str) -> Drawn {
    let (left, top) = area.get_base_pixel();
    let at_its_end = Pos::new(HPos::Right, VPos::Center);
    let style = words(13).pos(at_its_end);
    area.draw_text(text, &style, (x - left - 8, y - top))?;
    Ok(())
}

/// The incidents of the fourth week, in hours since Monday.
fn this_week() -> impl Iterator<Item = (f64, f64)> {
    let begins = LENGTH - WEEK;
    let hours = move |second: u64| (second - begins) as f64 * 24.0 / DAY as f64;
    let is_of_it = move |incident: &&Incident| incident.from_s >= begins;
    INCIDENTS.iter().filter(is_of_it).map(move |it| (hours(it.from_s), hours(it.until_s)))
}

/// False trips against delay; a breaker that missed an incident stands above the line.
fn scores(area: &Area<'_>, contest: &Contest) -> Drawn {
    let all = || contest.fixed.iter().chain([&contest.adaptive]);
    let longest = all().filter_map(Score::delay_s).fold(10.0, f64::max);
    let most = all().map(|score| score.false_trips).max().unwrap_or(0);
    let shortest = all().filter_map(Score::delay_s).fold(2.5, f64::min);
    let (bottom, missed, top) = (shortest * 0.55, longest * 3.0, longest * 7.0);
    let mut chart = ChartBuilder::on(area)
        .caption(
            "False trips in four weeks, and how long a true one takes: best is bottom left",
            words(20),
        )
        .margin(16)
        .x_label_area_size(52)
        .y_label_area_size(56)
        // One more than there were, for a logarithm has no zero.
        .build_cartesian_2d(
            (0.8..(most as f64 + 1.0) * 2.0).log_scale(),
            (bottom..top).log_scale(),
        )?;
    let mut mesh = chart.configure_mesh();
    axes(&mut mesh, 13);
    mesh.disable_mesh()
        .x_labels(0)
        .x_label_formatter(&|_| String::new())
        .y_label_formatter(&|_| String::new())
        .x_desc("false trips")
        .y_desc("mean delay")
        .draw()?;
    for trips in [0, 1, 10, 100, 1_000, 10_000, 100_000].into_iter().filter(|it| *it <= most) {
        let x = trips as f64 + 1.0;
        chart.draw_series(LineSeries::new([(x, bottom), (x, missed * 0.6)], FAINT))?;
        below(area, chart.backend_coord(&(x, bottom)), &grouped(trips))?;
    }
    let right = (most as f64 + 1.0) * 2.0;
    let ticks = [1.0, 2.0, 5.0, 10.0, 20.0, 50.0, 100.0, 200.0, 500.0, 1_000.0];
    for delay in ticks.into_iter().filter(|it| (bottom..=longest).contains(it)) {
        chart.draw_series(LineSeries::new([(0.8, delay), (right, delay)], FAINT))?;
        beside(area, chart.backend_coord(&(0.8, delay)), &format!("{delay} s"))?;
    }
    let line = [(0.8, missed * 0.6), (right, missed * 0.6)];
    chart.draw_series(LineSeries::new(line, QUIET.stroke_width(1)))?;
    let note = words(13).color(&QUIET);
    let remark = Text::new("missed an incident", (0.85, top * 0.93), note);
    chart.draw_series([remark])?;
    // Several with no false trip that all missed would lie on one another.
    let mut crowd = 0;
    for (at, score) in all().enumerate() {
        let x = score.false_trips as f64 + 1.0;
        let y = score.delay_s().unwrap_or(missed);
        let (color, size, label) = match score.threshold {
            Threshold::Adaptive => (GOOD, 7, "adaptive".to_owned()),
            Threshold::Fixed(share) => (BAD, 5, share.to_string()),
        };
        let shift = if score.delay_s().is_none() && score.false_trips == 0 { crowd } else { 0 };
        crowd += i32::from(score.delay_s().is_none() && score.false_trips == 0);
        let style = words(13).color(&color);
        let dot = EmptyElement::at((x, y))
            + Circle::new((shift * 34, 0), size, color.filled())
            + Text::new(label, (shift * 34 - 8, if at % 2 == 0 { -22 } else { 10 }), style);
        chart.draw_series([dot])?;
    }
    Ok(())
}
