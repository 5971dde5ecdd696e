//! Service traits of the shapes that real projects write, each with its implementations, its callers and its mocks untouched.
//!
//! Every guarded method is refused while the breaker is forced open, and passed on while it is not: as a client, as the
//! `dyn` that a project keeps it as, and in front of a service that is a `dyn` itself.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test may panic")]
#![allow(
    dead_code,
    unreachable_pub,
    clippy::all,
    clippy::pedantic,
    reason = "as real projects write them"
)]

mod a_box_that_clones_itself;
mod a_boxed_future_without_a_result;
mod a_boxed_method_written_out;
mod a_mock_and_a_skipped_method;
mod a_mock_below_the_boxing;
mod a_part_and_its_sum;
mod a_struct_without_a_trait;
mod a_sum_of_parts;
mod an_associated_error;
mod an_error_of_a_supertrait;
mod an_error_of_another_crate;
mod another_crates_trait;
mod arc_self_beside_shared;
mod arc_self_in_a_generic_trait;
mod as_any_of_a_supertrait;
mod auto_impl_and_a_dyn_argument;
mod blocking_methods;
mod boxed_with_a_default_body;
mod boxing_by_condition;
mod enum_dispatched;
mod exclusive_and_local;
mod for_types_only;
mod futures_for_ever;
mod generic_methods;
mod impl_future_with_associated_types;
mod impl_future_with_own_markers;
mod inherent_beside_constructors;
mod its_own_dyn_handed_out;
mod lifetimes_and_conditions;
mod mutable_receivers;
mod names_of_the_clients_own;
mod native_as_dyn;
mod one_way_methods;
mod orders;
mod parts_of_other_modules;
mod plain_boxed;
mod pre;
mod send_by_trait_variant;
mod streams;
