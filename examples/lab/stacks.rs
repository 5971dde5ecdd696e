//! Policies that are compared.

use std::error::Error;

use seawall::policy::{Policy, PolicyFile};

/// The policy of this text: a section of a policy file, without its heading.
pub(crate) fn policy(text: &str) -> Result<Policy, Box<dyn Error>> {
    let file = PolicyFile::parse(&format!("[it]\n{text}\n"), "lab")?;
    Ok(file.policy("it"))
}

/// No guard but a timeout and retries.
pub(crate) fn unguarded(timeout: &str, attempts: u32, budget: &str) -> String {
    format!(
        "timeout = '{timeout}'\ndeadline = '60s'\nbreaker = {{ mode = 'disabled' }}\nbulkhead = {{ max_concurrent = 100_000 }}\n\
         retry = {{ max_attempts = {attempts}, base_delay = '0s', budget = {budget} }}"
    )
}

/// Seawall's defaults, for this timeout and so many attempts. Callers wait for 250 ms at most.
pub(crate) fn seawall(timeout: &str, attempts: u32) -> String {
    format!(
        "timeout = '{timeout}'\nbulkhead = {{ max_wait = '250ms' }}\n\
         retry = {{ max_attempts = {attempts}, base_delay = '100ms' }}"
    )
}

/// Permits that find themselves and a short wait, with priorities or without.
pub(crate) fn prioritized(priorities: bool) -> String {
    format!(
        "timeout = '500ms'\ndeadline = '1s'\nbulkhead = {{ max_concurrent = 200, max_wait = '250ms', limit = 'adaptive' }}\n\
         mailbox = {{ capacity = 100, on_full = 'error', priorities = {priorities} }}\nretry = {{ max_attempts = 1 }}"
    )
}
