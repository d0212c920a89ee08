//! Moves corpora between the committed files and libFuzzer's folders. The script `run` beside this crate calls it.

use relayline_fuzz::{Target, corpus, target};
use std::error::Error;
use std::path::Path;
use std::{env, fs};

const USAGE: &str = "\
usage: relayline-fuzz unpack TARGET FOLDER   seeds and committed inputs into a folder, a file each
       relayline-fuzz pack TARGET FOLDER     a folder's files become the committed inputs
       relayline-fuzz try TARGET FILE        one input, as the tests run it";

/// Maximum size of a committed input.
const MAX_BYTES: u64 = 4096;
/// Maximum number of committed inputs; the shortest are kept.
const MAX_INPUTS: usize = 256;

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let [command, name, path] = arguments.as_slice() else { return Err(USAGE.into()) };
    let target = target(name).ok_or_else(|| format!("no target {name:?}\n{USAGE}"))?;
    match command.as_str() {
        "unpack" => unpack(target, Path::new(path)),
        "pack" => pack(target, Path::new(path)),
        "try" => {
            (target.run)(&fs::read(path)?);
            Ok(())
        }
        _ => Err(USAGE.into()),
    }
}

fn unpack(target: Target, folder: &Path) -> Result<(), Box<dyn Error>> {
    fs::create_dir_all(folder)?;
    let inputs = (target.seeds)().into_iter().chain(corpus::load(target.name)?);
    for (at, input) in inputs.enumerate() {
        fs::write(folder.join(format!("unpacked-{at:04}")), input)?;
    }
    Ok(())
}

fn pack(target: Target, folder: &Path) -> Result<(), Box<dyn Error>> {
    let seeds = (target.seeds)();
    let mut inputs = Vec::new();
    for file in fs::read_dir(folder)? {
        let file = file?;
        if file.metadata()?.len() <= MAX_BYTES {
            inputs.push(fs::read(file.path())?);
        }
    }
    // Seeds are replayed in any case.
    inputs.retain(|input| !seeds.contains(input));
    inputs.sort_by_key(Vec::len);
    inputs.truncate(MAX_INPUTS);
    Ok(corpus::save(target.name, inputs)?)
}
