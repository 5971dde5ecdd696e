//! The rate-limit fields of one answer.

use std::time::Duration;

use http::{HeaderMap, HeaderName, HeaderValue};

use crate::limit::Decision;
use crate::limit::headers::{
    Fields, POLICY, QuotaPolicy, RATE_LIMIT, Reader, Report, ResetReading, ResetStyle, X_LIMIT,
    X_REMAINING, X_RESET,
};

use super::policies::Policies;
use super::settings::Settings;

const X_FIELDS: [HeaderName; 3] = [
    HeaderName::from_static(X_LIMIT),
    HeaderName::from_static(X_REMAINING),
    HeaderName::from_static(X_RESET),
];

/// The fields of one answer. Made when the limit has decided, and put on the answer when that is there. The times in it
/// are counted from the decision, so those of a slow answer are late by as much, and never early.
#[derive(Debug)]
pub(super) struct AnswerFields {
    fields: Fields,
    x_fields: Option<(ResetStyle, Duration)>,
    ietf_fields: Option<[Option<HeaderValue>; 2]>,
}

impl AnswerFields {
    /// `all`: the policies of which `policy` is one, if there are several.
    pub(super) fn new(
        decision: &Decision,
        policy: &QuotaPolicy,
        all: Option<&Policies>,
        settings: &Settings,
    ) -> Self {
        let fields = Fields::of(decision);
        // A policy's name is printable ASCII, so both are values.
        let value = |text: String| HeaderValue::try_from(text).ok();
        let ietf = || {
            let described = || value(policy.describe(fields.limit));
            [all.map_or_else(described, Policies::field), value(policy.standing(&fields))]
        };
        Self {
            fields,
            x_fields: settings.x_fields.then(|| (settings.reset, settings.clock.since_epoch())),
            ietf_fields: settings.ietf_fields.then(ietf),
        }
    }

    pub(super) fn fields(&self) -> &Fields {
        &self.fields
    }

    pub(super) fn put(self, headers: &mut HeaderMap) {
        if let Some((style, since_epoch)) = self.x_fields {
            self.put_x(headers, style, since_epoch);
        }
        // Lists may be spread over several lines, so what is there stays.
        if let Some([policy, standing]) = self.ietf_fields {
            let names = [POLICY, RATE_LIMIT].map(HeaderName::from_static);
            for (name, value) in names.into_iter().zip([policy, standing]) {
                if let Some(value) = value {
                    headers.append(name, value);
                }
            }
        }
    }

    fn put_x(&self, headers: &mut HeaderMap, style: ResetStyle, since_epoch: Duration) {
        if X_FIELDS.iter().any(|name| headers.contains_key(name)) {
            let theirs = x_report(headers, since_epoch);
            let ours = Report {
                limit: Some(self.fields.limit),
                remaining: Some(self.fields.remaining),
                reset_after: Some(Duration::from_secs(self.fields.reset_after)),
                ..Report::default()
            };
            // Fields that say nothing are not worth keeping.
            if theirs.remaining.is_some() && !ours.is_tighter(&theirs) {
                return;
            }
        }
        let values =
            [self.fields.limit, self.fields.remaining, self.fields.reset(style, since_epoch)];
        for (name, value) in X_FIELDS.into_iter().zip(values) {
            headers.insert(name, value.into());
        }
    }
}

fn x_report(headers: &HeaderMap, since_epoch: Duration) -> Report {
    let mut reader = Reader::new(ResetReading::Guess, since_epoch);
    for name in &X_FIELDS {
        for value in headers.get_all(name) {
            reader.field(name.as_str(), value.as_bytes());
        }
    }
    reader.finish()
}
