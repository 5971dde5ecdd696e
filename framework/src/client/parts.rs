//! One client for several traits: its methods are its own, and those of each part.

use crate::dependency::MethodSpec;

/// How many methods these are together.
#[must_use]
pub const fn method_count(parts: &[&[MethodSpec]]) -> usize {
    let (mut count, mut at) = (0, 0);
    while at < parts.len() {
        count += parts[at].len();
        at += 1;
    }
    count
}

/// All of them, one part behind the other. `N` is their [`method_count`].
///
/// # Panics
/// If it is less; while compiling, because it is only called there.
#[must_use]
pub const fn all_methods<const N: usize>(parts: &[&[MethodSpec]]) -> [MethodSpec; N] {
    let mut all = [MethodSpec::NONE; N];
    let (mut next, mut at) = (0, 0);
    while at < parts.len() {
        let mut method = 0;
        while method < parts[at].len() {
            all[next] = parts[at][method];
            next += 1;
            method += 1;
        }
        at += 1;
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn named(name: &'static str) -> MethodSpec {
        MethodSpec { name, ..MethodSpec::NONE }
    }

    #[test]
    fn methods_stand_one_part_behind_the_other() {
        const PARTS: [&[MethodSpec]; 3] = [&[named("a")], &[], &[named("b"), named("c")]];
        const COUNT: usize = method_count(&PARTS);
        const ALL: [MethodSpec; COUNT] = all_methods(&PARTS);
        assert_eq!(ALL.map(|method| method.name), ["a", "b", "c"]);
    }
}
