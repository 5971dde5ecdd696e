//! The list of scenarios.

use std::error::Error;

use serde_json::Value;

use crate::args::Args;
use crate::{
    amplification, day, fanout, fleet, herd, isolation, jitter, map, metastable, overload,
    priority, stability,
};

/// What a scenario has found out, in every form that can be asked for.
pub(crate) struct Found {
    pub(crate) page: String,
    pub(crate) json: Value,
    pub(crate) csv: String,
    pub(crate) svg: String,
}

pub(crate) type Result = std::result::Result<Found, Box<dyn Error>>;

pub(crate) struct Scenario {
    pub(crate) name: &'static str,
    about: &'static str,
    pub(crate) run: fn(&Args) -> Result,
}

const SCENARIOS: [Scenario; 11] = [
    Scenario {
        name: "jitter",
        about: "contention for one row: what each jitter does to calls and time",
        run: |args| jitter::run(args.seed, args.quick),
    },
    Scenario {
        name: "amplification",
        about: "what retries add to the load of a service that fails, without a budget and with one",
        run: |args| amplification::run(args.seed, args.quick),
    },
    Scenario {
        name: "herd",
        about: "1,000 clients of a database that was away for 10 s",
        run: |args| herd::run(args.seed),
    },
    Scenario {
        name: "metastable",
        about: "overload that outlives its cause; with --map, from which states there is a way back",
        run: |args| if args.map { map::run(args.seed) } else { metastable::run(args.seed) },
    },
    Scenario {
        name: "overload",
        about: "more calls than can be served: what is answered in time, by how permits are found",
        run: |args| overload::run(args.seed),
    },
    Scenario {
        name: "isolation",
        about: "one of ten dependencies hangs: what the other nine keep",
        run: |args| isolation::run(args.seed),
    },
    Scenario {
        name: "fleet",
        about: "one total of permits for ten dependencies, beside ten fixed pools, when load moves",
        run: |args| fleet::run(args.seed),
    },
    Scenario {
        name: "priority",
        about: "a spike of work that can wait: what it leaves to work that cannot",
        run: |args| priority::run(args.seed),
    },
    Scenario {
        name: "fanout",
        about: "tasks of 1 to 4 calls of an overloaded service: what is left of those of 4",
        run: |args| fanout::run(args.seed),
    },
    Scenario {
        name: "stability",
        about: "breaker, budget and adaptive threshold together: no swing that grows",
        run: |args| stability::run(args.seed),
    },
    Scenario {
        name: "day",
        about: "24 hours of load that goes up and down, and a server in trouble: what wears out",
        run: |args| day::run(args.seed, args.quick),
    },
];

pub(crate) fn list() -> String {
    SCENARIOS.iter().map(|it| format!("{:<14} {}\n", it.name, it.about)).collect()
}

pub(crate) fn find(name: &str) -> std::result::Result<&'static Scenario, String> {
    SCENARIOS.iter().find(|it| it.name == name).ok_or_else(|| {
        let known: Vec<&str> = SCENARIOS.iter().map(|it| it.name).collect();
        format!("there is no scenario `{name}`; allowed: {}", known.join(", "))
    })
}
