//! The result as a picture: what comes in, what each lets out, and where the sliding window errs.

use std::path::Path;

use plotters::prelude::*;
use seawall::clock::Moment;
use seawall_examples::chart::{
    Area, BLUE, Drawn, GREEN, QUIET, RED, axes, legend, patch, picture, words,
};

use crate::contest::{Contest, Point, Run};
use crate::traces::{LENGTH_S, PER_SECOND, Shape};

const SIZE: (u32, u32) = (1100, 1180);
const CAME: RGBColor = RGBColor(0xc9, 0xd1, 0xd9);
const SHAPES: [RGBColor; 3] = [BLUE, GREEN, RED];
/// How much of the bursty trace is shown, in seconds.
const SHOWN_S: f64 = LENGTH_S / 2.0;

pub(crate) fn draw(path: &Path, contest: &Contest) -> Drawn {
    picture(path, SIZE, |root| {
        let (above, below) = root.split_vertically(840);
        let above = above.margin(10, 0, 0, 0).titled(
            "150 calls within a second, every 20 s. In each half second: what comes (grey), what goes out (green), the limit's pace (red)",
            words(17),
        )?;
        let bursty = contest.trace("bursty");
        let rows = above.split_evenly((contest.contestants.len(), 1));
        for ((one, runs), row) in contest.contestants.iter().zip(&contest.runs).zip(&rows) {
            output(row, one.name, &contest.traces[bursty].arrivals, &runs[bursty])?;
        }
        let (left, right) = below.split_horizontally(SIZE.0 / 2);
        [left, right].iter().zip(&WRONG).try_for_each(|(half, wrong)| error(half, contest, wrong))
    })
}

/// Calls in each half second of what is shown.
fn halves(moments: impl Iterator<Item = Moment>) -> Vec<u32> {
    let mut counts = vec![0; (SHOWN_S * 2.0) as usize];
    for at in moments {
        let half = (at.since(Moment::ZERO).as_secs_f64() * 2.0) as usize;
        if let Some(count) = counts.get_mut(half) {
            *count += 1;
        }
    }
    counts
}

fn output(area: &Area<'_>, name: &str, arrivals: &[Moment], run: &Run) -> Drawn {
    let mut chart = ChartBuilder::on(area)
        .margin(4)
        .margin_right(20)
        .x_label_area_size(20)
        .y_label_area_size(176)
        .build_cartesian_2d(0.0..SHOWN_S, 0.0..80.0)?;
    let mut mesh = chart.configure_mesh();
    axes(&mut mesh, 12);
    mesh.x_labels(7)
        .y_labels(3)
        .x_label_formatter(&|second| format!("{second:.0} s"))
        .y_label_formatter(&|calls| format!("{calls:.0}"))
        .draw()?;
    let bar = |(half, count): (usize, u32), inset: f64, color: RGBColor| {
        let from = half as f64 / 2.0;
        Rectangle::new(
            [(from + inset, 0.0), (from + 0.5 - inset, f64::from(count))],
            color.filled(),
        )
    };
    let came = halves(arrivals.iter().copied());
    let sent = halves(run.sent.iter().flatten().copied());
    let some = |counts: Vec<u32>| counts.into_iter().enumerate().filter(|(_, count)| *count > 0);
    chart.draw_series(some(came).map(|at| bar(at, 0.0, CAME)))?;
    chart.draw_series(some(sent).map(|at| bar(at, 0.08, GREEN)))?;
    let pace = PER_SECOND / 2.0;
    chart.draw_series(LineSeries::new([(0.0, pace), (SHOWN_S, pace)], RED))?;
    let large = words(15);
    let (_, height) = area.dim_in_pixel();
    area.draw_text(name, &large, (12, height as i32 / 2 - 22))?;
    let admitted = format!("{} through", sent_so_far(run));
    let small = words(12).color(&QUIET);
    area.draw_text(&admitted, &small, (12, height as i32 / 2))?;
    Ok(())
}

fn sent_so_far(run: &Run) -> usize {
    run.sent.iter().flatten().filter(|at| at.since(Moment::ZERO).as_secs_f64() < SHOWN_S).count()
}

/// Something that is wrong with the sliding window.
struct Wrong {
    title: &'static str,
    least: f64,
    of: fn(&Point) -> f64,
    label: fn(&f64) -> String,
}

const WRONG: [Wrong; 2] = [
    Wrong {
        title: "Sliding window: decided otherwise than the log",
        least: 0.0,
        of: |it| it.wrong,
        label: |share| format!("{share:.0} %"),
    },
    // From nothing: below the limit it is the load that shows, not the counter.
    Wrong {
        title: "Its worst window, by the limit",
        least: 0.0,
        of: |it| it.worst_window,
        label: |worst| format!("{worst:.1}"),
    },
];

/// How wrong it is, by load and shape.
fn error(area: &Area<'_>, contest: &Contest, error: &Wrong) -> Drawn {
    let most = contest.curve.iter().map(error.of).fold(error.least, f64::max);
    let most = most + (most - error.least) * 0.45;
    let mut chart = ChartBuilder::on(area)
        .caption(error.title, words(16))
        .margin(16)
        .x_label_area_size(44)
        .y_label_area_size(50)
        .build_cartesian_2d(0.5..3.0, error.least..most)?;
    let mut mesh = chart.configure_mesh();
    axes(&mut mesh, 12);
    mesh.x_labels(6)
        .y_labels(6)
        .x_desc("calls that come, by the limit")
        .x_label_formatter(&|load| format!("{load:.1}"))
        .y_label_formatter(&error.label)
        .draw()?;
    for (shape, color) in Shape::ALL.into_iter().zip(SHAPES) {
        let points = contest.curve.iter().filter(|point| point.shape == shape);
        let line: Vec<_> = points.map(|point| (point.load, (error.of)(point))).collect();
        chart.draw_series(line.iter().map(|at| Circle::new(*at, 3, color.filled())))?;
        chart
            .draw_series(LineSeries::new(line, color.stroke_width(2)))?
            .label(shape.name())
            .legend(move |at| patch(at, color.to_rgba()));
    }
    legend(&mut chart, 12)
}
