use std::collections::BTreeSet;

use super::document::DocumentError;
use super::sandbox::{SandboxKind, SettingsError};
use super::variables::OTHERS;
use super::*;

const OWN: &str = "unix:///h/daemon.sock";

fn resolve(flags: &[(Key, &str)], environment: &[(&str, &str)], config: &str) -> Settings {
    let flags = flags.iter().map(|(key, value)| (*key, (*value).to_owned())).collect();
    let environment = environment.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    let document = Document::parse(Path::new("config.toml"), config).unwrap();
    Settings::resolve(&flags, &environment, &document, Path::new("/h"))
}

fn config_of(settings: &Settings) -> Result<SandboxConfig, SettingsError> {
    sandbox_config(settings, OWN, |_| false)
}

#[test]
fn every_setting_takes_the_strongest_source_in_every_combination() {
    for row in SETTINGS {
        for sources in 0..8_u8 {
            let (flag, variable, config) = (sources & 1 != 0, sources & 2 != 0, sources & 4 != 0);
            let variable = variable && !row.variables.is_empty();
            // ENV alone would pass; MODE's value is not looked at here.
            let flags = if flag { vec![(row.key, "F")] } else { vec![] };
            let environment = if variable { vec![(row.variables[0], "E")] } else { vec![] };
            let text = if config { format!("{} = \"C\"", row.config) } else { String::new() };
            let settings = resolve(&flags, &environment, &text);
            let found = settings.get(row.key).map(|valued| (valued.value.as_str(), valued.origin));
            let wanted = if flag {
                Some(("F", Origin::Flag))
            } else if variable {
                Some(("E", Origin::Environment(row.variables[0])))
            } else if config {
                Some(("C", Origin::Config))
            } else if row.key == Key::Endpoint {
                Some((OWN, Origin::Default))
            } else {
                row.default.map(|value| (value, Origin::Default))
            };
            assert_eq!(found, wanted, "{} {sources:03b}", row.name);
        }
    }
}

#[test]
fn an_empty_value_counts_as_none() {
    let settings = resolve(&[(Key::Model, "")], &[("STIGMER_LLM_MODEL", "")], "llm_model = \"m\"");
    assert_eq!(settings.get(Key::Model).unwrap().origin, Origin::Config);
}

#[test]
fn the_sandbox_over_every_combination_of_mode_kind_and_level() {
    for mode in [None, Some("local"), Some("cloud"), Some("remote")] {
        for kind in [None, Some("wasi"), Some("filesystem"), Some("daytona"), Some("docker")] {
            for level in [None, Some("full"), Some("base"), Some("half")] {
                let environment: Vec<_> = [mode.map(|mode| ("MODE", mode)), kind.map(|kind| ("SANDBOX_TYPE", kind))]
                    .into_iter()
                    .flatten()
                    .collect();
                let flags: Vec<_> = level.map(|level| (Key::Level, level)).into_iter().collect();
                let found = config_of(&resolve(&flags, &environment, ""));
                let case = format!("{mode:?} {kind:?} {level:?}: {found:?}");
                match (mode, kind, level) {
                    (Some("remote"), ..) => assert!(matches!(found, Err(SettingsError::Mode { .. })), "{case}"),
                    (Some("cloud"), ..) => assert!(matches!(found, Err(SettingsError::Cloud { .. })), "{case}"),
                    (_, Some("daytona"), _) => assert!(matches!(found, Err(SettingsError::Daytona { .. })), "{case}"),
                    (_, Some("docker"), _) => assert!(matches!(found, Err(SettingsError::Sandbox { .. })), "{case}"),
                    (_, Some("filesystem"), Some(_)) => {
                        assert!(matches!(found, Err(SettingsError::LevelWithout { .. })), "{case}");
                    }
                    (_, Some("filesystem"), None) => assert_eq!(found.unwrap().kind, SandboxKind::Filesystem, "{case}"),
                    (_, _, Some("half")) => assert!(matches!(found, Err(SettingsError::Level { .. })), "{case}"),
                    (_, _, level) => {
                        let config = found.unwrap();
                        assert_eq!(config.kind, SandboxKind::Wasi, "{case}");
                        assert_eq!(config.level.map(stigmer_policy::Level::name), level, "{case}");
                    }
                }
            }
        }
    }
}

#[test]
fn env_is_an_alias_that_only_our_words_of_count_and_mode_wins() {
    let mode = |environment: &[(&str, &str)]| resolve(&[], environment, "").value(Key::Mode).unwrap().to_owned();
    assert_eq!(mode(&[("ENV", "cloud")]), "cloud");
    assert_eq!(mode(&[("ENV", "cloud"), ("MODE", "local")]), "local");
    assert_eq!(mode(&[("ENV", "/home/me/.shinit")]), "local");
    assert_eq!(mode(&[("ENV", "production")]), "local");
}

#[test]
fn the_cloud_names_at_once_all_that_is_missing_and_what_is_not_built() {
    let settings = resolve(&[], &[("MODE", "cloud")], "");
    let all = sandbox_config(&settings, OWN, |_| false).unwrap_err().to_string();
    for name in ["STIGMER_BACKEND_ENDPOINT", "DAYTONA_API_KEY", "TEMPORAL_ADDRESS", "REDIS_URL", "daytona"] {
        assert!(all.contains(name), "{all}");
    }
    let settings = resolve(&[], &[("MODE", "cloud"), ("STIGMER_BACKEND_ENDPOINT", "https://b.example")], "");
    let none = sandbox_config(&settings, OWN, |_| true).unwrap_err().to_string();
    assert!(none.contains("missing nothing") && none.contains("not built"), "{none}");
}

#[test]
fn a_foreign_endpoint_is_refused_in_local_mode_and_our_own_is_not() {
    let foreign = resolve(&[], &[("STIGMER_BACKEND_ENDPOINT", "https://b.example")], "");
    assert!(matches!(config_of(&foreign), Err(SettingsError::Endpoint { .. })));
    config_of(&resolve(&[], &[("STIGMER_BACKEND_ENDPOINT", OWN)], "")).unwrap();
}

#[test]
fn the_file_says_what_is_wrong_with_it() {
    let parse = |text: &str| Document::parse(Path::new("config.toml"), text);
    let unknown = parse("sandbox = \"wasi\"").unwrap_err();
    assert!(unknown.to_string().contains("`sandbox`") && unknown.hint().unwrap().contains("sandbox_type"));
    assert!(matches!(parse("llm_model = 5"), Err(DocumentError::Type { .. })));
    assert!(matches!(parse("llm_model"), Err(DocumentError::Syntax { .. })));
    assert!(matches!(parse("secret_command = []"), Err(DocumentError::Type { .. })));
    assert_eq!(parse("secret_command = [\"pass\", \"show\"]").unwrap().secret_command.unwrap(), ["pass", "show"]);
}

#[test]
fn names_in_the_table_are_unique_and_every_key_has_its_row() {
    let mut seen = BTreeSet::new();
    let variables = SETTINGS.iter().flat_map(|row| row.variables.iter().copied());
    for name in variables.chain(OTHERS.iter().map(|(name, ..)| *name)).chain(SETTINGS.iter().map(|row| row.config)) {
        assert!(seen.insert(name), "{name}");
    }
    for row in SETTINGS {
        assert_eq!(variables::row(row.key), row);
        assert!(!row.meaning.is_empty());
    }
}
