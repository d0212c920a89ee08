//! Runs every seed and every committed input through the fuzz targets. The input of a finding is added to the corpus
//! and stays there.

use relayline_fuzz::{TARGETS, corpus};
use std::path::Path;
use std::{fs, panic};

#[test]
fn every_known_input_holds() {
    for target in TARGETS {
        let committed = corpus::load(target.name).unwrap();
        let seeds = (target.seeds)();
        assert!(!committed.is_empty() && !seeds.is_empty(), "{} has no inputs", target.name);
        for input in seeds.iter().chain(&committed) {
            let held = panic::catch_unwind(|| (target.run)(input));
            assert!(held.is_ok(), "{}: {}", target.name, input.escape_ascii());
        }
    }
}

/// A target that is only listed here would never be fuzzed.
#[test]
fn every_target_has_its_program() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("libfuzzer");
    let manifest = fs::read_to_string(folder.join("Cargo.toml")).unwrap();
    let programs = fs::read_dir(folder.join("fuzz_targets")).unwrap();
    assert_eq!(programs.count(), TARGETS.len());
    for target in TARGETS {
        let path = format!("fuzz_targets/{}.rs", target.name);
        let program = fs::read_to_string(folder.join(&path)).unwrap();
        assert!(program.contains(&format!("fuzz!(\"{}\")", target.name)), "{path} fuzzes another");
        assert!(
            manifest.contains(&format!("path = \"{path}\"")),
            "libfuzzer/Cargo.toml does not name {path}"
        );
    }
}
