//! The live display: a screenful that is redrawn on a terminal, a line a second anywhere else.

use std::collections::VecDeque;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use crate::Run;
use crate::args::Args;
use crate::faults::{Script, playing};
use crate::paint::{Hue, Out};
use crate::policy;
use crate::reading::{Counts, NAMES, Read, Reading, Readings};
use crate::shop::{Facade, Tally, WORKERS};
use crate::stage::Stage;
use crate::story::{Happening, Story};
use crate::strip::{CELLS, Strip, under};

/// What rates are taken over.
const RATE_OVER: Duration = Duration::from_secs(1);
/// How many of the latest happenings are on the screen: all of it has 24 lines.
const HAPPENINGS: usize = 3;

/// Draws the run.
pub(crate) struct Display<'a> {
    args: &'a Args,
    stage: Arc<Stage>,
    script: &'a Script,
    metrics: Option<&'a str>,
    strips: [Strip; 3],
    story: Story,
    /// How much of the story is on paper.
    printed: usize,
    /// The readings of the last [`RATE_OVER`], oldest first.
    history: VecDeque<(Duration, Readings)>,
}

impl<'a> Display<'a> {
    pub(crate) fn new(Run { args, stage, script, metrics }: Run<'a>) -> Self {
        Self {
            args,
            stage: Arc::clone(stage),
            script,
            metrics,
            strips: Default::default(),
            story: Story::new(script, stage),
            printed: 0,
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
            let now = self.sample(read, &shop.tally());
            if out.is_terminal() {
                out.redraw(&self.screen(shop, out))?;
            } else {
                self.print_story(out)?;
                if now >= next_line {
                    out.show(&self.plain_line(shop))?;
                    while next_line <= now {
                        next_line += Duration::from_secs(1);
                    }
                }
            }
            next_frame = now.max(next_frame + frame);
            self.stage.sleep_until(next_frame).await;
        }
    }

    /// The last look; then the terminal is as it was before.
    pub(crate) fn close(
        &mut self,
        read: &Read,
        shop: &dyn Facade,
        out: &mut Out,
    ) -> io::Result<()> {
        self.sample(read, &shop.tally());
        out.release()?;
        // What was on the screen is gone with it: the whole story, once more.
        self.print_story(out)
    }

    /// The run as it was recorded, for the report.
    pub(crate) fn into_strips(self) -> [Strip; 3] {
        self.strips
    }

    fn sample(&mut self, read: &Read, tally: &Tally) -> Duration {
        let (now, readings) = (self.stage.elapsed(), read());
        for (strip, reading) in self.strips.iter_mut().zip(&readings.0) {
            strip.record(self.stage.progress(), reading);
        }
        self.story.go_on(now, &readings, tally);
        self.history.push_back((now, readings));
        while self.history.get(1).is_some_and(|(at, _)| now.saturating_sub(*at) >= RATE_OVER) {
            self.history.pop_front();
        }
        now
    }

    fn print_story(&mut self, out: &Out) -> io::Result<()> {
        for happening in &self.story.told()[self.printed..] {
            out.show(&line(happening, out))?;
        }
        self.printed = self.story.told().len();
        Ok(())
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
        let mut text = at(self.stage.elapsed());
        for (i, reading, counts, over_s) in self.lately() {
            let state = reading.guards.map_or("", |guards| guards.state);
            let per_s = |count: u64| (count as f64 / over_s).round();
            text += &format!("  {} {state:<9} ok {:>3}/s", NAMES[i], per_s(counts.success));
            for (what, count) in [
                ("fallback", counts.fallback),
                ("failed", counts.failure),
                ("refused", counts.refused()),
            ] {
                if count > 0 {
                    text += &format!(" {what} {:>3}/s", per_s(count));
                }
            }
        }
        text + &format!("  workers {}/{WORKERS}", shop.busy())
    }

    fn screen(&self, shop: &dyn Facade, out: &Out) -> Vec<String> {
        let mut lines = vec![self.title(out), self.now(out), workers(shop, out)];
        let heads = format!(
            " {:<31}{:>8}{:>12}{:>10}{:>11}",
            "", "ok/s", "fallback/s", "failed/s", "refused/s"
        );
        lines.push(out.paint(Hue::Quiet, &heads));
        for (i, reading, counts, over_s) in self.lately() {
            lines.push(self.head_line(i, reading, (&counts, over_s), out));
            lines.push(format!("   {}", guard_line(reading, out)));
            lines.push(format!("   {}", self.strips[i].draw(out)));
            lines.push(format!("   {}", under(self.script.of(i), self.stage.progress(), out)));
            lines.push(String::new());
        }
        // The blank line under the last dependency is as good a place as any.
        lines.pop();
        lines.push(self.legend(out));
        let told = self.story.told();
        let latest = &told[told.len().saturating_sub(HAPPENINGS)..];
        lines.extend(latest.iter().map(|happening| format!(" {}", line(happening, out))));
        lines.resize(lines.len() + HAPPENINGS - latest.len(), String::new());
        let metrics = self.metrics.map_or(String::new(), |url| format!(" metrics  {url}"));
        lines.push(out.paint(Hue::Quiet, &metrics));
        lines
    }

    fn legend(&self, out: &Out) -> String {
        let states = format!(
            "; colour: {}, {} or {}",
            out.paint(Hue::Good, "closed"),
            out.paint(Hue::Bad, "open"),
            out.paint(Hue::Wary, "half-open")
        );
        let states = if self.args.bare { "" } else { &*states };
        format!("   height: calls answered{states}; below: the script")
    }

    fn title(&self, out: &Out) -> String {
        let length = self.stage.length();
        format!(
            " {}  {}  {:4.1} of {} s   {} customers/s{}",
            out.paint(Hue::Strong, "STOREFRONT"),
            bar(self.stage.progress(), 24),
            self.stage.elapsed().min(length).as_secs_f64(),
            length.as_secs(),
            self.args.rate,
            if self.args.bare { ", no Seawall" } else { "" },
        )
    }

    /// What the script plays now.
    fn now(&self, out: &Out) -> String {
        let progress = self.stage.progress();
        let mut faults = NAMES.iter().enumerate().filter_map(|(i, name)| {
            let act = playing(self.script.of(i), progress)?;
            Some(out.paint(Hue::Wary, &format!("{name} {}", act.fault)))
        });
        let now = faults.next().unwrap_or_else(|| out.paint(Hue::Good, "all three are well"));
        format!(" script      {now}")
    }

    fn head_line(
        &self,
        i: usize,
        reading: &Reading,
        (counts, over_s): (&Counts, f64),
        out: &Out,
    ) -> String {
        let rate = |count: u64, width: usize, hue: Hue| {
            let text = format!("{:>width$}", (count as f64 / over_s).round());
            out.paint(if count > 0 { hue } else { Hue::Quiet }, &text)
        };
        format!(
            " {} {}{}{}{}{}",
            out.paint(Hue::Strong, &format!("{:<12}", NAMES[i])),
            self.state(reading, out),
            rate(counts.success, 8, Hue::Good),
            rate(counts.fallback, 12, Hue::Wary),
            rate(counts.failure, 10, Hue::Bad),
            rate(counts.refused(), 11, Hue::Bad),
        )
    }

    /// The breaker's state; when it is open, for how much longer.
    fn state(&self, reading: &Reading, out: &Out) -> String {
        let (hue, name) = match reading.guards.map(|guards| guards.state) {
            Some("closed") => (Hue::Good, "CLOSED".to_owned()),
            Some("open") => {
                let opened = reading.transitions.last().map_or(Duration::ZERO, |step| step.at);
                let until = opened + policy::open_for(self.args.seconds);
                let left = until.saturating_sub(self.stage.elapsed());
                (Hue::Bad, format!("OPEN for {:.1} s", left.as_secs_f64()))
            }
            Some("half_open") => (Hue::Wary, "HALF-OPEN".to_owned()),
            _ => (Hue::Quiet, "unguarded".to_owned()),
        };
        out.paint(hue, &format!("{name:<18}"))
    }
}

/// A moment of the run.
fn at(moment: Duration) -> String {
    format!("{:6.1} s", moment.as_secs_f64())
}

fn line(happening: &Happening, out: &Out) -> String {
    format!("{}  {}", at(happening.at), out.paint(happening.hue, &happening.text))
}

fn workers(shop: &dyn Facade, out: &Out) -> String {
    let (busy, tally) = (shop.busy(), shop.tally());
    let gone = format!("left {}", tally.left);
    format!(
        " workers     {} {busy:3}/{WORKERS}   paid {}  pay later {}  {}",
        out.paint(fill_hue(busy, WORKERS), &bar(busy as f64 / WORKERS as f64, 20)),
        tally.paid,
        tally.pay_later,
        if tally.left == 0 { gone } else { out.paint(Hue::Bad, &gone) },
    )
}

fn guard_line(reading: &Reading, out: &Out) -> String {
    let Some(guards) = reading.guards else {
        let fill = f64::from(reading.active) / WORKERS as f64;
        let bar = out.paint(fill_hue(reading.active as usize, WORKERS), &bar(fill, 24));
        return format!("in flight {bar} {:3}   no breaker, bulkhead or timeout", reading.active);
    };
    let gauge = |now: u32, limit: u32| {
        let fill = f64::from(now) / f64::from(limit.max(1));
        let bar = out.paint(fill_hue(now as usize, limit as usize), &bar(fill, 14));
        format!("{bar} {now:3}/{limit:<3}")
    };
    format!(
        "bulkhead {}    mailbox {}",
        gauge(reading.active, guards.limit),
        gauge(guards.waiting, guards.capacity),
    )
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
