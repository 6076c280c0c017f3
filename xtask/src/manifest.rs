//! Reads the little of TOML that this workspace's manifests are written in.

/// The entries of a `Cargo.toml`, in order.
#[derive(Debug, Default)]
pub struct Manifest {
    /// One per `key = value`, with the section it stands in.
    entries: Vec<Entry>,
}

#[derive(Debug)]
struct Entry {
    /// The header above it, without brackets; empty at the top.
    section: String,
    /// The part before `=`, dots and all.
    key: String,
    /// The part after `=`, on one line, without comments.
    value: String,
}

/// A dependency as some section of a manifest states it.
#[derive(Debug, PartialEq, Eq)]
pub struct Dependency {
    /// The package's name (not the local one, if it was renamed).
    pub package: String,
    /// Is it one of `[dev-dependencies]`?
    pub dev: bool,
    /// Does it take its version from `[workspace.dependencies]`?
    pub inherited: bool,
}

impl Manifest {
    /// Reads a manifest: sections, dotted keys, strings, arrays (also over several lines), inline tables.
    pub fn parse(text: &str) -> Manifest {
        let mut manifest = Manifest::default();
        let mut section = String::new();
        let mut lines = text.lines().map(without_comment);
        while let Some(line) = lines.next() {
            let line = line.trim();
            if let Some(header) = line.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
                section = header.trim_matches(['[', ']']).replace('"', "");
            } else if let Some((key, value)) = line.split_once('=') {
                let mut value = value.trim().to_string();
                while brackets(&value) > 0 {
                    let Some(next) = lines.next() else { break };
                    value.push_str(next.trim());
                }
                let key = key.trim().replace('"', "");
                manifest.entries.push(Entry { section: section.clone(), key, value });
            }
        }
        manifest
    }

    /// The value as it is written.
    pub fn raw(&self, section: &str, key: &str) -> Option<&str> {
        let entry = self.entries.iter().find(|entry| entry.section == section && entry.key == key)?;
        Some(&entry.value)
    }

    /// The value of a key that holds one string.
    pub fn text(&self, section: &str, key: &str) -> Option<String> {
        strings(self.raw(section, key)?).into_iter().next()
    }

    /// The strings of a key that holds an array; empty if there is no such key.
    pub fn list(&self, section: &str, key: &str) -> Vec<String> {
        self.raw(section, key).map(strings).unwrap_or_default()
    }

    /// The keys of a section, in order.
    pub fn keys(&self, section: &str) -> Vec<&str> {
        self.entries.iter().filter(|entry| entry.section == section).map(|entry| entry.key.as_str()).collect()
    }

    /// The package's own features, `default` left out.
    pub fn features(&self) -> Vec<&str> {
        self.keys("features").into_iter().filter(|key| *key != "default").collect()
    }

    /// All dependencies of a package: ordinary ones, for tests, for build scripts, for single targets.
    pub fn dependencies(&self) -> Vec<Dependency> {
        let mut found = Vec::new();
        for entry in &self.entries {
            if let Some(dependency) = entry.dependency()
                && !found.contains(&dependency)
            {
                found.push(dependency);
            }
        }
        found
    }
}

impl Entry {
    /// This entry as a dependency, if it stands in a section of those.
    fn dependency(&self) -> Option<Dependency> {
        let mut section = self.section.as_str();
        // `[target.'cfg(..)'.dependencies]`: the target does not matter here.
        if section.starts_with("target.") {
            section = &section[section.rfind('.')? + 1..];
        }
        let dev = match section {
            "dependencies" | "build-dependencies" => false,
            "dev-dependencies" => true,
            _ => return None,
        };
        let (name, dotted) = self.key.split_once('.').unwrap_or((&self.key, ""));
        let renamed = self.value.split_once("package").and_then(|(_, rest)| strings(rest).into_iter().next());
        let compact: String = self.value.split_whitespace().collect();
        let inherited = dotted == "workspace" || compact.contains("workspace=true");
        Some(Dependency { package: renamed.unwrap_or_else(|| name.to_string()), dev, inherited })
    }
}

/// The quoted strings in a value.
fn strings(value: &str) -> Vec<String> {
    value.split('"').skip(1).step_by(2).map(str::to_string).collect()
}

/// A line up to its comment.
fn without_comment(line: &str) -> &str {
    let mut quoted = false;
    for (at, letter) in line.char_indices() {
        match letter {
            '"' => quoted = !quoted,
            '#' if !quoted => return &line[..at],
            _ => {}
        }
    }
    line
}

/// How many brackets of an array or a table are still open.
fn brackets(value: &str) -> i32 {
    let outside = value.split('"').step_by(2).flat_map(str::chars);
    outside.map(|letter| i32::from("[{".contains(letter)) - i32::from("]}".contains(letter))).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = r#"
[package]
name = "a-b" # the "name"
publish = false

[features]
default = ["x"]
x = [
    "dep:hyper", # why
    "y#z",
]

[dependencies]
plain.workspace = true
other = { package = "real", version = "1" }
table = { workspace = true, optional = true }

[target.'cfg(unix)'.dependencies]
libc = "0.2"

[dev-dependencies]
helper = "1"
"#;

    #[test]
    fn values() {
        let manifest = Manifest::parse(TEXT);
        assert_eq!(manifest.text("package", "name").as_deref(), Some("a-b"));
        assert_eq!(manifest.raw("package", "publish"), Some("false"));
        assert_eq!(manifest.list("features", "x"), ["dep:hyper", "y#z"]);
        assert_eq!(manifest.features(), ["x"]);
    }

    #[test]
    fn dependencies() {
        let found = Manifest::parse(TEXT).dependencies();
        let found: Vec<_> = found.iter().map(|d| (d.package.as_str(), d.dev, d.inherited)).collect();
        let expected = [
            ("plain", false, true),
            ("real", false, false),
            ("table", false, true),
            ("libc", false, false),
            ("helper", true, false),
        ];
        assert_eq!(found, expected);
    }
}
