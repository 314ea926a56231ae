//! The configuration as an operator meets it: files, environment variables, messages, and the committed
//! example file.

#![allow(clippy::expect_used, reason = "a failed expectation is a failed test")]

use std::{
    io::Write,
    path::Path,
    process::{Command, Output},
};

use conduit::config::{
    AddressRange, Config, ConfigError, Durability, Input, ListenAddress, LogFormat, RateLimit, Setting,
    example_toml,
};
use tempfile::NamedTempFile;

/// A configuration file with this text.
fn file(text: &str) -> NamedTempFile {
    let mut file = NamedTempFile::new().expect("a temporary file");
    file.write_all(text.as_bytes()).expect("the text is written");
    file
}

fn environment(variables: &[(&str, &str)]) -> Vec<(String, String)> {
    variables.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

fn load(text: &str, variables: &[(&str, &str)]) -> Result<Config, ConfigError> {
    Config::load(Some(file(text).path()), environment(variables))
}

/// The problems of a file, as `line: message`.
fn problems(text: &str, variables: &[(&str, &str)]) -> Vec<String> {
    let file = file(text);
    match Config::load(Some(file.path()), environment(variables)) {
        Err(ConfigError::Invalid(problems)) => {
            let name = format!("{}:", file.path().display());
            problems.iter().map(|problem| problem.to_string().replace(&name, "")).collect()
        }
        other => panic!("problems were expected, not {other:?}"),
    }
}

/// The only problem of a file.
fn problem(text: &str) -> String {
    let mut problems = problems(text, &[]);
    assert_eq!(problems.len(), 1, "{problems:?}");
    problems.remove(0)
}

#[test]
fn the_name_alone_gives_the_defaults() {
    let mut config = load("server_name = \"example.org\"", &[]).unwrap();
    // It follows the file's own place.
    assert!(config.registrations_dir.take().unwrap().ends_with("registrations"));
    assert_eq!(config, Config::new("example.org".try_into().unwrap(), "/var/lib/conduit".into()));
    assert!(!config.allow_registration);
    assert!(config.rate_limits.enabled);
    assert_eq!(config.durability, Durability::PowerLoss);
    assert_eq!(config.default_room_version.as_str(), "12");
    assert_eq!(config.listen, [ListenAddress::Tcp(([127, 0, 0, 1], 6167).into())]);
}

#[test]
fn a_file_sets_options_of_every_kind() {
    let text = r#"
        server_name = "example.org:8448"
        listen = ["[::]:80", "unix:/run/conduit.sock"]
        memory_mb = 64
        durability = "process"
        default_room_version = "10"
        registration_token = "abc.DEF_1~-"
        trusted_proxies = "192.0.2.0/24"
        unix_socket_mode = "600"
        well_known.client = "https://matrix.example.org/"
        rate_limits.message = { per_second = 2, burst = 3 }
        [log]
        format = "json"
        filter = "warn,conduit::rooms=trace"
    "#;
    let config = load(text, &[]).unwrap();
    assert_eq!(config.server_name, "example.org:8448");
    assert_eq!(config.listen.len(), 2);
    assert_eq!(config.listen[1], ListenAddress::Unix("/run/conduit.sock".into()));
    assert_eq!(config.memory_budget_bytes(), 64 * 1024 * 1024);
    assert_eq!(config.durability, Durability::Process);
    assert_eq!(config.default_room_version.as_str(), "10");
    assert_eq!(config.registration_token.unwrap().expose(), "abc.DEF_1~-");
    assert_eq!(config.trusted_proxies.len(), 1);
    assert_eq!(config.unix_socket_mode.bits(), 0o600);
    assert_eq!(config.well_known.client.unwrap().as_str(), "https://matrix.example.org");
    assert_eq!(config.rate_limits.message, RateLimit::new(2.0, 3));
    assert_eq!(config.log.format, LogFormat::Json);
}

#[test]
fn the_environment_wins_over_the_file() {
    let text = "server_name = \"example.org\"\nallow_registration = false\n[rate_limits.login]\nburst = 3";
    let variables = [
        ("CONDUIT_ALLOW_REGISTRATION", "true"),
        ("CONDUIT_LISTEN", "127.0.0.1:1, unix:/run/c.sock"),
        // A token of digits only is a text all the same.
        ("CONDUIT_REGISTRATION_TOKEN", "12345"),
        ("CONDUIT_RATE_LIMITS__LOGIN__BURST", "7"),
        ("CONDUIT_RATE_LIMITS__LOGIN__PER_SECOND", "0.5"),
        ("CONDUIT_MEMORY_MB", "32"),
        ("HOME", "/irrelevant"),
    ];
    let config = load(text, &variables).unwrap();
    assert!(config.allow_registration);
    assert_eq!(config.listen.len(), 2);
    assert_eq!(config.registration_token.unwrap().expose(), "12345");
    assert_eq!(config.rate_limits.login, RateLimit::new(0.5, 7));
    assert_eq!(config.memory_mb, Some(32));
}

#[test]
fn the_environment_alone_is_enough() {
    let config = Config::load(None, environment(&[("CONDUIT_SERVER_NAME", "example.org")])).unwrap();
    assert_eq!(config.server_name, "example.org");
}

#[test]
fn variables_that_orchestrators_set_are_left_alone() {
    let variables = [
        ("CONDUIT_CONFIG", "/etc/conduit.toml"),
        ("CONDUIT_PORT", "tcp://10.0.0.1:6167"),
        ("CONDUIT_PORT_6167_TCP_ADDR", "10.0.0.1"),
        ("CONDUIT_SERVICE_HOST", "10.0.0.1"),
    ];
    load("server_name = \"example.org\"", &variables).unwrap();
}

#[test]
fn an_unknown_key_names_its_line_and_the_nearest_key() {
    let text = "server_name = \"example.org\"\n\nalow_registration = true\n";
    assert_eq!(
        problem(text),
        "3: there is no option `alow_registration`; the nearest is `allow_registration`"
    );
}

#[test]
fn an_unknown_key_of_another_section_finds_its_namesake() {
    let text = "server_name = \"example.org\"\nfilter = \"info\"\n";
    assert_eq!(problem(text), "2: there is no option `filter`; the nearest is `log.filter`");
    let text = "server_name = \"example.org\"\n[rate_limit]\nenabled = true\n";
    assert_eq!(problem(text), "2: there is no option `rate_limit`; the nearest is `rate_limits`");
    let text = "server_name = \"example.org\"\n[rate_limits.login]\nburts = 1\n";
    let expected =
        "3: there is no option `rate_limits.login.burts`; the nearest is `rate_limits.login.burst`";
    assert_eq!(problem(text), expected);
}

#[test]
fn an_unknown_variable_is_an_error_too() {
    let problems = problems("server_name = \"example.org\"", &[("CONDUIT_LISTN", "127.0.0.1:1")]);
    let expected = "environment variable CONDUIT_LISTN: there is no option `listn`; the nearest is `listen`";
    assert_eq!(problems, [expected]);
}

#[test]
fn a_wrong_value_names_what_is_allowed() {
    let of = |line: &str| problem(&format!("server_name = \"example.org\"\n{line}\n"));
    assert_eq!(of("memory_mb = 3"), "2: `memory_mb` is 3; allowed is a whole number from 16 to 65536");
    assert_eq!(of("memory_mb = -1"), "2: `memory_mb` is -1; allowed is a whole number from 16 to 65536");
    assert_eq!(
        of("allow_registration = \"yes\""),
        "2: `allow_registration` is \"yes\"; allowed is true or false"
    );
    assert_eq!(
        of("durability = \"none\""),
        "2: `durability` is \"none\"; allowed is \"power-loss\" or \"process\"",
    );
    assert_eq!(
        of("default_room_version = \"13\""),
        "2: `default_room_version` is \"13\"; allowed is a stable room version, \"1\" to \"12\"",
    );
    for line in [
        "listen = \"example.org\"",
        "listen = [\"127.0.0.1\"]",
        "listen = []",
        "trusted_proxies = [\"10.0.0.0/33\"]",
        "unix_socket_mode = \"888\"",
        "well_known.client = \"matrix.example.org\"",
        "log.filter = \"verbose\"",
        "rate_limits.login.per_second = nan",
        "max_request_bytes = 1",
        "data_dir = \"\"",
        "log = \"info\"",
    ] {
        let message = of(line);
        assert!(message.contains("allowed is") || message.contains("is a section"), "{line}: {message}");
    }
}

#[test]
fn a_secret_is_never_repeated() {
    let text = "server_name = \"example.org\"\nregistration_token = \"hunter2 with spaces\"\n";
    let message = problem(text);
    assert!(message.contains("`registration_token`") && !message.contains("hunter2"), "{message}");
    let config = load("server_name = \"a.b\"\nregistration_shared_secret = \"hunter2\"", &[]).unwrap();
    assert!(!format!("{config:?}").contains("hunter2"));
}

#[test]
fn all_problems_are_reported_in_the_order_of_the_file() {
    let problems = problems("zzz = 1\nmemory_mb = true\nserver_name = \"!\"\n", &[("CONDUIT_NO", "1")]);
    let places: Vec<_> = problems.iter().map(|line| line.split(':').next().unwrap()).collect();
    assert_eq!(places, ["1", "2", "3", "environment variable CONDUIT_NO"]);
}

#[test]
fn text_that_is_not_toml_names_the_line() {
    assert!(problem("server_name = \"example.org\"\nlisten = [\n").contains("this is not TOML"));
    assert!(problem("a = 1\na = 2\n").starts_with("2: "));
}

#[test]
fn the_server_name_is_required() {
    assert!(problem("memory_mb = 64\n").contains("`server_name` is missing"));
}

#[test]
fn a_missing_file_is_named() {
    let error = Config::load(Some(Path::new("/nowhere/conduit.toml")), []).unwrap_err();
    assert!(error.to_string().contains("/nowhere/conduit.toml"), "{error}");
}

#[test]
fn address_ranges_contain_what_they_should() {
    let ranges =
        load("server_name = \"a.b\"\ntrusted_proxies = [\"10.1.0.0/16\", \"fd00::/8\", \"::/0\"]", &[])
            .unwrap()
            .trusted_proxies;
    let contains = |index: usize, address: &str| ranges[index].contains(address.parse().unwrap());
    assert!(contains(0, "10.1.2.3") && contains(0, "::ffff:10.1.2.3"));
    assert!(!contains(0, "10.2.0.0") && !contains(0, "fd00::1"));
    assert!(contains(1, "fd12::1") && !contains(1, "fe80::1"));
    assert!(contains(2, "2001:db8::1") && !contains(2, "192.0.2.1"));
    let loopback = AddressRange::loopback();
    assert!(loopback.iter().any(|range| range.contains("127.1.2.3".parse().unwrap())));
}

#[test]
fn the_committed_example_is_the_generated_one() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("conduit-example.toml");
    let committed = std::fs::read_to_string(&path).expect("conduit-example.toml is there");
    assert_eq!(
        committed,
        example_toml(),
        "write it anew: cargo run -- example-config > conduit-example.toml",
    );
}

#[test]
fn the_example_is_a_configuration_with_all_defaults() {
    let mut config = load(&example_toml(), &[]).unwrap();
    config.registrations_dir = None;
    assert_eq!(config, Config::new("example.org".try_into().unwrap(), "/var/lib/conduit".into()));
}

#[test]
fn the_example_with_every_line_active_is_right() {
    let commented = |line: &str| line.starts_with('#') && !line.starts_with("# ") && line.len() > 1;
    let active: Vec<_> = example_toml()
        .lines()
        .map(|line| if commented(line) { line[1..].to_owned() } else { line.to_owned() })
        .collect();
    load(&active.join("\n"), &[]).unwrap();
}

#[test]
fn every_option_is_explained_and_its_example_is_allowed() {
    for doc in Config::default().describe_options() {
        assert!(!doc.doc.is_empty(), "{} has no documentation", doc.path);
        let Some(example) = doc.example else { continue };
        let text = format!("x = {example}");
        let table = toml::de::DeTable::parse(&text).expect("an example is TOML");
        let value = table.get_ref().values().next().expect("there is one value");
        let path: Vec<_> = doc.path.split('.').collect();
        let result = Config::default().set(&path, Input::Toml(value.get_ref()), None);
        assert_eq!(result, Ok(()), "{}", doc.path);
    }
}

/// Runs the program to its end, in no environment but these variables.
fn run(arguments: &[&str], variables: &[(&str, &str)]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_conduit"));
    command.env_clear().envs(variables.iter().copied()).args(arguments).output().expect("the program runs")
}

#[test]
fn the_program_prints_the_example() {
    let output = run(&["example-config"], &[]);
    assert!(output.status.success());
    assert_eq!(String::from_utf8_lossy(&output.stdout), example_toml());
}

#[test]
fn the_program_ends_with_a_message_where_the_configuration_is_wrong() {
    let wrong = file("server_name = \"example.org\"\nlisten = [\"nowhere\"]\n");
    let path = wrong.path().to_str().expect("a path of text");
    for (arguments, variables) in [(vec!["--config", path], vec![]), (vec![], vec![("CONDUIT_CONFIG", path)])]
    {
        let output = run(&arguments, &variables);
        let message = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(1), "{message}");
        assert!(message.contains(&format!("{path}:2: `listen` is")), "{message}");
    }
}

#[test]
fn a_server_without_configuration_and_home_says_what_to_do() {
    let output = run(&[], &[]);
    assert_eq!(output.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&output.stderr).contains("--config FILE"));
}
