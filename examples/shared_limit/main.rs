//! One limit over several processes: each is a process of its own, and they share the limit through Redis.

#![expect(clippy::print_stdout, reason = "that is what it is for")]

mod args;
mod server;
mod worker;

use std::io::{self, BufRead as _, BufReader, Write as _};
use std::process::{Child, Command, ExitCode, Stdio};

use clap::Parser as _;
use seawall::distributed;
use seawall::entropy::Entropy;
use serde_json::{Value, json};

use args::Args;
use server::Server;

type Error = Box<dyn std::error::Error>;

fn main() -> ExitCode {
    let args = Args::parse();
    let result = match &args.worker {
        Some(url) => worker::run(&args, url).map(|()| true),
        None => run(&args),
    };
    match result {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("shared_limit: {error}");
            ExitCode::from(2)
        }
    }
}

/// What all processes together have done so far.
#[derive(Clone, Copy, Default)]
struct Sum {
    admitted: u64,
    refused: u64,
    undecided: u64,
    /// How long the longest was at it, in seconds.
    seconds: f64,
}

fn run(args: &Args) -> Result<bool, Error> {
    let server = match &args.redis {
        Some(_) => None,
        None => Some(Server::start()?),
    };
    let url = match (&args.redis, &server) {
        (Some(url), _) => url.clone(),
        (None, Some(server)) => server.url(),
        (None, None) => return Err("there is no server".into()),
    };
    // Nobody else's limits are touched, and none are left: their keys expire.
    let namespace = format!("shared_limit-{:016x}", Entropy::system().next_u64());
    let mut children = Children::start(args, &url, &namespace)?;
    let sum = children.watch(args)?;
    report(args, &sum)
}

/// The processes. Ended when they are dropped.
struct Children(Vec<Child>);

impl Children {
    fn start(args: &Args, url: &str, namespace: &str) -> Result<Self, Error> {
        let mut children = Self(Vec::new());
        for _ in 0..args.processes {
            let mut command = Command::new(std::env::current_exe()?);
            command.args([
                "--worker",
                url,
                "--namespace",
                namespace,
                "--mode",
                distributed::Mode::from(args.mode).as_str(),
            ]);
            for (option, value) in [
                ("--processes", args.processes.to_string()),
                ("--seconds", args.seconds.to_string()),
                ("--rate", args.rate.to_string()),
                ("--burst", args.burst.to_string()),
                ("--lease", args.lease().to_string()),
            ] {
                command.args([option, &value]);
            }
            children.0.push(command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?);
        }
        Ok(children)
    }

    /// Lets them begin together, and adds up what they say, each second.
    fn watch(&mut self, args: &Args) -> Result<Sum, Error> {
        let mut lines = Vec::new();
        for child in &mut self.0 {
            let output = child.stdout.take().ok_or("a process has no output")?;
            lines.push(BufReader::new(output).lines());
        }
        // Each says so when it has started.
        for lines in &mut lines {
            lines.next().ok_or("a process has ended before it began")??;
        }
        for child in &mut self.0 {
            child.stdin.take().ok_or("a process has no input")?.write_all(b"go\n")?;
        }
        let mut last = Sum::default();
        loop {
            let mut sum = Sum::default();
            let mut ended = 0;
            for lines in &mut lines {
                let line = lines.next().ok_or("a process has ended early")??;
                let said: Value = serde_json::from_str(&line)?;
                let number = |key: &str| said[key].as_u64().unwrap_or(0);
                sum.admitted += number("admitted");
                sum.refused += number("refused");
                sum.undecided += number("undecided");
                sum.seconds = sum.seconds.max(said["seconds"].as_f64().unwrap_or(0.0));
                ended += usize::from(said["ended"] == true);
            }
            if !args.json {
                progress(&sum, &last)?;
            }
            if ended == lines.len() {
                return Ok(sum);
            }
            last = sum;
        }
    }
}

impl Drop for Children {
    fn drop(&mut self) {
        for child in &mut self.0 {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

fn progress(sum: &Sum, last: &Sum) -> io::Result<()> {
    writeln!(
        io::stderr(),
        "{:5.1} s   admitted {:7}   refused {:7}",
        sum.seconds,
        sum.admitted - last.admitted,
        sum.refused - last.refused,
    )
}

/// Whether no more was admitted than the bound says.
fn report(args: &Args, sum: &Sum) -> Result<bool, Error> {
    let limit = args.burst as f64 + args.rate as f64 * sum.seconds;
    let bound = limit + args.slack();
    let holds = sum.admitted as f64 <= bound;
    if !args.json {
        let words = if holds { "within" } else { "ABOVE" };
        println!(
            "{} processes asked {} times for what {} admits {:.0} of in {:.1} s.",
            args.processes,
            sum.admitted + sum.refused,
            args.describe(),
            limit,
            sum.seconds
        );
        println!("Admitted: {}, {words} the bound of {bound:.0}: {}.", sum.admitted, args.why());
        if sum.undecided > 0 {
            println!("Not decided in time by the store: {}.", sum.undecided);
        }
    }
    let line = json!({
        "mode": distributed::Mode::from(args.mode).as_str(),
        "limit": limit.round() as u64,
        "admitted": sum.admitted,
        "bound": bound.ceil() as u64,
        "instances": args.processes,
        "refused": sum.refused,
        "undecided": sum.undecided,
    });
    println!("{line}");
    Ok(holds)
}
