//! A series of measurements as a picture.

use std::error::Error;
use std::path::Path;

use plotters::prelude::*;

/// What one contender took at each size.
#[derive(Debug)]
pub(crate) struct Line {
    pub(crate) name: String,
    /// Size, nanoseconds.
    pub(crate) points: Vec<(f64, f64)>,
}

const INK: RGBColor = RGBColor(0x1f, 0x29, 0x33);
const FAINT: RGBColor = RGBColor(0xe2, 0xe6, 0xea);
const COLOURS: [RGBColor; 3] =
    [RGBColor(0x0b, 0x7a, 0x75), RGBColor(0xc4, 0x3d, 0x2f), RGBColor(0x5b, 0x6b, 0x7b)];

/// Draws the lines over each other: sizes from left to right, nanoseconds upwards, both by powers of ten.
pub(crate) fn draw(
    to: &Path,
    title: &str,
    sizes: &str,
    lines: &[Line],
) -> Result<(), Box<dyn Error + Send + Sync>> {
    let all = || lines.iter().flat_map(|line| &line.points);
    let bounds = |of: fn(&(f64, f64)) -> f64| {
        let (least, most) = all()
            .map(of)
            .fold((f64::MAX, 0.0_f64), |(least, most), value| (least.min(value), most.max(value)));
        (least, most)
    };
    let ((left, right), (low, high)) = (bounds(|point| point.0), bounds(|point| point.1));
    let root = SVGBackend::new(to, (760, 420)).into_drawing_area();
    root.fill(&WHITE)?;
    let mut chart = ChartBuilder::on(&root)
        .caption(title, ("sans-serif", 18).into_font().color(&INK))
        .margin(14)
        .x_label_area_size(44)
        .y_label_area_size(64)
        .build_cartesian_2d(
            (left..right * 1.05).log_scale(),
            (low / 2.0..high * 2.0).log_scale(),
        )?;
    chart
        .configure_mesh()
        .x_desc(sizes)
        .y_desc("ns an operation")
        .axis_style(INK)
        .bold_line_style(FAINT)
        .light_line_style(WHITE)
        .label_style(("sans-serif", 13).into_font().color(&INK))
        .x_label_formatter(&|size| short(*size))
        .y_label_formatter(&|nanos| short(*nanos))
        .draw()?;
    for (line, colour) in lines.iter().zip(COLOURS.iter().cycle()) {
        chart
            .draw_series(LineSeries::new(line.points.iter().copied(), colour.stroke_width(2)))?
            .label(line.name.clone())
            .legend(move |(x, y)| PathElement::new([(x, y), (x + 18, y)], colour.stroke_width(2)));
        chart
            .draw_series(line.points.iter().map(|point| Circle::new(*point, 3, colour.filled())))?;
    }
    chart
        .configure_series_labels()
        .position(SeriesLabelPosition::UpperLeft)
        .background_style(WHITE.mix(0.8))
        .label_font(("sans-serif", 13).into_font().color(&INK))
        .draw()?;
    root.present()?;
    Ok(())
}

/// 10000 is 10k.
fn short(value: f64) -> String {
    match value {
        large if large >= 1e6 => format!("{}M", rounded(large / 1e6)),
        middle if middle >= 1e3 => format!("{}k", rounded(middle / 1e3)),
        small => rounded(small),
    }
}

fn rounded(value: f64) -> String {
    format!("{}", (value * 10.0).round() / 10.0)
}
