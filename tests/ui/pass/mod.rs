//! Each file is a program that a user might write. They are compiled as one, because linking seawall to
//! each would take minutes; `deny(warnings)` stands in every one of them.

mod associated_items;
mod borrowed_arguments;
mod conditional;
mod drop_in;
mod every_key;
mod fault_with;
mod generic_methods;
mod generic_trait;
mod hygiene;
mod keyed;
mod renamed_crate;
mod result_aliases;
mod strict_lints;
mod trait_wide;
mod wrapped_errors;

macro_rules! programs {
    ($($name:ident),* $(,)?) => {
        $(#[test] fn $name() { $name::main(); })*
    };
}

programs! {
    associated_items,
    borrowed_arguments,
    conditional,
    drop_in,
    every_key,
    fault_with,
    generic_methods,
    generic_trait,
    hygiene,
    keyed,
    renamed_crate,
    result_aliases,
    strict_lints,
    trait_wide,
    wrapped_errors,
}
