//! A report as a picture.

use std::error::Error;

use plotters::coord::Shift;
use plotters::prelude::*;

use super::report::Report;

type Area<'a> = DrawingArea<SVGBackend<'a>, Shift>;

const WIDTH: u32 = 1000;
const ROW: u32 = 220;
const INK: RGBColor = RGBColor(0x1f, 0x29, 0x33);
const FAINT: RGBColor = RGBColor(0xe2, 0xe6, 0xea);
const CAME: RGBColor = RGBColor(0xc9, 0xd1, 0xd9);
const GREEN: RGBColor = RGBColor(0x0b, 0x7a, 0x75);
const RED: RGBColor = RGBColor(0xc4, 0x3d, 0x2f);
/// About as many points as a line has: more are drawn together.
const POINTS: usize = 400;

/// Two lines over time in one chart, in numbers a second or numbers.
struct Chart<'a> {
    title: String,
    /// Grey, as an area.
    behind: (&'static str, Vec<f64>),
    line: (&'static str, Vec<f64>, &'a RGBColor),
}

impl Report {
    /// The lines over time as an SVG picture: a chart for each group of clients, and for each server.
    ///
    /// # Errors
    /// It cannot be drawn.
    pub fn to_svg(&self) -> Result<String, Box<dyn Error + Send + Sync>> {
        let charts = self.charts();
        let mut svg = String::new();
        {
            let size = (WIDTH, ROW * u32::try_from(charts.len().max(1))?);
            let root = SVGBackend::with_string(&mut svg, size).into_drawing_area();
            root.fill(&WHITE).map_err(said)?;
            for (chart, area) in charts.iter().zip(root.split_evenly((charts.len().max(1), 1))) {
                self.draw(chart, &area).map_err(said)?;
            }
            root.present().map_err(said)?;
        }
        Ok(svg)
    }

    fn charts(&self) -> Vec<Chart<'static>> {
        let clients = self.clients.iter().map(|(name, it)| Chart {
            title: format!("{name}: calls a second, by when they began"),
            behind: ("begun", self.per_second(&it.begun)),
            line: ("answered", self.per_second(&it.answered), &GREEN),
        });
        let servers = self.servers.iter().map(|(name, it)| Chart {
            title: format!("{name}: requests a second, and the longest queue"),
            behind: ("requests", self.per_second(&it.arrivals)),
            line: (
                "queue",
                self.thinned(&it.queue, |bins| {
                    bins.iter().max().copied().unwrap_or_default().into()
                }),
                &RED,
            ),
        });
        clients.chain(servers).collect()
    }

    /// How many bins are drawn as one.
    fn step(&self) -> usize {
        let clients = self.clients.values().map(|it| it.begun.len());
        let servers = self.servers.values().map(|it| it.arrivals.len());
        clients.chain(servers).max().unwrap_or_default().div_ceil(POINTS).max(1)
    }

    fn per_second(&self, line: &[u32]) -> Vec<f64> {
        let bin = self.bin.as_secs_f64();
        self.thinned(line, |bins| {
            bins.iter().map(|&count| f64::from(count)).sum::<f64>() / (bins.len() as f64 * bin)
        })
    }

    fn thinned(&self, line: &[u32], one: impl Fn(&[u32]) -> f64) -> Vec<f64> {
        line.chunks(self.step()).map(one).collect()
    }

    fn draw(&self, chart: &Chart<'_>, area: &Area<'_>) -> Result<(), Box<dyn Error>> {
        let words = |size: u32| ("sans-serif", size).into_font().color(&INK);
        let step = self.bin.as_secs_f64() * self.step() as f64;
        let points = |line: &[f64]| {
            let points: Vec<(f64, f64)> =
                line.iter().enumerate().map(|(at, value)| (at as f64 * step, *value)).collect();
            points
        };
        let (behind, line) = (points(&chart.behind.1), points(&chart.line.1));
        let all = behind.iter().chain(&line);
        let (last, highest) =
            all.fold((step, 1.0_f64), |(last, top), (at, value)| (at.max(last), value.max(top)));
        let mut context = ChartBuilder::on(area)
            .caption(&chart.title, words(16))
            .margin(6)
            .margin_right(20)
            .x_label_area_size(26)
            .y_label_area_size(60)
            .build_cartesian_2d(0.0..last, 0.0..highest * 1.1)?;
        context
            .configure_mesh()
            .disable_x_mesh()
            .light_line_style(TRANSPARENT)
            .bold_line_style(FAINT)
            .axis_style(FAINT)
            .label_style(words(12))
            // Without what a sum of tenths leaves at its end.
            .x_label_formatter(&|second| format!("{} s", (second * 1e3).round() / 1e3))
            .y_label_formatter(&|value| format!("{value:.0}"))
            .y_labels(5)
            .draw()?;
        context
            .draw_series(AreaSeries::new(behind, 0.0, CAME))?
            .label(chart.behind.0)
            .legend(|(x, y)| Rectangle::new([(x, y - 4), (x + 14, y + 4)], CAME.filled()));
        let color = *chart.line.2;
        context
            .draw_series(LineSeries::new(line, color.stroke_width(2)))?
            .label(chart.line.0)
            .legend(move |(x, y)| Rectangle::new([(x, y - 2), (x + 14, y + 2)], color.filled()));
        context
            .configure_series_labels()
            .position(SeriesLabelPosition::UpperRight)
            .background_style(WHITE.mix(0.9))
            .border_style(FAINT)
            .label_font(words(12))
            .draw()?;
        Ok(())
    }
}

/// The message of an error that need not be `Send`.
fn said(error: impl std::fmt::Display) -> Box<dyn Error + Send + Sync> {
    error.to_string().into()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use crate::policy::Policy;
    use crate::simulation::{Clients, Load, Scenario, Server};

    #[test]
    fn a_report_is_told_as_a_table_as_csv_and_as_a_picture() {
        let report = Scenario::new()
            .server("bank", Server::with_capacity(50.0))
            .clients("web", Clients::of("bank", Policy::default(), Load::even(10.0)))
            .bin(Duration::from_secs(1))
            .run(Duration::from_secs(3), 7)
            .unwrap();
        let table = report.to_string();
        assert!(table.starts_with("3s of load, seed 7\nclients  calls  answered"), "{table}");
        assert!(table.contains("\nweb         29   100.0 %"), "{table}");
        assert_eq!(
            report.to_csv(),
            "at_s,web.begun,web.answered,bank.requests,bank.queue\n\
             0.000,9,9,9,0\n1.000,10,10,10,0\n2.000,10,10,10,0\n"
        );
        let svg = report.to_svg().unwrap();
        assert!(svg.starts_with("<svg") && svg.contains("web: calls a second"), "{svg}");
    }
}
