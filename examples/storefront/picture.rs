//! The run as a picture, for a page: each dependency's strip, with what the script had in store below.

use std::path::Path;

use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, Pos, VPos};
use seawall_examples::chart::{Area, Drawn, FAINT, GREEN, INK, QUIET, RED, picture, words};

use crate::args::Args;
use crate::faults::Script;
use crate::reading::NAMES;
use crate::strip::{CELLS, Strip};

const SIZE: (u32, u32) = (960, 400);
/// Where the strips begin and end, from the left.
const FROM: i32 = 130;
const TO: i32 = 940;
/// How far apart the strips are, and how high a full bar is.
const EACH: i32 = 100;
const HIGH: i32 = 56;
const AMBER: RGBColor = RGBColor(0xd9, 0x95, 0x1a);

/// Draws the run.
pub(crate) fn draw(path: &Path, strips: &[Strip; 3], script: &Script, args: &Args) -> Drawn {
    picture(path, SIZE, |area| {
        let title = if args.bare { "Without Seawall" } else { "Behind Seawall" };
        let text = format!("{title}: a shop in front of three services that fail in turn");
        area.draw_text(&text, &words(20), (FROM, 14))?;
        for (i, strip) in strips.iter().enumerate() {
            // Fewer than 2^31 of them.
            let base = 120 + EACH * i as i32;
            area.draw_text(NAMES[i], &at(15, HPos::Right), (FROM - 14, base - HIGH / 2))?;
            draw_strip(area, strip, base)?;
            for act in script.of(i) {
                let (from, to) = (x(act.from), x(act.to));
                let band = [(from, base + 4), (to - 2, base + 20)];
                area.draw(&Rectangle::new(band, FAINT.filled()))?;
                let middle = (i32::midpoint(from, to), base + 12);
                area.draw_text(&act.fault.label(), &at(12, HPos::Center), middle)?;
            }
        }
        scale(area, args)
    })
}

fn draw_strip(area: &Area<'_>, strip: &Strip, base: i32) -> Drawn {
    area.draw(&PathElement::new([(FROM, base), (TO, base)], FAINT))?;
    for (cell, (share, state)) in strip.bars().enumerate() {
        let color = match state {
            Some("closed") => GREEN,
            Some("half_open") => AMBER,
            Some(_) => RED,
            None if share >= 0.99 => GREEN,
            None if share >= 0.9 => AMBER,
            None => RED,
        };
        let top = base - ((share * f64::from(HIGH)) as i32).max(3);
        let (from, to) = (x(cell as f64 / CELLS as f64), x((cell + 1) as f64 / CELLS as f64) - 2);
        area.draw(&Rectangle::new([(from, top), (to, base)], color.filled()))?;
    }
    Ok(())
}

/// Seconds, and what the colours mean.
fn scale(area: &Area<'_>, args: &Args) -> Drawn {
    let below = 120 + EACH * 2 + 36;
    for quarter in 0..=4 {
        let seconds = format!("{} s", (args.seconds * quarter) as f64 / 4.0);
        area.draw_text(&seconds, &at(12, HPos::Center), (x(quarter as f64 / 4.0), below))?;
    }
    let states = [("closed", GREEN), ("half-open", AMBER), ("open", RED)];
    let states = if args.bare { &[][..] } else { &states };
    area.draw_text("height: calls answered", &at(12, HPos::Left), (FROM, below + 26))?;
    for (i, (state, color)) in states.iter().enumerate() {
        let from = FROM + 190 + 110 * i as i32;
        area.draw(&Rectangle::new([(from, below + 20), (from + 12, below + 32)], color.filled()))?;
        area.draw_text(state, &at(12, HPos::Left), (from + 18, below + 26))?;
    }
    let shaded = FROM + 190 + 330;
    let shade = Rectangle::new([(shaded, below + 20), (shaded + 12, below + 32)], FAINT.filled());
    area.draw(&shade)?;
    area.draw_text(
        "what is wrong with the service",
        &at(12, HPos::Left),
        (shaded + 18, below + 26),
    )?;
    Ok(())
}

/// Where a share of the run is.
fn x(share: f64) -> i32 {
    FROM + (share * f64::from(TO - FROM)).round() as i32
}

/// Text of so many pixels, in the middle of its line.
fn at(size: u32, from: HPos) -> TextStyle<'static> {
    let color = if size > 13 { &INK } else { &QUIET };
    words(size).color(color).pos(Pos::new(from, VPos::Center))
}
