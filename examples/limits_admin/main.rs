//! Looks at shared limits, and sets them back.

#![expect(clippy::print_stdout, reason = "that is what it is for")]

use std::process::ExitCode;
use std::time::Duration;

use clap::{Parser, Subcommand};
use seawall::distributed::{LimitKey, Request, SharedLimits};
use seawall::limit::Decision;
use seawall::policy::PolicyFile;
use seawall::prelude::*;

/// What there is without `--policy`.
const LIMITS: &str = include_str!("limits.toml");

type Error = Box<dyn std::error::Error>;

/// Looks at shared limits, and sets them back.
///
/// Which limits there are, and where they are kept, is in the section [limits.NAME] of a policy file; without one there are
/// "all", "user" and "endpoint", as the file examples/limits_admin/limits.toml has them.
#[derive(Debug, Parser)]
#[command(name = "limits_admin", verbatim_doc_comment, next_line_help = false)]
struct Args {
    /// The policy file
    #[arg(long, value_name = "PATH", global = true)]
    policy: Option<std::path::PathBuf>,

    /// The set of limits: NAME of [limits.NAME]
    #[arg(long, value_name = "NAME", default_value = "api", global = true)]
    set: String,

    /// The server, instead of the one in the file
    #[arg(long, value_name = "URL", global = true)]
    redis: Option<String>,

    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// What a subject has left of each limit
    Show(Subject),
    /// Forgets what a subject has spent, of the limits that are its own; leases that are out stay so
    Reset(Subject),
    /// Asks for a request of this subject, as the application would
    Check(Subject),
    /// Who has the least left of a limit
    Top {
        /// The limit's name
        limit: String,
        /// How many
        #[arg(long, value_name = "N", default_value_t = 10)]
        most: usize,
    },
}

#[derive(Debug, clap::Args)]
struct Subject {
    /// Whose, such as user:42
    subject: String,
    /// For what, such as /orders
    #[arg(long, value_name = "PART", default_value = "")]
    part: String,
}

impl Subject {
    fn request(&self) -> Request<'_> {
        Request::of(&self.subject).part(&self.part)
    }
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    match run(&Args::parse()).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("limits_admin: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn run(args: &Args) -> Result<(), Error> {
    let (text, name) = match &args.policy {
        Some(path) => (std::fs::read_to_string(path)?, path.display().to_string()),
        None => (LIMITS.to_owned(), "limits.toml".to_owned()),
    };
    let text = match &args.redis {
        Some(url) => with_store(&text, &args.set, url),
        None => text,
    };
    // Read on its own first, so that a mistake is told before anything begins.
    PolicyFile::parse(&text, &name)?;
    let seawall = Seawall::builder().policy_text(name, text).start()?;
    let limits = seawall.limits(&args.set).await?;
    let done = act(&args.command, &limits).await;
    seawall.shutdown(Duration::from_secs(1)).await;
    done
}

async fn act(command: &Command, limits: &SharedLimits) -> Result<(), Error> {
    match command {
        Command::Show(of) => {
            for (key, decision) in limits.show(&of.request()).await? {
                line(&key, &decision);
            }
        }
        Command::Reset(of) => {
            let count = limits.reset_subject(&of.request()).await?;
            println!("{count} set back");
        }
        Command::Check(of) => {
            let decided = limits.check(&of.request(), 1).await;
            let word = if decided.decision.allowed { "allowed" } else { "refused" };
            println!("{word} by {}: {} left", decided.limit, decided.decision.remaining);
        }
        Command::Top { limit, most } => {
            let names = limits.names().join(", ");
            let top = limits.top(limit, *most).await?;
            let top = top.ok_or_else(|| format!("no limit {limit:?}; there are {names}"))?;
            if top.is_empty() {
                println!("nobody has spent anything of {limit}");
            }
            for (key, decision) in top {
                line(&key, &decision);
            }
        }
    }
    Ok(())
}

fn line(key: &LimitKey, decision: &Decision) {
    let whose = [key.subject.as_deref(), key.part.as_deref()];
    let whose = whose.into_iter().flatten().collect::<Vec<_>>().join(" ");
    println!(
        "{:12} {:24} {:>8} of {:<8} as good as new in {:.1?}",
        key.limit, whose, decision.remaining, decision.limit, decision.reset_after
    );
}

/// The same file with another address in this set.
fn with_store(text: &str, set: &str, url: &str) -> String {
    let section = format!("[limits.{set}]");
    let mut inside = false;
    let mut lines = Vec::new();
    for line in text.lines() {
        if line.trim_start().starts_with('[') {
            inside = line.trim() == section;
            lines.push(line.to_owned());
            if inside {
                lines.push(format!("store = {url:?}"));
            }
        } else if !(inside && line.trim_start().starts_with("store")) {
            lines.push(line.to_owned());
        }
    }
    lines.join("\n")
}
