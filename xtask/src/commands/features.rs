//! `cargo xtask features`: every combination of features compiles, and the bare facade stays small.

use crate::cargo::Cargo;
use crate::failure::{Failure, Outcome};
use crate::workspace::{self, Member};

/// Crates that nobody gets who turned the default features off, by the start of their names.
const NOT_IN_THE_BARE_FACADE: [&str; 10] =
    ["hyper", "http", "serde", "rustls", "openssl", "native-tls", "ring", "aws-lc", "tokio", "h2"];

/// The upper bound of combinations per crate, beyond which checking all of them would take too long.
const MOST_COMBINATIONS: usize = 256;

pub(super) fn run() -> Outcome {
    let mut checked = 0;
    for member in workspace::published() {
        checked += check_combinations(&member)?;
    }
    check_bare_facade()?;
    println!(
        "\nfeatures: {checked} combinations compile; the bare facade pulls none of {NOT_IN_THE_BARE_FACADE:?}"
    );
    Ok(())
}

/// Checks one crate by itself, so that no other member's choice of features hides what it lacks.
fn check_combinations(member: &Member) -> Outcome<usize> {
    let features = member.manifest.features();
    let sets = powerset(&features);
    if sets.len() > MOST_COMBINATIONS {
        return Err(Failure::new(format!(
            "{} has {} features, which is too many to try all combinations; group some in xtask/src/commands/features.rs",
            member.name(),
            features.len()
        )));
    }
    for set in &sets {
        let mut cargo =
            Cargo::new("check --quiet").packages([member.name().as_str()]).args("--no-default-features");
        if !set.is_empty() {
            cargo = cargo.args("--features").args(&set.join(","));
        }
        // A crate without some feature often has an import too many: that would be noise to the next who builds it.
        cargo.env("RUSTFLAGS", "-D warnings").target_dir("features").run()?;
    }
    Ok(sets.len())
}

/// All subsets of these features, the empty one first.
pub fn powerset<'a>(features: &[&'a str]) -> Vec<Vec<&'a str>> {
    let mut sets = vec![Vec::new()];
    for feature in features {
        let with: Vec<_> = sets.iter().map(|set| [set.as_slice(), &[*feature]].concat()).collect();
        sets.extend(with);
    }
    sets
}

fn check_bare_facade() -> Outcome {
    let tree =
        Cargo::new("tree --locked -p kumihimo -e normal --no-default-features --prefix none").output()?;
    let mut names = tree.lines().filter_map(|line| line.split_whitespace().next());
    let unwanted = names.find(|name| NOT_IN_THE_BARE_FACADE.iter().any(|prefix| name.starts_with(prefix)));
    match unwanted {
        None => Ok(()),
        Some(name) => Err(Failure::new(format!(
            "kumihimo without its default features pulls {name}; put it behind a feature \
             (`cargo tree -p kumihimo -e normal --no-default-features -i {name}` says who asks for it)"
        ))),
    }
}

#[cfg(test)]
mod tests {
    use super::powerset;

    #[test]
    fn subsets() {
        assert_eq!(powerset(&[]), [[""; 0]]);
        let expected: [&[&str]; 4] = [&[], &["a"], &["b"], &["a", "b"]];
        assert_eq!(powerset(&["a", "b"]), expected);
    }
}
