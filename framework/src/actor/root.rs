//! The root of the tree: takes dependencies and users' actors into care, and lets go of all at once.

use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::{Arc, Weak};

use actix::{Actor, ActorContext, Context, Handler, Message};

use crate::call::Dependency;
use crate::call::timer::Time;

use super::attendance::{Attendance, Care};
use super::dependency::DependencyActor;
use super::restart::RestartPolicy;
use super::supervise::{Watcher, supervise};

/// How often the list of those in care is cleared of those that have left: when it has doubled.
const FIRST_SWEEP: usize = 64;

/// Anything in care that can be told to go.
trait Dismiss {
    fn dismiss(&self);
}

impl<A: Actor<Context = Context<A>>> Dismiss for Attendance<A> {
    fn dismiss(&self) {
        Attendance::dismiss(self);
    }
}

/// The root supervisor.
pub(super) struct Root {
    time: Time,
    restart: RestartPolicy,
    in_care: Vec<Weak<dyn Dismiss>>,
    sweep_at: usize,
}

impl Root {
    pub(super) fn new(time: Time, restart: RestartPolicy) -> Self {
        Self { time, restart, in_care: Vec::new(), sweep_at: FIRST_SWEEP }
    }

    fn take_into_care(&mut self, ward: Weak<dyn Dismiss>) {
        if self.in_care.len() >= self.sweep_at {
            self.in_care.retain(|ward| ward.strong_count() > 0);
            self.sweep_at = (self.in_care.len() * 2).max(FIRST_SWEEP);
        }
        self.in_care.push(ward);
    }
}

impl Actor for Root {
    type Context = Context<Self>;

    fn stopped(&mut self, _: &mut Self::Context) {
        for ward in self.in_care.drain(..).filter_map(|ward| ward.upgrade()) {
            ward.dismiss();
        }
    }
}

/// Look after this dependency.
pub(super) struct Attend {
    pub(super) dependency: Arc<Dependency>,
    pub(super) care: Care<DependencyActor>,
}

impl Message for Attend {
    type Result = ();
}

impl Handler<Attend> for Root {
    type Result = ();

    fn handle(&mut self, attend: Attend, _: &mut Self::Context) {
        let Attend { dependency, care } = attend;
        let ward: Weak<Attendance<DependencyActor>> = Arc::downgrade(&care.0);
        self.take_into_care(ward);
        let watcher = Arc::clone(&dependency);
        let (restart, time) = (self.restart.clone(), self.time.clone());
        let factory = move || DependencyActor::new(Arc::clone(&dependency));
        actix::spawn(supervise(factory, care, restart, time, watcher, true));
    }
}

/// Look after a user's actor. The message carries how, so that the root needs to know no types.
pub(super) struct Adopt(Box<dyn FnOnce(&mut Root) -> Supervising + Send>);

type Supervising = Pin<Box<dyn Future<Output = ()>>>;

impl Adopt {
    pub(super) fn new<A, F>(name: Arc<str>, factory: F, care: Care<A>) -> Self
    where
        A: Actor<Context = Context<A>>,
        F: Fn() -> A + Send + 'static,
    {
        Self(Box::new(move |root| {
            let ward: Weak<Attendance<A>> = Arc::downgrade(&care.0);
            root.take_into_care(ward);
            let (restart, time) = (root.restart.clone(), root.time.clone());
            Box::pin(supervise(factory, care, restart, time, Named(name), false))
        }))
    }
}

impl Message for Adopt {
    type Result = ();
}

impl Handler<Adopt> for Root {
    type Result = ();

    fn handle(&mut self, Adopt(adopt): Adopt, _: &mut Self::Context) {
        // A factory runs only under supervision, but a panic while moving it must not take the root.
        if let Ok(supervision) = catch_unwind(AssertUnwindSafe(|| adopt(self))) {
            actix::spawn(supervision);
        }
    }
}

/// Let go of everything and end.
pub(super) struct Stop;

impl Message for Stop {
    type Result = ();
}

impl Handler<Stop> for Root {
    type Result = ();

    fn handle(&mut self, _: Stop, context: &mut Self::Context) {
        context.stop();
    }
}

/// A user's actor, as its supervision speaks of it.
struct Named(Arc<str>);

impl Watcher for Named {
    fn restarted(&self) {
        tracing::warn!(actor = &*self.0, "actor restarted");
    }

    fn unattended(&self) {
        tracing::error!(actor = &*self.0, "actor keeps failing and is left alone for a while");
    }
}
