//! A report as text: tables for a person, and lines over time for a spreadsheet.

use std::fmt::{self, Write as _};
use std::time::Duration;

use super::report::{CallEnd, ClientReport, Report, ServerReport};

/// The columns for clients: a heading, and what is in it.
type Column<T> = (&'static str, fn(&T) -> String);

const CLIENTS: [Column<ClientReport>; 10] = [
    ("calls", |it| it.calls.to_string()),
    ("answered", |it| percent(it.ended_by(CallEnd::Answered), it.calls)),
    ("failed", |it| percent(it.ended_by(CallEnd::Failed), it.calls)),
    ("timed out", |it| percent(it.ended_by(CallEnd::TimedOut), it.calls)),
    ("too late", |it| percent(it.ended_by(CallEnd::DeadlineExceeded), it.calls)),
    ("breaker", |it| percent(it.ended_by(CallEnd::RefusedByBreaker), it.calls)),
    ("other guard", |it| percent(it.ended_by(CallEnd::RefusedByOther), it.calls)),
    ("retries", |it| it.retries.to_string()),
    ("p50", |it| length(it.latency(0.5))),
    ("p99", |it| length(it.latency(0.99))),
];

const SERVERS: [Column<ServerReport>; 7] = [
    ("requests", |it| it.requests.to_string()),
    ("refused", |it| it.refused.to_string()),
    ("useful", |it| it.useful.to_string()),
    ("for nobody", |it| it.wasted.to_string()),
    ("failed", |it| it.failed.to_string()),
    ("skipped", |it| it.skipped.to_string()),
    ("queue, at most", |it| it.queue.iter().max().copied().unwrap_or_default().to_string()),
];

fn percent(part: u64, whole: u64) -> String {
    if whole == 0 { "-".to_owned() } else { format!("{:.1} %", 100.0 * part as f64 / whole as f64) }
}

fn length(length: Option<Duration>) -> String {
    let Some(length) = length else { return "-".to_owned() };
    match length.as_secs_f64() {
        seconds if seconds < 1.0 => format!("{:.1} ms", seconds * 1e3),
        seconds => format!("{seconds:.2} s"),
    }
}

fn rows<'a, T: 'a>(
    f: &mut fmt::Formatter<'_>,
    title: &str,
    columns: &[Column<T>],
    rows: impl Iterator<Item = (&'a String, &'a T)>,
) -> fmt::Result {
    let mut table: Vec<Vec<String>> = vec![
        [title]
            .into_iter()
            .chain(columns.iter().map(|(head, _)| *head))
            .map(String::from)
            .collect(),
    ];
    for (name, it) in rows {
        let cells = columns.iter().map(|(_, cell)| cell(it));
        table.push([name.clone()].into_iter().chain(cells).collect());
    }
    let widths: Vec<usize> = (0..=columns.len())
        .map(|column| table.iter().map(|row| row[column].chars().count()).max().unwrap_or_default())
        .collect();
    for row in table {
        write!(f, "{:<width$}", row[0], width = widths[0])?;
        for (cell, width) in row.iter().zip(&widths).skip(1) {
            write!(f, "  {cell:>width$}")?;
        }
        f.write_char('\n')?;
    }
    Ok(())
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{:?} of load, seed {}", self.lasts, self.seed)?;
        rows(f, "clients", &CLIENTS, self.clients.iter())?;
        rows(f, "server", &SERVERS, self.servers.iter())
    }
}

impl Report {
    /// The lines over time as CSV: a row for each bin, with its beginning in seconds. Of the clients `web` there are
    /// `web.begun` and `web.answered`, calls by when they began; of the server `bank`, `bank.requests` and `bank.queue`.
    #[must_use]
    pub fn to_csv(&self) -> String {
        let clients = self.clients.iter().flat_map(|(name, it)| {
            [(format!("{name}.begun"), &it.begun), (format!("{name}.answered"), &it.answered)]
        });
        let servers = self.servers.iter().flat_map(|(name, it)| {
            [(format!("{name}.requests"), &it.arrivals), (format!("{name}.queue"), &it.queue)]
        });
        let lines: Vec<(String, &Vec<u32>)> = clients.chain(servers).collect();
        let mut csv = "at_s".to_owned();
        for (name, _) in &lines {
            csv += ",";
            csv += name;
        }
        csv += "\n";
        let bins = lines.iter().map(|(_, line)| line.len()).max().unwrap_or_default();
        for bin in 0..bins {
            // To the millisecond, without the noise of a sum of floats.
            csv += &format!("{:.3}", bin as f64 * self.bin.as_secs_f64());
            for (_, line) in &lines {
                csv += &format!(",{}", line.get(bin).copied().unwrap_or_default());
            }
            csv += "\n";
        }
        csv
    }
}
