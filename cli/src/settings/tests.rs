//! Flags over the file, and what is refused before anything starts.

use super::*;

fn given(listen: &str, auth: &str, common: &ServerFlags) -> Result<Auth, String> {
    let server = v1::Server {
        listen: listen.into(),
        auth: auth.into(),
        ..Default::default()
    };
    router(&server, &RouterFlags::default(), common)
        .map(|settings| settings.auth)
        .map_err(|failed| failed.to_string())
}

#[test]
fn auth_must_be_written_out_wherever_others_can_call() {
    let plain = ServerFlags::default();
    assert_eq!(given("", "", &plain), Ok(Auth::Required));
    assert_eq!(given("", "none", &plain), Ok(Auth::None));
    assert_eq!(
        given("0.0.0.0:8080", "required", &plain),
        Ok(Auth::Required)
    );
    assert_eq!(given("0.0.0.0:8080", "none", &plain), Ok(Auth::None));
    assert!(
        given("0.0.0.0:8080", "", &plain)
            .unwrap_err()
            .contains("auth")
    );
    assert!(given("", "open", &plain).unwrap_err().contains("open"));
    let container = ServerFlags {
        container: true,
        ..Default::default()
    };
    assert!(
        given("", "", &container)
            .unwrap_err()
            .contains("0.0.0.0:8080")
    );
}

#[test]
fn a_flag_wins_over_the_file() {
    let flags = RouterFlags {
        listen: Some(([127, 0, 0, 1], 1).into()),
        auth: Some(AuthWord::None),
        ..Default::default()
    };
    let server = v1::Server {
        listen: "0.0.0.0:9".into(),
        auth: "required".into(),
        ..Default::default()
    };
    let settings = router(&server, &flags, &ServerFlags::default()).unwrap();
    assert_eq!((settings.listen.port(), settings.auth), (1, Auth::None));
}

fn plane(block: v1::ControlPlane, flags: &ControlPlaneFlags) -> Result<(String, String), String> {
    let server = v1::Server {
        control_plane: Some(block),
        ..Default::default()
    };
    control_plane(&server, flags, &ServerFlags::default())
        .map(|settings| {
            (
                settings.listen.to_string(),
                settings.grpc_listen.to_string(),
            )
        })
        .map_err(|failed| failed.to_string())
}

#[test]
fn a_control_plane_listens_where_it_is_told() {
    let written = v1::ControlPlane {
        listen: "127.0.0.1:1".into(),
        grpc_listen: "127.0.0.1:2".into(),
        ..Default::default()
    };
    let none = ControlPlaneFlags::default();
    let defaults = ("127.0.0.1:8090".into(), "127.0.0.1:8091".into());
    assert_eq!(plane(v1::ControlPlane::default(), &none), Ok(defaults));
    assert_eq!(
        plane(written.clone(), &none),
        Ok(("127.0.0.1:1".into(), "127.0.0.1:2".into()))
    );
    let flags = ControlPlaneFlags {
        grpc_listen: Some(([0, 0, 0, 0], 3).into()),
        ..Default::default()
    };
    assert_eq!(
        plane(written, &flags),
        Ok(("127.0.0.1:1".into(), "0.0.0.0:3".into()))
    );
}

#[test]
fn samples_come_from_where_the_flag_says_before_the_file() {
    let source = |written: Option<&str>, flag: Option<&str>| {
        let server = v1::Server {
            control_plane: Some(v1::ControlPlane {
                prometheus: written.map(str::to_owned),
                ..Default::default()
            }),
            ..Default::default()
        };
        let flags = ControlPlaneFlags {
            prometheus: flag.map(str::to_owned),
            ..Default::default()
        };
        let settings = control_plane(&server, &flags, &ServerFlags::default());
        settings.unwrap().metrics_source
    };
    let prometheus = |url: &str| MetricsSource::Prometheus {
        url: url.to_owned(),
    };
    assert_eq!(source(None, None), MetricsSource::None);
    assert_eq!(source(Some(""), None), MetricsSource::None);
    assert_eq!(source(Some("http://a/x"), None), prometheus("http://a/x"));
    assert_eq!(
        source(Some("http://a"), Some("http://b")),
        prometheus("http://b")
    );
    // A listener on all addresses is not an address one can connect to.
    let own = |at: &str| own_metrics(at.parse().unwrap());
    let read = |url: &str| MetricsSource::Router {
        metrics_url: url.to_owned(),
        every: Duration::from_secs(5),
    };
    assert_eq!(own("0.0.0.0:81"), read("http://127.0.0.1:81/metrics"));
    assert_eq!(own("[::]:81"), read("http://[::1]:81/metrics"));
    assert_eq!(own("10.0.0.1:81"), read("http://10.0.0.1:81/metrics"));
}

#[test]
fn a_token_of_the_settings_has_a_digest_or_none_starts() {
    let token = |sha256: &str, env: &str| v1::ControlPlane {
        tokens: vec![v1::ControlPlaneToken {
            name: "ci".into(),
            role: "operator".into(),
            sha256: sha256.into(),
            env: env.into(),
            ..Default::default()
        }],
        ..Default::default()
    };
    let none = ControlPlaneFlags::default();
    assert!(plane(token(&"a".repeat(64), ""), &none).is_ok());
    let said = plane(token("", "SERIN_TEST_IS_NOT_SET"), &none).unwrap_err();
    for word in [
        "controlPlane.tokens, entry 1 (ci)",
        "SERIN_TEST_IS_NOT_SET is not set",
    ] {
        assert!(said.contains(word), "{said}");
    }
}

#[test]
fn a_host_has_a_name_that_can_stand_in_a_key() {
    let name = host_name();
    assert!(
        !name.is_empty() && !name.contains(['/', ' ', '\n']),
        "{name:?}"
    );
}
