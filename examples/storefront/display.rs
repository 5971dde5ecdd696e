//! The live display: a block that is redrawn on a terminal, a line a second anywhere else.

use std::collections::VecDeque;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use crate::args::Args;
use crate::faults::{Script, playing};
use crate::paint::{Hue, Out};
use crate::reading::{Counts, NAMES, Read, Reading, Readings};
use crate::shop::{Facade, WORKERS};
use crate::stage::Stage;
use crate::strip::{CELLS, Strip};

/// What rates are taken over.
const RATE_OVER: Duration = Duration::from_secs(1);

/// Draws the run.
pub(crate) struct Display<'a> {
    args: &'a Args,
    stage: Arc<Stage>,
    script: &'a Script,
    strips: [Strip; 3],
    /// The readings of the last [`RATE_OVER`], oldest first.
    history: VecDeque<(Duration, Readings)>,
}

impl<'a> Display<'a> {
    pub(crate) fn new(args: &'a Args, stage: &Arc<Stage>, script: &'a Script) -> Self {
        Self {
            args,
            stage: Arc::clone(stage),
            script,
            strips: Default::default(),
            history: VecDeque::new(),
        }
    }

    /// Shows the run until dropped.
    ///
    /// # Errors
    /// When there is nothing left to write to.
    pub(crate) async fn show(
        &mut self,
        read: &Read,
        shop: &dyn Facade,
        out: &mut Out,
    ) -> io::Result<()> {
        // Two looks at every cell of the strips, and smooth to the eye in a long run.
        let frame = (self.stage.length() / (2 * CELLS as u32)).min(Duration::from_millis(100));
        let (mut next_frame, mut next_line) = (Duration::ZERO, Duration::from_secs(1));
        loop {
            let now = self.sample(read);
            if out.is_terminal() {
                out.redraw(&self.block(shop, out))?;
            } else if now >= next_line {
                out.show(&self.plain_line(shop))?;
                next_line += Duration::from_secs(1);
            }
            next_frame = now.max(next_frame + frame);
            self.stage.sleep_until(next_frame).await;
        }
    }

    /// The last look.
    pub(crate) fn close(
        &mut self,
        read: &Read,
        shop: &dyn Facade,
        out: &mut Out,
    ) -> io::Result<()> {
        self.sample(read);
        if out.is_terminal() {
            out.redraw(&self.block(shop, out))?;
        }
        out.release()
    }

    /// The run as it was recorded, for the report.
    pub(crate) fn into_strips(self) -> [Strip; 3] {
        self.strips
    }

    fn sample(&mut self, read: &Read) -> Duration {
        let (now, readings) = (self.stage.elapsed(), read());
        for (strip, reading) in self.strips.iter_mut().zip(&readings.0) {
            strip.record(self.stage.progress(), reading);
        }
        self.history.push_back((now, readings));
        while self.history.get(1).is_some_and(|(at, _)| now.saturating_sub(*at) >= RATE_OVER) {
            self.history.pop_front();
        }
        now
    }

    /// Each dependency with what it did lately, and over how many seconds.
    fn lately(&self) -> impl Iterator<Item = (usize, &Reading, Counts, f64)> {
        let ends = self.history.front().zip(self.history.back());
        ends.into_iter().flat_map(|((from, earlier), (to, now))| {
            let over_s = to.saturating_sub(*from).as_secs_f64().max(0.001);
            (0..NAMES.len()).map(move |i| {
                let counts = now.0[i].counts.since(&earlier.0[i].counts);
                (i, &now.0[i], counts, over_s)
            })
        })
    }

    fn plain_line(&self, shop: &dyn Facade) -> String {
        let mut line = format!("{:6.1} s", self.stage.elapsed().as_secs_f64());
        for (i, reading, counts, over_s) in self.lately() {
            let state = reading.guards.map_or("unguarded", |guards| guards.state);
            let per_s = |count: u64| (count as f64 / over_s).round();
            line += &format!(" | {} {state} ok {}/s", NAMES[i], per_s(counts.success));
            for (what, count) in [
                ("fallback", counts.fallback),
                ("failed", counts.failure),
                ("refused", counts.refused()),
            ] {
                if count > 0 {
                    line += &format!(" {what} {}/s", per_s(count));
                }
            }
        }
        line + &format!(" | workers {}/{WORKERS} left {}", shop.busy(), shop.tally().left)
    }

    fn block(&self, shop: &dyn Facade, out: &Out) -> Vec<String> {
        let (elapsed, length) = (self.stage.elapsed(), self.stage.length());
        let tally = shop.tally();
        let mut lines = vec![
            String::new(),
            format!(
                " {}  {}  {:4.1} of {} s  {} checkouts/s{}",
                out.paint(Hue::Strong, "STOREFRONT"),
                bar(self.stage.progress(), 20),
                elapsed.min(length).as_secs_f64(),
                length.as_secs(),
                self.args.rate,
                if self.args.bare { "  no Seawall" } else { "" },
            ),
            format!(
                " workers     {} {:3}/{WORKERS}   paid {}  pay later {}  left {}",
                out.paint(
                    fill_hue(shop.busy(), WORKERS),
                    &bar(shop.busy() as f64 / WORKERS as f64, 20)
                ),
                shop.busy(),
                tally.paid,
                tally.pay_later,
                if tally.left == 0 {
                    "0".to_owned()
                } else {
                    out.paint(Hue::Bad, &tally.left.to_string())
                },
            ),
        ];
        for (i, reading, counts, over_s) in self.lately() {
            lines.push(String::new());
            lines.push(self.head_line(i, reading, &counts, over_s, out));
            lines.push(format!("   {}", self.guard_line(reading, out)));
            lines.push(format!("   {}  {}", self.strips[i].draw(out), self.phase(i, out)));
        }
        lines
    }

    fn head_line(
        &self,
        i: usize,
        reading: &Reading,
        counts: &Counts,
        over_s: f64,
        out: &Out,
    ) -> String {
        let per_s = |what: &str, count: u64, hue: Hue| {
            let rate = (count as f64 / over_s).round();
            let text = format!("{what} {rate:>4}/s");
            if count > 0 { out.paint(hue, &text) } else { out.paint(Hue::Quiet, &text) }
        };
        format!(
            " {} {}  {}  {}  {}",
            out.paint(Hue::Strong, &format!("{:<13}", NAMES[i])),
            state(reading, out),
            per_s("ok", counts.success, Hue::Good),
            // A bare run has no fallbacks, a guarded one turns payment's failures into them.
            if self.args.bare {
                per_s("failed", counts.failure, Hue::Bad)
            } else {
                per_s("fallback", counts.fallback, Hue::Wary)
            },
            per_s("refused", counts.refused(), Hue::Bad),
        )
    }

    /// What the script makes of a service now.
    fn phase(&self, i: usize, out: &Out) -> String {
        match playing(self.script.of(i), self.stage.progress()) {
            Some(act) => out.paint(Hue::Wary, &act.fault.to_string()),
            None => out.paint(Hue::Quiet, "well"),
        }
    }

    fn guard_line(&self, reading: &Reading, out: &Out) -> String {
        let Some(guards) = reading.guards else {
            let fill = f64::from(reading.active) / WORKERS as f64;
            let bar = out.paint(fill_hue(reading.active as usize, WORKERS), &bar(fill, 24));
            return format!("in flight {bar} {:3}   no bulkhead, no timeout", reading.active);
        };
        let gauge = |now: u32, limit: u32| {
            let fill = f64::from(now) / f64::from(limit.max(1));
            let bar = out.paint(fill_hue(now as usize, limit as usize), &bar(fill, 14));
            format!("{bar} {now:3}/{limit:<3}")
        };
        format!(
            "bulkhead {}   mailbox {}",
            gauge(reading.active, guards.limit),
            gauge(guards.waiting, guards.capacity),
        )
    }
}

fn state(reading: &Reading, out: &Out) -> String {
    let (hue, name) = match reading.guards.map(|guards| guards.state) {
        Some("closed") => (Hue::Good, "CLOSED"),
        Some("open") => (Hue::Bad, "OPEN"),
        Some("half_open") => (Hue::Wary, "HALF-OPEN"),
        Some(other) => (Hue::Quiet, other),
        None => (Hue::Quiet, "UNGUARDED"),
    };
    out.paint(hue, &format!("{name:<9}"))
}

fn fill_hue(now: usize, limit: usize) -> Hue {
    match now * 10 {
        full if full >= limit * 9 => Hue::Bad,
        half if half >= limit * 5 => Hue::Wary,
        _ => Hue::Good,
    }
}

/// A bar of `width` cells; anything above nothing shows.
fn bar(share: f64, width: usize) -> String {
    let full = ((share.clamp(0.0, 1.0) * width as f64).ceil() as usize).min(width);
    "█".repeat(full) + &"░".repeat(width - full)
}
