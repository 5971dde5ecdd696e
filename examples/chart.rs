//! How the charts look.

use std::error::Error;
use std::path::Path;

use plotters::chart::MeshStyle;
use plotters::coord::{CoordTranslate, Shift};
use plotters::prelude::*;

/// A part of a picture.
pub type Area<'a> = DrawingArea<SVGBackend<'a>, Shift>;
/// Whether it could be drawn.
pub type Drawn = Result<(), Box<dyn Error>>;

/// Text.
pub const INK: RGBColor = RGBColor(0x1f, 0x29, 0x33);
/// Lines that only guide the eye.
pub const FAINT: RGBColor = RGBColor(0xe2, 0xe6, 0xea);
/// Axes and remarks.
pub const QUIET: RGBColor = RGBColor(0x8a, 0x95, 0xa1);
/// What the example is about.
pub const GREEN: RGBColor = RGBColor(0x0b, 0x7a, 0x75);
/// What it is held against.
pub const BLUE: RGBColor = RGBColor(0x2f, 0x6f, 0xb5);
/// A limit, or trouble.
pub const RED: RGBColor = RGBColor(0xc4, 0x3d, 0x2f);

/// Text of so many pixels.
#[must_use]
pub fn words(size: u32) -> TextStyle<'static> {
    ("sans-serif", size).into_font().color(&INK)
}

/// Makes sure that there can be a file, before anybody waits for it.
///
/// # Errors
/// There cannot.
pub fn prepare(path: &Path) -> Drawn {
    if let Some(folder) = path.parent().filter(|folder| !folder.as_os_str().is_empty()) {
        std::fs::create_dir_all(folder)?;
    }
    let made = std::fs::File::create(path).map(drop);
    made.map_err(|error| format!("cannot draw {}: {error}", path.display()).into())
}

/// A picture of this size, on white.
///
/// # Errors
/// What `draw` says; or the file cannot be written.
pub fn picture(path: &Path, size: (u32, u32), draw: impl FnOnce(&Area<'_>) -> Drawn) -> Drawn {
    let root = SVGBackend::new(path, size).into_drawing_area();
    root.fill(&WHITE)?;
    draw(&root)?;
    root.present().map_err(|error| format!("cannot draw {}: {error}", path.display()).into())
}

/// Quiet axes with faint lines across, and labels of `size` pixels.
pub fn axes<'b, X: Ranged, Y: Ranged, B: DrawingBackend>(
    mesh: &mut MeshStyle<'_, 'b, X, Y, B>,
    size: u32,
) {
    mesh.disable_x_mesh()
        .light_line_style(TRANSPARENT)
        .bold_line_style(FAINT)
        .axis_style(QUIET)
        .label_style(words(size));
}

/// A list of what is in the chart, at its top left.
///
/// # Errors
/// It cannot be drawn.
pub fn legend<'a, C: CoordTranslate>(
    chart: &mut ChartContext<'a, SVGBackend<'a>, C>,
    size: u32,
) -> Drawn {
    chart
        .configure_series_labels()
        .position(SeriesLabelPosition::UpperLeft)
        .background_style(WHITE.mix(0.9))
        .border_style(FAINT)
        .label_font(words(size))
        .draw()?;
    Ok(())
}

/// A colour, for the legend.
#[must_use]
pub fn patch((x, y): (i32, i32), color: RGBAColor) -> Rectangle<(i32, i32)> {
    Rectangle::new([(x, y - 4), (x + 14, y + 4)], color.filled())
}
