//! Servers, clients and their loads, run together.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::fmt;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use crate::backpressure::Priority;
use crate::clock::Moment;
use crate::event::{Event, Observer, State};
use crate::policy::Policy;
use crate::sync::Mutex;

use super::caller::{Caller, Left, Task};
use super::client::Client;
use super::load::Load;
use super::report::{ClientReport, Report, ServerReport};
use super::server::{Running, Server};
use super::world::{TaskContext, World};

/// Clients that call one server, each with guards of its own.
#[derive(Clone, Debug)]
pub struct Clients {
    server: String,
    policy: Policy,
    pub(super) load: Load,
    instances: u32,
    pub(super) idempotent: bool,
    /// Whose guards they go through; `None`: their own.
    guards_of: Option<String>,
    pub(super) priority: Priority,
    pub(super) task: Task,
}

impl Clients {
    /// One client of the server of this name: its policy, and the calls that come to it. Its calls are idempotent.
    #[must_use]
    pub fn of(server: &str, policy: Policy, load: Load) -> Self {
        Self {
            server: server.to_owned(),
            policy,
            load,
            instances: 1,
            idempotent: true,
            guards_of: None,
            priority: Priority::NORMAL,
            task: Task { calls: 1, has_lot: true },
        }
    }

    /// Through the guards of a group that was added before, for the same server: other calls of the same application, and their
    /// own policy and number of instances mean nothing.
    #[must_use]
    pub fn guards_of(mut self, group: &str) -> Self {
        self.guards_of = Some(group.to_owned());
        self
    }

    /// How important their calls are. Default: normal.
    #[must_use]
    pub fn priority(mut self, priority: Priority) -> Self {
        self.priority = priority;
        self
    }

    /// What the load brings are tasks of so many calls, at least one: each after the other, until one fails, and then the task
    /// has. They are calls of one root request, which are shed all or none, as far as that goes.
    #[must_use]
    pub fn tasks_of(mut self, calls: u32) -> Self {
        self.task.calls = calls.max(1);
        self
    }

    /// The calls of a task have nothing in common: each is shed by a lot of its own.
    #[must_use]
    pub fn without_origin(mut self) -> Self {
        self.task.has_lot = false;
        self
    }

    /// So many clients, at least one, as many processes of one application: each has the whole load, and a breaker, a limit
    /// and a budget of its own.
    #[must_use]
    pub fn instances(mut self, instances: u32) -> Self {
        self.instances = instances;
        self
    }

    /// Nothing is retried, whatever the policy says.
    #[must_use]
    pub fn not_idempotent(mut self) -> Self {
        self.idempotent = false;
        self
    }
}

/// What is simulated: servers, clients, and what happens.
///
/// ```
/// use std::time::Duration;
/// use seawall::policy::PolicyFile;
/// use seawall::simulation::{Clients, Load, Scenario, Server, Trouble};
///
/// let seconds = Duration::from_secs;
/// let policy = PolicyFile::parse("[payments]\ntimeout = \"500ms\"", "test.toml")?.policy("payments");
/// let report = Scenario::new()
///     .server("payments", Server::with_capacity(300.0).trouble(Trouble::Freezes, seconds(30)..seconds(32)))
///     .clients("web", Clients::of("payments", policy, Load::poisson(240.0)))
///     .run(seconds(60), 7)?;
/// let web = report.clients("web").unwrap();
/// assert!(web.recovery(seconds(32), seconds(1), 0.9) < Some(seconds(4)));
/// # Ok::<_, Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
pub struct Scenario {
    servers: Vec<(String, Server)>,
    clients: Vec<(String, Clients)>,
    bin: Duration,
}

/// What is wrong with a scenario: all of it, a line each.
#[derive(Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}", .0.join("; "))]
pub struct ScenarioError(Vec<String>);

impl fmt::Debug for ScenarioError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        crate::error::debug_as_display(self, f)
    }
}

impl Default for Scenario {
    fn default() -> Self {
        Self::new()
    }
}

impl Scenario {
    /// An empty one.
    #[must_use]
    pub fn new() -> Self {
        Self { servers: Vec::new(), clients: Vec::new(), bin: Duration::from_millis(100) }
    }

    /// A server of this name. It may call those that were added before it.
    #[must_use]
    pub fn server(mut self, name: &str, server: Server) -> Self {
        self.servers.push((name.to_owned(), server));
        self
    }

    /// Clients of this name.
    #[must_use]
    pub fn clients(mut self, name: &str, clients: Clients) -> Self {
        self.clients.push((name.to_owned(), clients));
        self
    }

    /// How long each part of the report's lines over time is; above 0. Default: 100 ms.
    #[must_use]
    pub fn bin(mut self, bin: Duration) -> Self {
        self.bin = bin;
        self
    }

    /// Runs it: loads come for this long, and then what is under way ends, at the latest by its deadlines. All chance comes
    /// from the seed.
    ///
    /// # Errors
    /// Whatever cannot be in the scenario, all at once. Nothing has run then.
    pub fn run(&self, lasts: Duration, seed: u64) -> Result<Report, ScenarioError> {
        self.check()?;
        let world = World::new(seed);
        let context = world.context();
        let mut servers: BTreeMap<&str, Rc<Running>> = BTreeMap::new();
        for (name, server) in &self.servers {
            let downstream = server.calls.iter().map(|(callee, policy)| {
                // Checked: it was added before.
                (
                    Client::new(&context, callee, policy.clone()),
                    Rc::clone(&servers[callee.as_str()]),
                )
            });
            let downstream = downstream.collect();
            let report = ServerReport::new(self.bin);
            servers.insert(name, Running::start(server.clone(), downstream, report, &context));
        }
        let left = Rc::new(Left::default());
        let mut groups: Vec<(&String, Group)> = Vec::new();
        for (name, clients) in &self.clients {
            let shared = groups.iter().find(|(name, _)| clients.guards_of.as_ref() == Some(*name));
            let shared = shared.map(|(_, group)| group.clients.clone());
            let server = &servers[clients.server.as_str()];
            let group = Group::start(clients, shared, server, (self.bin, &context));
            for client in &group.clients {
                let (client, server) = (Rc::clone(client), Rc::clone(&group.server));
                let caller = Caller {
                    client,
                    server,
                    report: Rc::clone(&group.report),
                    left: Rc::clone(&left),
                };
                left.one_more();
                context.spawn(caller.send(clients.clone(), Moment::ZERO + lasts, context.clone()));
            }
            groups.push((name, group));
        }
        world.run_until(Moment::ZERO + lasts);
        while left.any() {
            world.run_until(context.now() + Duration::from_secs(1));
        }
        Ok(Report {
            seed,
            lasts,
            bin: self.bin,
            clients: groups
                .into_iter()
                .map(|(name, group)| (name.clone(), group.report()))
                .collect(),
            servers: servers
                .into_iter()
                .map(|(name, server)| (name.to_owned(), server.report.borrow().clone()))
                .collect(),
        })
    }

    fn check(&self) -> Result<(), ScenarioError> {
        let mut mistakes = Vec::new();
        let mut known: Vec<&str> = Vec::new();
        for (name, server) in &self.servers {
            for (callee, _) in &server.calls {
                if !known.contains(&callee.as_str()) {
                    mistakes.push(format!(
                        "server `{name}` calls `{callee}`, which was not added before it"
                    ));
                }
            }
            if known.contains(&name.as_str()) {
                mistakes.push(format!("there are two servers `{name}`"));
            }
            mistakes.extend(server.mistake().map(|mistake| format!("server `{name}`: {mistake}")));
            known.push(name);
        }
        for (index, (name, clients)) in self.clients.iter().enumerate() {
            if !known.contains(&clients.server.as_str()) {
                mistakes.push(format!(
                    "clients `{name}` call `{}`, which is no server",
                    clients.server
                ));
            }
            if let Some(group) = &clients.guards_of {
                let before = self.clients[..index].iter().find(|(other, _)| other == group);
                if before.is_none_or(|(_, before)| before.server != clients.server) {
                    mistakes.push(format!(
                        "clients `{name}` go through the guards of `{group}`, which is no group of the same server that was added before"
                    ));
                }
            }
            if self.clients[..index].iter().any(|(other, _)| other == name) {
                mistakes.push(format!("there are two groups of clients `{name}`"));
            }
            let mistake = clients.load.mistake();
            mistakes.extend(mistake.map(|mistake| format!("clients `{name}`: {mistake}")));
        }
        let names = self.servers.iter().map(|(name, _)| name);
        for name in names.chain(self.clients.iter().map(|(name, _)| name)) {
            let is_plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.');
            if name.is_empty() || !name.chars().all(is_plain) {
                mistakes
                    .push(format!("name `{name}` must be of letters, digits, `_`, `-` and `.`"));
            }
        }
        if self.bin.is_zero() {
            mistakes.push("bin must be above 0".to_owned());
        }
        if mistakes.is_empty() { Ok(()) } else { Err(ScenarioError(mistakes)) }
    }
}

/// Clients at work.
struct Group {
    clients: Vec<Rc<Client>>,
    server: Rc<Running>,
    report: Rc<RefCell<ClientReport>>,
    moves: Arc<Moves>,
}

impl Group {
    fn start(
        clients: &Clients,
        shared: Option<Vec<Rc<Client>>>,
        server: &Rc<Running>,
        (bin, context): (Duration, &TaskContext),
    ) -> Self {
        let moves = Arc::new(Moves::default());
        let client = |_| {
            let observer: Arc<dyn Observer> = Arc::clone(&moves) as _;
            Rc::new(Client::observed(context, &clients.server, clients.policy.clone(), observer))
        };
        Self {
            clients: shared.unwrap_or_else(|| (0..clients.instances.max(1)).map(client).collect()),
            server: Rc::clone(server),
            report: Rc::new(RefCell::new(ClientReport::new(bin))),
            moves,
        }
    }

    fn report(&self) -> ClientReport {
        let retries = self.clients.iter().map(|client| client.snapshot().retries).sum();
        let mut report = self.report.borrow().clone();
        (report.retries, report.moves) = (retries, self.moves.0.lock().clone());
        report
    }
}

/// Keeps the moves of breakers.
#[derive(Default)]
struct Moves(Mutex<Vec<(f64, State)>>);

impl Observer for Moves {
    fn on_event(&self, event: &Event) {
        if let Event::Transition { transition, .. } = event {
            let at = transition.at.since(Moment::ZERO).as_secs_f64();
            self.0.lock().push((at, transition.to));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::PolicyFile;
    use crate::simulation::{Distribution, Trouble};

    fn secs(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    fn policy(text: &str) -> Policy {
        PolicyFile::parse(&format!("[it]\n{text}"), "test.toml").unwrap().policy("it")
    }

    /// No guard is in the way.
    const BARE: &str = "timeout = \"10s\"\ndeadline = \"1h\"\nbreaker = { mode = \"disabled\" }\n\
        bulkhead = { max_concurrent = 100_000 }\nretry = { budget = \"none\", base_delay = \"0s\", max_attempts = ";

    fn bare(attempts: u32) -> Policy {
        policy(&format!("{BARE}{attempts} }}"))
    }

    #[test]
    fn one_worker_without_guards_is_an_m_m_1_queue() {
        let work = Distribution::exponential(Duration::from_millis(10));
        let report = Scenario::new()
            .server("it", Server::new(1, work))
            .clients("web", Clients::of("it", bare(1), Load::poisson(50.0)))
            .run(secs(2000), 3)
            .unwrap();
        let web = report.clients("web").unwrap();
        assert_eq!(web.answered_share(secs(0)..secs(2000)), 1.0);
        // Sojourn times are exponential with mean 1 / (μ − λ) = 20 ms: half are below 13.86 ms.
        let median = web.latency(0.5).unwrap().as_secs_f64() * 1e3;
        assert!((median - 13.86).abs() < 0.6, "{median}");
        let p99 = web.latency(0.99).unwrap().as_secs_f64() * 1e3;
        assert!((p99 - 92.1).abs() < 8.0, "{p99}");
    }

    #[test]
    fn a_seed_gives_the_same_report_bit_for_bit_and_another_does_not() {
        let scenario = Scenario::new()
            .server("it", Server::with_capacity(100.0).trouble(Trouble::Freezes, secs(5)..secs(8)))
            .clients(
                "web",
                Clients::of("it", policy("timeout = \"1s\""), Load::poisson(25.0)).instances(3),
            );
        let run = |seed| scenario.run(secs(20), seed).unwrap();
        assert_eq!(run(1).to_json(), run(1).to_json());
        assert_ne!(run(1).to_json(), run(2).to_json());
        assert!(run(1).clients("web").unwrap().moves.iter().any(|(_, to)| *to == State::Open));
    }

    #[test]
    fn three_layers_of_three_attempts_make_twenty_seven() {
        let server = || Server::with_capacity(1000.0);
        let ill = server().trouble(Trouble::Fails(1.0), secs(0)..secs(1000));
        let report = Scenario::new()
            .server("c", ill)
            .server("b", server().calls("c", bare(3)))
            .server("a", server().calls("b", bare(3)))
            .clients("web", Clients::of("a", bare(3), Load::at_once(1)))
            .run(secs(1), 1)
            .unwrap();
        let requests = ["a", "b", "c"].map(|name| report.server(name).unwrap().requests);
        assert_eq!(requests, [3, 9, 27]);
    }

    #[test]
    fn a_server_that_falls_loses_what_it_had_and_refuses_until_it_is_back() {
        let report = Scenario::new()
            .server("it", Server::with_capacity(1.0).trouble(Trouble::Down, secs(2)..secs(3)))
            .clients("web", Clients::of("it", bare(1), Load::even(10.0)))
            .run(secs(4), 1)
            .unwrap();
        let (web, it) = (report.clients("web").unwrap(), report.server("it").unwrap());
        // One was answered in time, that of 0.1 s; the other 18 fell with the server.
        assert_eq!(web.answered_share(secs(0)..secs(2)), 1.0 / 19.0);
        assert_eq!(web.answered_share(secs(2)..secs(3)), 0.0);
        assert_eq!(web.answered_share(secs(3)..secs(4)), 1.0);
        assert_eq!(it.refused, 10);
    }

    #[test]
    fn work_for_nobody_is_done_unless_the_server_skips_it() {
        let run = |server: Server| {
            let impatient = policy(&format!("{BARE}1 }}").replace("10s", "1s"));
            let scenario = Scenario::new().server("it", server);
            let clients = Clients::of("it", impatient, Load::even(20.0));
            let report = scenario.clients("web", clients).run(secs(30), 1).unwrap();
            report.server("it").unwrap().clone()
        };
        let naive = run(Server::with_capacity(10.0));
        let longest = |report: &ServerReport| report.queue.iter().max().copied();
        assert_eq!(naive.skipped, 0);
        assert!(naive.wasted > 250 && longest(&naive) > Some(250), "{:?}", longest(&naive));
        let skips = run(Server::with_capacity(10.0).skips_abandoned());
        assert!(skips.skipped > 250 && longest(&skips) == Some(20), "{:?}", longest(&skips));
    }

    #[test]
    fn all_that_is_wrong_is_said_at_once() {
        let wrong = Scenario::new()
            .server("a", Server::with_capacity(1.0).calls("b", bare(1)))
            .server("b", Server::with_capacity(1.0).trouble(Trouble::Speed(0.0), secs(0)..secs(1)))
            .clients("web", Clients::of("c", bare(1), Load::poisson(-1.0)))
            .bin(Duration::ZERO);
        let said = wrong.run(secs(1), 1).unwrap_err().to_string();
        assert_eq!(
            said,
            "server `a` calls `b`, which was not added before it; \
             server `b`: a speed must be a number above 0 (to stop it, let it freeze); \
             clients `web` call `c`, which is no server; \
             clients `web`: calls a second must be a number from 0 to 1,000,000; \
             bin must be above 0"
        );
    }
}
