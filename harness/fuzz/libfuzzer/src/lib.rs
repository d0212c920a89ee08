//! Macro that makes a libFuzzer program of a fuzz target. The targets are plain functions of `relayline_fuzz`.

#[doc(hidden)]
pub use {libfuzzer_sys, relayline_fuzz};

/// Defines the entry point of a libFuzzer program, which runs the fuzz target `$name` with each input.
///
/// # Panics
/// The program panics at its first input if there is no such target.
#[macro_export]
macro_rules! fuzz {
    ($name:literal) => {
        static TARGET: std::sync::OnceLock<$crate::relayline_fuzz::Target> = std::sync::OnceLock::new();

        $crate::libfuzzer_sys::fuzz_target!(|data: &[u8]| {
            let find = || {
                $crate::relayline_fuzz::target($name).expect(concat!("no fuzz target is named ", $name))
            };
            (TARGET.get_or_init(find).run)(data)
        });
    };
}
