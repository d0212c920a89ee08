//! What every program here is made of.

#[doc(hidden)]
pub use {libfuzzer_sys, relayline_fuzz};

/// A program that hands the target of that name whatever libFuzzer makes up.
#[macro_export]
macro_rules! fuzz {
    ($name:literal) => {
        static TARGET: std::sync::OnceLock<$crate::relayline_fuzz::Target> = std::sync::OnceLock::new();

        $crate::libfuzzer_sys::fuzz_target!(|data: &[u8]| {
            let find = || $crate::relayline_fuzz::target($name).expect("there is a target of that name");
            (TARGET.get_or_init(find).run)(data)
        });
    };
}
