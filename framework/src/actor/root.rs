//! The root of the tree: takes dependencies and users' actors into guard, and lets go of all at once.

use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::{Arc, Weak};

use actix::{Actor, ActorContext, Context, Handler, Message};

use crate::dependency::Dependency;
use crate::time::Time;

use super::dependency::DependencyActor;
use super::restart::RestartPolicy;
use super::supervise::{Charge, Terms, supervise};
use super::supervised::{Supervised, SupervisionGuard};

/// How often the list of those in guard is cleared of those that have left: when it has doubled.
const FIRST_SWEEP: usize = 64;

/// Anything in guard that can be told to go.
trait Dismiss {
    fn dismiss(&self);
}

impl<A: Actor<Context = Context<A>>> Dismiss for Supervised<A> {
    fn dismiss(&self) {
        Supervised::dismiss(self);
    }
}

/// The root supervisor.
pub(super) struct Root {
    terms: Arc<Terms>,
    supervised: Vec<Weak<dyn Dismiss>>,
    sweep_at: usize,
}

impl Root {
    pub(super) fn new(time: Time, restart: RestartPolicy) -> Self {
        let terms = Arc::new(Terms { policy: restart, time });
        Self { terms, supervised: Vec::new(), sweep_at: FIRST_SWEEP }
    }

    fn add(&mut self, stop_on_drop: Weak<dyn Dismiss>) {
        if self.supervised.len() >= self.sweep_at {
            self.supervised.retain(|stop_on_drop| stop_on_drop.strong_count() > 0);
            self.sweep_at = (self.supervised.len() * 2).max(FIRST_SWEEP);
        }
        self.supervised.push(stop_on_drop);
    }
}

impl Actor for Root {
    type Context = Context<Self>;

    fn stopped(&mut self, _: &mut Self::Context) {
        for stop_on_drop in
            self.supervised.drain(..).filter_map(|stop_on_drop| stop_on_drop.upgrade())
        {
            stop_on_drop.dismiss();
        }
    }
}

/// Look after this dependency.
pub(super) struct Supervise {
    pub(super) dependency: Arc<Dependency>,
    pub(super) guard: SupervisionGuard<DependencyActor>,
}

impl Message for Supervise {
    type Result = ();
}

impl Handler<Supervise> for Root {
    type Result = ();

    fn handle(&mut self, request: Supervise, _: &mut Self::Context) {
        let Supervise { dependency, guard } = request;
        let stop_on_drop: Weak<Supervised<DependencyActor>> = Arc::downgrade(&guard.0);
        self.add(stop_on_drop);
        actix::spawn(supervise(dependency, guard, Arc::clone(&self.terms)));
    }
}

/// Look after a user's actor. The message carries how, so that the root needs to know no types.
pub(super) struct SuperviseUserActor(Box<dyn FnOnce(&mut Root) -> Supervising + Send>);

type Supervising = Pin<Box<dyn Future<Output = ()>>>;

impl SuperviseUserActor {
    pub(super) fn new<A, F>(name: Arc<str>, factory: F, guard: SupervisionGuard<A>) -> Self
    where
        A: Actor<Context = Context<A>>,
        F: Fn() -> A + Send + 'static,
    {
        Self(Box::new(move |root| {
            let stop_on_drop: Weak<Supervised<A>> = Arc::downgrade(&guard.0);
            root.add(stop_on_drop);
            Box::pin(supervise(Named { name, factory }, guard, Arc::clone(&root.terms)))
        }))
    }
}

impl Message for SuperviseUserActor {
    type Result = ();
}

impl Handler<SuperviseUserActor> for Root {
    type Result = ();

    fn handle(&mut self, SuperviseUserActor(adopt): SuperviseUserActor, _: &mut Self::Context) {
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
struct Named<F> {
    name: Arc<str>,
    factory: F,
}

impl<A: Actor<Context = Context<A>>, F: Fn() -> A> Charge for Named<F> {
    type Actor = A;
    const RESTART_STOPPED: bool = false;

    fn build(&self) -> A {
        (self.factory)()
    }

    fn restarted(&self) {
        tracing::warn!(actor = &*self.name, "actor restarted");
    }

    fn unattended(&self) {
        tracing::error!(actor = &*self.name, "actor keeps failing and is left alone for a while");
    }
}
