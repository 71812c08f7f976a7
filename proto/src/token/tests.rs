//! A token is a role, a digest and perhaps a time; everything else is a fault.

use time::macros::datetime;

use super::*;

const DIGEST: &str = "5e884898da28047151d0e56f8dc6292773603d0d6aabbdd62a11ef721d1542d8";

#[rustfmt::skip]
#[test]
fn what_is_no_token_is_told() {
    let table: [(&str, &[&str]); 8] = [
        ("{}",                                              &["/role missing", "/sha256 missing"]),
        (r#"{"role": "root", "sha256": "5e884898"}"#,       &["/role unknown_word", "/sha256 bad_secret"]),
        (r#"{"role": "Admin", "sha256": "{DIGEST}"}"#,      &["/role unknown_word"]),
        (r#"{"role": "admin", "sha256": "{DIGEST}0"}"#,     &["/sha256 bad_secret"]),
        (r#"{"role": "admin", "sha256": "{DIGEST}", "expiresAt": "tomorrow"}"#, &["/expiresAt bad_time"]),
        (r#"{"role": 5, "sha": "x", "expiresAt": 2027}"#,   &["/role wrong_type", "/sha unknown_field", "/expiresAt wrong_type"]),
        ("[]",                                              &[" wrong_type"]),
        ("role: admin",                                     &[" syntax"]),
    ];
    for (json, expected) in table {
        let json = json.replace("{DIGEST}", DIGEST);
        let faults = Token::read_strict(json.as_bytes()).unwrap_err();
        let told: Vec<String> = faults.iter().map(|f| format!("{} {}", f.pointer, f.code)).collect();
        assert_eq!(told, expected, "{json}");
    }
}

#[test]
fn a_token_is_stored_as_it_was_sent() {
    let table = [
        (
            format!(r#"{{"role":"viewer","sha256":"{DIGEST}"}}"#),
            Role::Viewer,
            None,
        ),
        (
            format!(
                r#"{{"role":"admin","sha256":"{DIGEST}","expiresAt":"2027-01-01T00:00:00+01:00"}}"#
            ),
            Role::Admin,
            Some(datetime!(2027-01-01 0:00 +1)),
        ),
    ];
    for (json, role, expires_at) in table {
        let token = Token::read_strict(json.as_bytes()).unwrap();
        let sha256 = DIGEST.to_owned();
        assert_eq!(
            token,
            Token {
                role,
                sha256,
                expires_at
            }
        );
        assert_eq!(String::from_utf8(token.to_json()).unwrap(), json);
        assert_eq!(Token::read_tolerant(json.as_bytes()), Ok(token));
    }
    let upper = format!(
        r#"{{"role": "operator", "sha256": "{}"}}"#,
        DIGEST.to_uppercase()
    );
    assert_eq!(Token::read_strict(upper.as_bytes()).unwrap().sha256, DIGEST);
}

#[test]
fn only_who_reads_the_store_is_tolerant_of_a_newer_token() {
    let json = format!(r#"{{"role": "viewer", "sha256": "{DIGEST}", "scopes": ["a"]}}"#);
    assert!(Token::read_strict(json.as_bytes()).is_err());
    assert_eq!(
        Token::read_tolerant(json.as_bytes()).map(|token| token.role),
        Ok(Role::Viewer)
    );
}

#[test]
fn a_role_is_its_word_and_includes_those_before_it() {
    for role in Role::ALL {
        assert_eq!(role.to_string().parse(), Ok(role));
        assert_eq!(serde_json::to_string(&role).unwrap(), format!("\"{role}\""));
    }
    let all = Role::ALL;
    assert!(
        all.is_sorted()
            && Role::Admin.reaches(Role::Viewer)
            && !Role::Viewer.reaches(Role::Operator)
    );
    for word in ["", "Admin", "root", "viewer "] {
        assert!(word.parse::<Role>().is_err(), "{word:?}");
    }
}
