//! Against plain numbers: each layer a number of thousandths for each key, all or nothing.

use std::collections::HashMap;

use proptest::prelude::*;

use super::{keyed, layers, request, whole};
use crate::clock::Moment;

const NAMES: [&str; 3] = ["global", "user", "endpoint"];

struct Model {
    capacities: [u64; 3],
    /// Thousandths by layer and key, and when they were right.
    left: HashMap<(usize, u8), (u64, u64)>,
}

impl Model {
    fn left(&mut self, layer: usize, key: u8, ms: u64) -> &mut u64 {
        let full = self.capacities[layer] * 1_000;
        let (left, at) = self.left.entry((layer, key)).or_insert((full, ms));
        *left = full.min(*left + (ms - *at));
        *at = ms;
        left
    }

    /// The first layer that refuses and the longest wait in milliseconds, `None` for ever.
    fn take(&mut self, keys: [u8; 3], ms: u64, cost: u64) -> Result<(), (usize, Option<u64>)> {
        let needed = cost * 1_000;
        let short: Vec<_> =
            (0..3).map(|layer| needed.saturating_sub(*self.left(layer, keys[layer], ms))).collect();
        if let Some(first) = short.iter().position(|short| *short > 0) {
            let never = self.capacities.iter().any(|capacity| *capacity < cost);
            return Err((first, (!never).then(|| short.into_iter().max().unwrap())));
        }
        (0..3).for_each(|layer| *self.left(layer, keys[layer], ms) -= needed);
        Ok(())
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn it_does_what_plain_numbers_do(
        capacities in [1..12_u64, 1..8_u64, 1..6_u64],
        steps in prop::collection::vec((0..4_u8, 0..3_u8, 0..5_u64, 0..1_500_u64, any::<bool>()), 1..120),
    ) {
        let global = whole(capacities[0]);
        let (users, endpoints) = (keyed(capacities[1], 50), keyed(capacities[2], 50));
        let limits = layers(&global, &users, &endpoints);
        let mut model = Model { capacities, left: HashMap::new() };
        let mut ms = 1;
        for (user, endpoint, cost, pause, sweep) in steps {
            ms += pause;
            let now = Moment::from_nanos(ms * 1_000_000);
            let keys = [0, user, endpoint];
            let theirs = model.take(keys, ms, cost);
            let ours = limits.try_take(&request(user, endpoint), now, cost);
            prop_assert_eq!(ours.is_ok(), theirs.is_ok());
            if let (Err(ours), Err((layer, wait))) = (ours, theirs) {
                prop_assert_eq!(&*ours.layer, NAMES[layer]);
                let wait_ms = ours.retry_after.map(|after| after.as_nanos().div_ceil(1_000_000));
                prop_assert_eq!(wait_ms, wait.map(u128::from));
                prop_assert_eq!(&*limits.peek(&request(user, endpoint), now, cost).layer, NAMES[layer]);
            }
            if sweep {
                limits.sweep(now);
            }
            prop_assert_eq!(global.remaining(now), *model.left(0, 0, ms) / 1_000);
            prop_assert_eq!(users.remaining(&user, now), *model.left(1, user, ms) / 1_000);
            prop_assert_eq!(endpoints.remaining(&endpoint, now), *model.left(2, endpoint, ms) / 1_000);
        }
    }
}
