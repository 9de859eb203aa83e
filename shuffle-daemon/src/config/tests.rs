//! Sources, precedence, and messages.

use super::*;

fn parse(args: &[&str]) -> Result<Config, Error> {
    Config::from_args(args.iter().copied())
}

fn message(args: &[&str]) -> String {
    parse(args).unwrap_err().to_string()
}

#[test]
fn defaults_are_sparks() {
    let config = parse(&["--root", "/data"]).unwrap();
    assert_eq!(config.listen, "0.0.0.0:7337".parse().unwrap());
    assert_eq!(config.index_cache_bytes, 100 << 20);
    assert_eq!(config.connection_timeout, Duration::from_secs(120));
    assert_eq!(config.chunks_in_flight_max, i64::MAX as u64);
    assert!(config.workers >= 1 && config.ignored.is_empty());
}

#[test]
fn flags_beat_files_beat_defaults() {
    let dir = tempfile::tempdir().unwrap();
    let toml = dir.path().join("daemon.toml");
    let properties = dir.path().join("spark-defaults.conf");
    std::fs::write(
        &properties,
        "# comment\nspark.shuffle.service.port   7447\nspark.network.timeout=90s\nspark.executor.memory 4g\nother x\n",
    )
    .unwrap();
    std::fs::write(
        &toml,
        format!(
            "root = ['/a', '/b']\nproperties_file = '{}'\nlog_format = 'json'\n[spark]\n'spark.shuffle.service.index.cache.size' = '1g'\n[limits]\nconnections = 7\nframe_bytes = '1m'\n",
            properties.display()
        ),
    )
    .unwrap();
    let file = toml.to_str().unwrap();
    let config = parse(&["--config", file]).unwrap();
    assert_eq!(config.listen.port(), 7447);
    assert_eq!(config.connection_timeout, Duration::from_secs(90));
    assert_eq!(config.index_cache_bytes, 1 << 30);
    assert_eq!(
        (config.limits.connections, config.limits.frame_bytes),
        (7, 1 << 20)
    );
    assert_eq!(config.roots, [PathBuf::from("/a"), "/b".into()]);
    assert_eq!(config.ignored, ["spark.executor.memory"]);
    let config = parse(&[
        "--config",
        file,
        "--root",
        "/c",
        "--conf",
        "spark.shuffle.service.port=0",
        "--limit",
        "connections=8",
        "--conf",
        "spark.shuffle.io.connectionTimeout=3s",
    ])
    .unwrap();
    assert_eq!(config.listen.port(), 0);
    assert_eq!(config.roots, [PathBuf::from("/c")]);
    assert_eq!(config.limits.connections, 8);
    assert_eq!(config.connection_timeout, Duration::from_secs(3));
}

#[test]
fn roots_may_come_from_spark() {
    let config = parse(&["--conf", "spark.local.dir=/x, /y"]).unwrap();
    assert_eq!(config.roots, [PathBuf::from("/x"), "/y".into()]);
    assert!(message(&[]).contains("--root"));
}

#[test]
fn errors_name_key_value_and_what_is_allowed() {
    let with = |conf: &str| message(&["--root", "/d", "--conf", conf]);
    for (conf, parts) in [
        (
            "spark.shuffle.service.port=70000",
            ["spark.shuffle.service.port", "70000", "65535"],
        ),
        (
            "spark.shuffle.service.index.cache.size=1.5g",
            ["index.cache.size", "1.5g", "100m"],
        ),
        (
            "spark.shuffle.io.connectionTimeout=soon",
            ["connectionTimeout", "soon", "120s"],
        ),
        (
            "spark.shuffle.io.enableTcpKeepAlive=yes",
            ["enableTcpKeepAlive", "yes", "true or false"],
        ),
        (
            "spark.shuffle.maxChunksBeingTransferred=-1",
            ["maxChunksBeingTransferred", "-1", "at least 0"],
        ),
        ("novalue", ["--conf", "novalue", "KEY=VALUE"]),
        ("shuffle.port=1", ["shuffle.port", "spark.", "no setting"]),
    ] {
        let text = with(conf);
        assert!(
            parts.iter().all(|part| text.contains(part)),
            "{conf}: {text}"
        );
    }
    let text = message(&["--root", "/d", "--limit", "conections=3"]);
    assert!(
        text.contains("conections") && text.contains("connections, "),
        "{text}"
    );
    let text = message(&["--root", "/d", "--limit", "connections=0"]);
    assert!(
        text.contains("\"0\"") && text.contains("at least 1"),
        "{text}"
    );
    let text = message(&["--root", "/d", "--config", "/no/such.toml"]);
    assert!(text.contains("--config /no/such.toml"), "{text}");
}

#[test]
fn sizes_and_times_are_sparks() {
    for (text, bytes) in [
        ("5", 5),
        ("64k", 65_536),
        ("1MiB", 1 << 20),
        ("2gb", 2 << 30),
        (" 7b ", 7),
    ] {
        assert_eq!(units::parse_bytes(text, 1), Some(bytes), "{text}");
    }
    for text in ["", "k", "1.5m", "-1", "1x", "99999999p"] {
        assert_eq!(units::parse_bytes(text, 1), None, "{text}");
    }
    for (text, millis) in [
        ("2", 2_000),
        ("500ms", 500),
        ("2min", 120_000),
        ("1h", 3_600_000),
        ("3000us", 3),
    ] {
        assert_eq!(
            units::duration("k", text, units::SECOND).unwrap(),
            Duration::from_millis(millis),
            "{text}"
        );
    }
}

#[test]
fn the_help_lists_every_limit_with_its_default() {
    let help = <cli::Flags as clap::CommandFactory>::command()
        .render_long_help()
        .to_string();
    let words: String = help.split_whitespace().collect::<Vec<_>>().join(" ");
    let text = format!("{:?}", Limits::default());
    for pair in text
        .trim_start_matches("Limits { ")
        .trim_end_matches(" }")
        .split(", ")
    {
        let (name, value) = pair.split_once(": ").unwrap();
        let value: usize = value.parse().unwrap();
        let shown = [(20, 'm'), (10, 'k')]
            .into_iter()
            .find(|&(shift, _)| {
                name.contains("bytes") | name.contains("memory")
                    && value.is_multiple_of(1usize << shift)
            })
            .map_or_else(
                || value.to_string(),
                |(shift, unit)| format!("{}{unit}", value >> shift),
            );
        assert!(
            words.contains(&format!("{name} ({shown})")),
            "{name} ({shown}) is not in --help"
        );
    }
}

#[test]
fn the_control_plane_over_tcp_takes_all_or_nothing() {
    let root = ["--root", "/data"];
    assert!(parse(&root).unwrap().control.is_none());
    let all = [
        "--control-listen",
        "127.0.0.1:7339",
        "--control-tls-cert",
        "/c",
        "--control-tls-key",
        "/k",
        "--control-client-ca",
        "/a",
    ];
    let control = parse(&[&root[..], &all].concat()).unwrap().control.unwrap();
    assert!(control.socket.is_none());
    assert_eq!(control.tcp.unwrap().client_ca, PathBuf::from("/a"));
    for (args, missing) in [
        (
            &all[..2],
            "--control-tls-cert, --control-tls-key, --control-client-ca is missing",
        ),
        (&all[..6], "--control-client-ca is missing"),
        (&all[2..], "--control-listen is missing"),
    ] {
        let text = message(&[&root[..], args].concat());
        assert!(text.contains(missing), "{text}");
    }
}

#[test]
fn time_limits_of_namespaces_come_from_flags_before_the_file() {
    let dir = tempfile::tempdir().unwrap();
    let toml = dir.path().join("daemon.toml");
    let table = "[kubernetes.outside_driver_ttl_of]\nbatch = '2d'\nnight = '1h'\n";
    std::fs::write(&toml, table).unwrap();
    let usual = ["--root", "/data", "--kubernetes", "on", "--node-name", "n"];
    let times = |more: &[&str]| {
        let config = parse(&[&usual, more].concat())?;
        Ok::<_, Error>(config.kubernetes.unwrap().outside_driver_ttl_of)
    };
    let hours = |hours: u64| Duration::from_secs(hours * 3600);
    let file = ["--config", toml.to_str().unwrap()];
    let flag = "--outside-driver-ttl-of=batch=1d,adhoc=30min";
    assert_eq!(
        times(&[&file[..], &[flag]].concat()).unwrap(),
        BTreeMap::from([
            ("batch".into(), hours(24)),
            ("night".into(), hours(1)),
            ("adhoc".into(), Duration::from_secs(1800)),
        ])
    );
    for wrong in ["batch", "=1d", "batch=soon"] {
        let flag = format!("--outside-driver-ttl-of={wrong}");
        let text = times(&[&flag]).unwrap_err().to_string();
        assert!(text.contains("--outside-driver-ttl-of"), "{text}");
    }
}
