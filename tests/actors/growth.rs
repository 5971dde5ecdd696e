//! Ten thousand dependencies, and nothing left of them.

use allocation_counter::measure;
use seawall::Time;
use seawall::actor::Control;
use seawall::prelude::*;
use seawall_tests::Answer;
use tokio::runtime::{Builder, Runtime};
use tokio::task::LocalSet;

const MANY: usize = 10_000;

/// What an idle dependency may cost, actor included, in a debug build too.
const BYTES_MAX: i64 = 1_936;

/// A service of five methods.
#[seawall::resilient]
#[allow(dead_code, reason = "that it has them is what matters")]
trait Small {
    async fn get(&self) -> Answer;
    async fn list(&self) -> Answer;
    async fn create(&self) -> Answer;
    async fn update(&self) -> Answer;
    async fn delete(&self) -> Answer;
}

struct Plain;

impl Small for Plain {
    async fn get(&self) -> Answer {
        Ok(7)
    }
    async fn list(&self) -> Answer {
        Ok(7)
    }
    async fn create(&self) -> Answer {
        Ok(7)
    }
    async fn update(&self) -> Answer {
        Ok(7)
    }
    async fn delete(&self) -> Answer {
        Ok(7)
    }
}

/// With the actors on this thread, where what they allocate is counted.
struct Place {
    runtime: Runtime,
    local: LocalSet,
    seawall: Seawall,
}

impl Place {
    fn new() -> Self {
        let runtime = Builder::new_current_thread().build().unwrap();
        let local = LocalSet::new();
        let seawall = local.block_on(&runtime, async {
            Seawall::builder().time(Time::manual()).on_this_runtime().start().unwrap()
        });
        Self { runtime, local, seawall }
    }

    /// Spawns them all, and waits until all their actors are up.
    fn spawn(&self) -> Vec<SmallClient<Plain>> {
        self.local.block_on(&self.runtime, async {
            let mut clients = Vec::with_capacity(MANY);
            for number in 0..MANY {
                let name = format!("dependency-{number}");
                clients.push(self.seawall.spawn(&name, Plain).await.unwrap());
            }
            self.hear_from("dependency-0").await;
            self.hear_from(&format!("dependency-{}", MANY - 1)).await;
            clients
        })
    }

    async fn hear_from(&self, name: &str) {
        let handle = self.seawall.dependency(name).unwrap();
        assert!(handle.tell(Control::Snapshot).await.is_ok());
    }

    /// Drops them all, and waits until all their actors are gone.
    fn drop_all(&self, clients: Vec<SmallClient<Plain>>) {
        drop(clients);
        assert!(self.seawall.snapshots().is_empty());
        self.local.block_on(&self.runtime, async {
            for _ in 0..1_000 {
                tokio::task::yield_now().await;
            }
        });
    }
}

#[test]
fn ten_thousand_dependencies_spawned_and_dropped_leave_nothing() {
    let place = Place::new();
    place.drop_all(place.spawn());
    let second = measure(|| place.drop_all(place.spawn()));
    let third = measure(|| place.drop_all(place.spawn()));
    // Tables keep the size that they once needed; nothing else may stay.
    for batch in [second, third] {
        assert!(batch.bytes_current.abs() < 64 * 1024, "{batch:?}");
        assert!(batch.count_current.abs() < 100, "{batch:?}");
    }
}

#[test]
fn an_idle_dependency_costs_little() {
    let place = Place::new();
    // Tables first, so that only what each one costs is counted.
    place.drop_all(place.spawn());
    let mut clients = Vec::new();
    let cost = measure(|| clients = place.spawn());
    let per_dependency = cost.bytes_current / MANY as i64;
    let allocations = cost.count_current / MANY as i64;
    eprintln!(
        "an idle dependency of five methods: {per_dependency} B in {allocations} allocations, actor included"
    );
    assert!(per_dependency <= BYTES_MAX, "{per_dependency} B");
    // The first call allocates what calls need.
    let first = measure(|| {
        let call = place.local.block_on(&place.runtime, clients[0].get());
        assert_eq!(call, Ok(7));
    });
    eprintln!("its first call adds {} B", first.bytes_current);
    place.drop_all(clients);
}
