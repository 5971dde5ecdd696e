//! The last good answer in place of none.

use std::any::Any;
use std::hash::{BuildHasher, DefaultHasher, Hash, Hasher};
use std::sync::OnceLock;
use std::time::Duration;

use crate::dependency::{KeptAnswers, MethodTable};
use crate::entropy::SecretHash;
use crate::error::Fallible;
use crate::outcome::{CallOutcome, Class};

use super::call::Call;

/// How old an answer may be, and how many are kept.
#[derive(Clone, Copy, Debug)]
pub struct LastGood {
    /// Older ones answer no call.
    pub max_age: Duration,
    /// The oldest answer goes for a new one.
    pub max_entries: usize,
}

/// An answer that can be kept. Implemented for everything that is `Clone`, may be shared between threads and borrows nothing.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be kept as a last good answer",
    label = "`fallback = last_good(…)` gives copies of it to later calls",
    note = "it has to be `Clone + Send + Sync + 'static`; or write a fallback of your own: `fallback = path`"
)]
pub trait KeepsAnswer: Sized + Send + Sync + 'static {
    /// Another one.
    #[must_use]
    fn another(&self) -> Self;
}

#[diagnostic::do_not_recommend]
impl<T: Clone + Send + Sync + 'static> KeepsAnswer for T {
    fn another(&self) -> Self {
        self.clone()
    }
}

/// An argument that tells calls apart. Implemented for everything that is `Hash`.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot tell kept answers apart: it is not `Hash`",
    label = "a call gets the last good answer to the same arguments",
    note = "name what tells them apart: `last_good(key = argument)`, or a function of all: `last_good(key = path)`"
)]
pub trait AnswerKeyPart {
    /// Adds it to a key.
    fn add_to(&self, key: &mut AnswerKey);
}

#[diagnostic::do_not_recommend]
impl<T: Hash + ?Sized> AnswerKeyPart for T {
    fn add_to(&self, key: &mut AnswerKey) {
        for hasher in &mut key.0 {
            self.hash(hasher);
        }
    }
}

/// What a call's answer is kept under: 128 bits of its arguments, by a hash that is secret to the process.
#[derive(Clone, Debug)]
pub struct AnswerKey([DefaultHasher; 2]);

impl AnswerKey {
    /// Of no argument.
    #[must_use]
    pub fn new() -> Self {
        static SECRET: OnceLock<[SecretHash; 2]> = OnceLock::new();
        let secret = SECRET.get_or_init(Default::default);
        Self([secret[0].build_hasher(), secret[1].build_hasher()])
    }

    /// With one more.
    pub fn add<T: AnswerKeyPart + ?Sized>(&mut self, part: &T) {
        part.add_to(self);
    }

    fn finish(&self) -> u128 {
        u128::from(self.0[0].finish()) << 64 | u128::from(self.0[1].finish())
    }
}

impl Default for AnswerKey {
    fn default() -> Self {
        Self::new()
    }
}

impl Call<'_> {
    /// Keeps a good answer; in place of a fault, or of an error that counts as a failure, gives the last good one.
    pub fn last_good<R: Fallible>(
        &mut self,
        (table, method): (&MethodTable, usize),
        key: &AnswerKey,
        settings: LastGood,
        answer: Option<R>,
    ) -> Option<R>
    where
        R::Ok: KeepsAnswer,
    {
        let kept = table.kept(method, || -> Box<dyn Any + Send + Sync> {
            Box::new(KeptAnswers::<Kept<R::Ok>>::new(settings.max_entries))
        });
        // Of this type: the same method has made it.
        let Some(kept) = kept.downcast_ref::<KeptAnswers<Kept<R::Ok>>>() else { return answer };
        let key = key.finish();
        if let Some(Ok(good)) = answer.as_ref().map(Fallible::as_result)
            && self.class == Class::Success
        {
            self.in_user_code = true;
            let good = Kept(good.another());
            self.in_user_code = false;
            kept.put(key, good, self.now);
            return answer;
        }
        if answer.is_some() && self.class != Class::Failure {
            return answer;
        }
        self.in_user_code = true;
        let found = kept.get(key, settings.max_age, self.now);
        self.in_user_code = false;
        let Some((Kept(good), age)) = found else { return answer };
        let instead_of = match answer {
            Some(_) => (CallOutcome::Failure, None),
            None => self.unanswered(),
        };
        self.note_fallback(instead_of, Some(age));
        Some(R::from_result(Ok(good)))
    }
}

/// An answer whose `Clone` is that of [`KeepsAnswer`].
struct Kept<T>(T);

impl<T: KeepsAnswer> Clone for Kept<T> {
    fn clone(&self) -> Self {
        Self(self.0.another())
    }
}
