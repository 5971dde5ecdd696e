//! The lab's pictures.

use std::error::Error;
use std::time::Duration;

use plotters::prelude::*;
use seawall::simulation::ClientReport;
use seawall_examples::chart::{Area, BLUE, Drawn, GREEN, QUIET, RED, axes, legend, patch, words};

const WIDTH: u32 = 1000;
const HEIGHT: u32 = 360;
const COLORS: [RGBColor; 7] = [
    QUIET,
    BLUE,
    GREEN,
    RED,
    RGBColor(0xb0, 0x7a, 0x12),
    RGBColor(0x7a, 0x3e, 0x9d),
    RGBColor(0x1f, 0x29, 0x33),
];

/// A line of a chart.
pub(crate) struct Series {
    name: String,
    points: Vec<(f64, f64)>,
}

impl Series {
    pub(crate) fn new(name: &str, points: Vec<(f64, f64)>) -> Self {
        Self { name: name.to_owned(), points }
    }

    /// Of the calls begun in each second the share that was answered.
    pub(crate) fn answered(name: &str, clients: &ClientReport, lasts: Duration) -> Self {
        let shares = (0..lasts.as_secs()).map(|second| {
            let at = Duration::from_secs(second);
            (second as f64, clients.answered_share(at..at + Duration::from_secs(1)))
        });
        Self::new(name, shares.collect())
    }

    /// Counts in bins, as numbers a second over each half second or so.
    pub(crate) fn per_second(name: &str, line: &[u32], bin: Duration) -> Self {
        const SPAN: Duration = Duration::from_millis(500);
        let bins = usize::try_from(SPAN.as_nanos() / bin.as_nanos().max(1)).unwrap_or(1).max(1);
        let span = bin.as_secs_f64() * bins as f64;
        let sums = line.chunks(bins).map(|part| part.iter().map(|&it| f64::from(it)).sum::<f64>());
        let points = sums.enumerate().map(|(at, sum)| (at as f64 * span, sum / span));
        Self::new(name, points.collect())
    }
}

/// Charts one below the other, each with its title and lines.
pub(crate) fn lines(charts: &[(&str, Vec<Series>)]) -> Result<String, Box<dyn Error>> {
    let height = HEIGHT * u32::try_from(charts.len())?;
    drawn((WIDTH, height), |root| {
        let rows = root.split_evenly((charts.len(), 1));
        charts.iter().zip(&rows).try_for_each(|((title, lines), row)| chart(row, title, lines))
    })
}

fn drawn(
    size: (u32, u32),
    draw: impl FnOnce(&Area<'_>) -> Drawn,
) -> Result<String, Box<dyn Error>> {
    let mut svg = String::new();
    {
        let root = SVGBackend::with_string(&mut svg, size).into_drawing_area();
        root.fill(&WHITE)?;
        draw(&root)?;
        root.present()?;
    }
    Ok(svg)
}

fn chart(area: &Area<'_>, title: &str, lines: &[Series]) -> Drawn {
    let all = || lines.iter().flat_map(|line| &line.points);
    let right = all().map(|(x, _)| *x).fold(1.0, f64::max);
    let top = all().map(|(_, y)| *y).fold(0.0, f64::max);
    let top = if top > 0.0 { top * 1.08 } else { 1.0 };
    let mut chart = ChartBuilder::on(area)
        .caption(title, words(17))
        .margin(8)
        .margin_right(24)
        .x_label_area_size(28)
        .y_label_area_size(64)
        .build_cartesian_2d(0.0..right, 0.0..top)?;
    let mut mesh = chart.configure_mesh();
    axes(&mut mesh, 13);
    // Without what a sum of tenths leaves at its end.
    let plain = |value: &f64| format!("{}", (value * 1e3).round() / 1e3);
    mesh.x_label_formatter(&plain).y_label_formatter(&plain);
    mesh.draw()?;
    for (line, color) in lines.iter().zip(COLORS.iter().cycle()) {
        let color = *color;
        chart
            .draw_series(LineSeries::new(line.points.iter().copied(), color.stroke_width(2)))?
            .label(&line.name)
            .legend(move |at| patch(at, color.into()));
    }
    legend(&mut chart, 13)
}

/// A strip for each series, one below the other: shares from 0 to 1 over this part of the run, in seconds.
pub(crate) fn strips(
    title: &str,
    (from, until): (f64, f64),
    strips: &[Series],
) -> Result<String, Box<dyn Error>> {
    const STRIP: u32 = 74;
    const ABOVE: u32 = 40;
    let size = (WIDTH, ABOVE + STRIP * u32::try_from(strips.len())? + 20);
    drawn(size, |root| {
        let (head, rest) = root.split_vertically(ABOVE);
        head.draw_text(title, &words(17), (150, 14))?;
        let (rows, _) = rest.split_vertically(STRIP * u32::try_from(strips.len())?);
        for (strip, row) in strips.iter().zip(rows.split_evenly((strips.len(), 1))) {
            row.draw_text(&strip.name, &words(15), (12, 24))?;
            let mut chart = ChartBuilder::on(&row)
                .margin(4)
                .margin_right(24)
                .x_label_area_size(18)
                .y_label_area_size(150)
                .build_cartesian_2d(from..until, 0.0..1.05)?;
            let mut mesh = chart.configure_mesh();
            axes(&mut mesh, 11);
            mesh.y_labels(2)
                .x_label_formatter(&|second| format!("{second} s"))
                .y_label_formatter(&|share| format!("{share:.1}"))
                .draw()?;
            let color = if strip.name == "seawall" { GREEN } else { BLUE };
            let seen = strip.points.iter().copied().filter(|(at, _)| (from..=until).contains(at));
            chart.draw_series(AreaSeries::new(seen, 0.0, color.mix(0.35)).border_style(color))?;
        }
        Ok(())
    })
}

/// Heat maps side by side: of each a title, and rows from the bottom, of shares from 0 to 1. The axes go up in steps of `step`.
pub(crate) fn heat(
    maps: &[(String, Vec<Vec<f64>>)],
    (x_name, y_name): (&str, &str),
    step: u32,
) -> Result<String, Box<dyn Error>> {
    const CELL: i32 = 52;
    const LEFT: i32 = 80;
    const ABOVE: i32 = 60;
    let cells = maps.iter().map(|(_, rows)| rows.len()).max().unwrap_or(1);
    let (side, count) = (CELL * i32::try_from(cells)?, i32::try_from(maps.len())?);
    let each = LEFT + side + 30;
    let size = (u32::try_from(each * count)?, u32::try_from(ABOVE + side + 70)?);
    drawn(size, |root| {
        for (index, (title, rows)) in maps.iter().enumerate() {
            let left = each * i32::try_from(index)? + LEFT;
            root.draw_text(title, &words(17), (left, 22))?;
            for (row, shares) in rows.iter().enumerate() {
                let y = ABOVE + side - CELL * (i32::try_from(row)? + 1);
                root.draw_text(
                    &(step as usize * row).to_string(),
                    &words(13),
                    (left - 32, y + 19),
                )?;
                for (column, share) in shares.iter().enumerate() {
                    let x = left + CELL * i32::try_from(column)?;
                    let corners = [(x, y), (x + CELL - 2, y + CELL - 2)];
                    root.draw(&Rectangle::new(corners, shade(*share).filled()))?;
                    let ink = if *share > 0.5 { WHITE } else { RGBColor(0x1f, 0x29, 0x33) };
                    let style = ("sans-serif", 13).into_font().color(&ink);
                    root.draw_text(&format!("{share:.2}"), &style, (x + 12, y + 19))?;
                }
            }
            for column in 0..cells {
                let x = left + CELL * i32::try_from(column)? + 14;
                root.draw_text(
                    &(step as usize * column).to_string(),
                    &words(13),
                    (x, ABOVE + side + 8),
                )?;
            }
            root.draw_text(x_name, &words(13), (left, ABOVE + side + 32))?;
            root.draw_text(y_name, &words(13), (left - 60, ABOVE - 18))?;
        }
        Ok(())
    })
}

/// From a pale red, where it never recovers, to green, where it always does.
fn shade(share: f64) -> RGBColor {
    let (from, to) = ((0xf4, 0xd9, 0xd5), (0x0b, 0x7a, 0x75));
    let mix = |from: i32, to: i32| (f64::from(from) + f64::from(to - from) * share) as u8;
    RGBColor(mix(from.0, to.0), mix(from.1, to.1), mix(from.2, to.2))
}
