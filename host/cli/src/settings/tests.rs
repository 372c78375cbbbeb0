use std::collections::BTreeSet;

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

/// What each of the sources says; `None`: the variable is not set.
#[derive(Debug, Clone, Copy)]
struct Case {
    mode: Option<&'static str>,
    env: Option<&'static str>,
    kind: Option<&'static str>,
    root: Option<&'static str>,
    endpoint: Option<&'static str>,
    level: Option<&'static str>,
}

const FOREIGN: &str = "https://b.example";

fn every_case() -> impl Iterator<Item = Case> {
    let modes = [None, Some(""), Some("local"), Some("cloud"), Some("remote")];
    let envs = [None, Some(""), Some("local"), Some("cloud"), Some("production")];
    let kinds = [None, Some(""), Some("wasi"), Some("filesystem"), Some("daytona"), Some("docker")];
    let roots = [None, Some(""), Some("/w")];
    let endpoints = [None, Some(""), Some(OWN), Some(FOREIGN)];
    let levels = [None, Some("full"), Some("base"), Some("half")];
    modes.into_iter().flat_map(move |mode| {
        envs.into_iter().flat_map(move |env| {
            kinds.into_iter().flat_map(move |kind| {
                roots.into_iter().flat_map(move |root| {
                    endpoints.into_iter().flat_map(move |endpoint| {
                        levels.into_iter().map(move |level| Case { mode, env, kind, root, endpoint, level })
                    })
                })
            })
        })
    })
}

/// What comes of a case, told without looking at how it is computed: kind, level and root, or which setting is refused.
fn wanted(case: Case) -> Result<(SandboxKind, Option<&'static str>, &'static str), &'static str> {
    let given = |text: Option<&'static str>| text.filter(|text| !text.is_empty());
    match (given(case.mode), given(case.env)) {
        (Some("cloud"), _) | (None, Some("cloud")) => return Err("cloud"),
        (Some("remote"), _) => return Err("mode"),
        _ => {}
    }
    if case.endpoint == Some(FOREIGN) {
        return Err("endpoint");
    }
    let kind = match given(case.kind) {
        None | Some("wasi") => SandboxKind::Wasi,
        Some("filesystem") => SandboxKind::Filesystem,
        Some("daytona") => return Err("daytona"),
        Some(_) => return Err("kind"),
    };
    match (kind, case.level) {
        (SandboxKind::Filesystem, Some(_)) => Err("level without"),
        (_, Some("half")) => Err("level"),
        (kind, level) => Ok((kind, level, given(case.root).unwrap_or("."))),
    }
}

#[test]
fn the_sandbox_over_every_combination_of_mode_env_kind_root_endpoint_and_level() {
    let mut count = 0;
    for case in every_case() {
        let variables = [
            ("MODE", case.mode),
            ("ENV", case.env),
            ("SANDBOX_TYPE", case.kind),
            ("SANDBOX_ROOT_DIR", case.root),
            ("STIGMER_BACKEND_ENDPOINT", case.endpoint),
        ];
        let environment: Vec<_> = variables.into_iter().filter_map(|(name, value)| Some((name, value?))).collect();
        let flags: Vec<_> = case.level.map(|level| (Key::Level, level)).into_iter().collect();
        let found = config_of(&resolve(&flags, &environment, ""));
        let found = match &found {
            Ok(config) => {
                Ok((config.kind, config.level.map(stigmer_policy::Level::name), config.root.to_str().unwrap()))
            }
            Err(SettingsError::Cloud { missing, .. }) => {
                // Foreign to this machine is what the cloud needs.
                assert_eq!(missing.contains(&"STIGMER_BACKEND_ENDPOINT"), case.endpoint != Some(FOREIGN), "{case:?}");
                Err("cloud")
            }
            Err(SettingsError::Mode { .. }) => Err("mode"),
            Err(SettingsError::Endpoint { .. }) => Err("endpoint"),
            Err(SettingsError::Daytona { .. }) => Err("daytona"),
            Err(SettingsError::Sandbox { .. }) => Err("kind"),
            Err(SettingsError::Level { .. }) => Err("level"),
            Err(SettingsError::LevelWithout { .. }) => Err("level without"),
        };
        assert_eq!(found, wanted(case), "{case:?}");
        count += 1;
    }
    assert_eq!(count, 5 * 5 * 6 * 3 * 4 * 4);
}

#[test]
fn the_levels_that_are_tried_are_the_one_that_is_named_or_the_strongest_first() {
    let levels = |flags: &[(Key, &str)]| config_of(&resolve(flags, &[], "")).unwrap().levels().to_vec();
    assert_eq!(levels(&[]), [stigmer_policy::Level::Full, stigmer_policy::Level::Base]);
    assert_eq!(levels(&[(Key::Level, "full")]), [stigmer_policy::Level::Full]);
    assert_eq!(levels(&[(Key::Level, "base")]), [stigmer_policy::Level::Base]);
    assert_eq!(levels(&[(Key::Sandbox, "filesystem")]), [stigmer_policy::Level::Filesystem]);
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
    for (text, says) in [
        ("sandbox = \"wasi\"", "`config.toml`, line 1: unknown key `sandbox`"),
        ("mode = \"local\"\n\nmodel = 1\nlevels = 2", "`config.toml`, line 3: unknown key `model`"),
        ("mode = \"local\"\nllm_model = 5", "`config.toml`, line 2: `llm_model` must be a text"),
        ("secret_command = []", "`config.toml`, line 1: `secret_command` must be a list of texts"),
        ("secret_command = [1]", "`config.toml`, line 1: `secret_command` must be a list of texts"),
    ] {
        assert_eq!(parse(text).unwrap_err().to_string(), says);
    }
    let syntax = parse("mode = \"local\"\nllm_model").unwrap_err().to_string();
    assert!(syntax.starts_with("`config.toml`, line 2: no TOML: "), "{syntax}");
    assert_eq!(parse("secret_command = [\"pass\", \"show\"]").unwrap().secret_command.unwrap(), ["pass", "show"]);
}

#[test]
fn an_unknown_key_names_the_nearest_that_is_known() {
    for (key, nearest) in [
        ("sandbox", Some("sandbox_type")),
        ("SANDBOX_TYPE", Some("sandbox_type")),
        ("sandbox-root-dir", Some("sandbox_root_dir")),
        ("llm_modell", Some("llm_model")),
        ("model", Some("llm_model")),
        ("provider", Some("llm_provider")),
        ("ollama_url", Some("ollama_base_url")),
        ("secret_comand", Some("secret_command")),
        ("mod", Some("mode")),
        ("colour", None),
        ("x", None),
    ] {
        let hint = Document::parse(Path::new("config.toml"), &format!("{key} = 1")).unwrap_err().hint().unwrap();
        match nearest {
            Some(nearest) => assert!(hint.starts_with(&format!("did you mean `{nearest}`? known keys: ")), "{hint}"),
            None => assert!(hint.starts_with("known keys: mode, "), "{key}: {hint}"),
        }
    }
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
