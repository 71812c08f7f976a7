//! Users, tokens, roles, certificates: refused, renewed, replaced, while the store runs.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair};
use serin_store::watch::Reason;
use serin_store::{Error, EtcdSettings, EtcdStore, Scope, Store, Watch};
use serin_tests::client::{Request, ask};
use serin_tests::etcd::Etcd;
use serin_tests::metrics::Scrape;
use serin_tests::{World, eventually};
use tokio::runtime::Handle;
use tokio::time::{Instant, interval};

use crate::outages::{Told, write};
use crate::proxy::{Cut, Proxy};
use crate::stage::{SOON, down, key, quick, reset, streams};

/// What is promised after a password or a role came back.
const BACK_WITHIN: Duration = Duration::from_secs(5);

const ROOT: &str = "--user=root:r00t";

/// An etcd with authentication: `router` may read documents and write reports, with password `one`.
async fn guarded(world: &World) -> Etcd {
    // A token of this kind ends when its time is over, however often it is used.
    let secret = world.write("jwt", "a secret of this test that nobody else knows");
    let token = format!("jwt,sign-method=HS256,priv-key={},ttl=2s", secret.display());
    let etcd = Etcd::start_with(world, &["--auth-token", &token, "--bcrypt-cost", "4"]).await;
    for words in [
        "user add root:r00t",
        "user grant-role root root",
        "role add router",
        "role grant-permission router read /serin/v1/config/ /serin/v1/config0",
        "role grant-permission router readwrite /serin/v1/routers/ /serin/v1/routers0",
        "user add router:one",
        "user grant-role router router",
        "auth enable",
    ] {
        // The first role of etcd makes itself when it is granted.
        if words == "user grant-role root root" {
            etcd.ctl(&["role", "add", "root"]).await;
        }
        etcd.ctl(&words.split(' ').collect::<Vec<_>>()).await;
    }
    etcd
}

fn as_user(name: &str, password: PathBuf, endpoint: String) -> Arc<EtcdStore> {
    let settings = EtcdSettings {
        username: Some(name.to_owned()),
        password_file: Some(password),
        ..EtcdSettings::default()
    };
    EtcdStore::open_with(vec![endpoint], settings, quick(), &Handle::current())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_that_ends_is_renewed_and_nobody_notices() {
    let world = World::new();
    let etcd = guarded(&world).await;
    let endpoint = etcd.address().to_string();
    let root = as_user("root", world.write("root", "r00t\n"), endpoint.clone());
    let store = as_user("router", world.write("router", "one\n"), endpoint);
    let mut watch = store.watch(Scope::Documents, None);
    reset(&mut watch).await;
    let (began, mut pace) = (Instant::now(), interval(Duration::from_millis(50)));
    let mut told = Told::default();
    for n in 0.. {
        // Three lives of a token.
        if began.elapsed() > Duration::from_secs(6) {
            break;
        }
        pace.tick().await;
        let read = store.get(&key("config/routes/a")).await;
        assert!(read.is_ok(), "after {:?}: {read:?}", began.elapsed());
        let last = write(&root, &format!("r{n}")).await;
        told.until(&mut watch, last).await;
    }
    assert_eq!(told.resets, 0);
    streams(&store, 1).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn fifty_callers_renew_one_token() {
    let world = World::new();
    let etcd = guarded(&world).await;
    let endpoint = etcd.address().to_string();
    let store = as_user("router", world.write("router", "one"), endpoint);
    let tokens = async || {
        let answer = ask(etcd.address(), &Request::get("/metrics")).await;
        let labels = [("grpc_method", "Authenticate"), ("grpc_code", "OK")];
        Scrape::read(&answer.text()).sum("grpc_server_handled_total", &labels)
    };
    store.get(&key("config/routes/a")).await.expect("an answer");
    let (before, began) = (tokens().await, Instant::now());
    let age = async || began.elapsed();
    let ended = Duration::from_secs(3);
    eventually("the token ends", SOON, age, |age| *age > ended).await;
    let callers: Vec<_> = (0..50)
        .map(|_| {
            let store = Arc::clone(&store);
            tokio::spawn(async move { store.get(&key("config/routes/a")).await.is_ok() })
        })
        .collect();
    for caller in callers {
        assert!(caller.await.expect("no panic"), "every caller is answered");
    }
    assert_eq!(tokens().await - before, 1.0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_user_sees_what_its_role_says() {
    let world = World::new();
    let etcd = guarded(&world).await;
    let endpoint = etcd.address().to_string();
    let store = as_user("router", world.write("router", "one"), endpoint.clone());
    // The whole range of documents and nothing beside it: one byte more would be refused.
    let mut documents = store.watch(Scope::Documents, None);
    reset(&mut documents).await;
    let mut everything = store.watch(Scope::All, None);
    assert_eq!(down(&mut everything).await, Reason::Auth);
    let denied = store.get(&key("tokens/admin")).await;
    assert!(matches!(denied, Err(Error::Denied(_))), "{denied:?}");

    let stranger = as_user("router", world.write("wrong", "two"), endpoint.clone());
    let denied = stranger.get(&key("config/routes/a")).await;
    assert!(matches!(denied, Err(Error::Denied(_))), "{denied:?}");
    let nobody = crate::stage::store_at(vec![endpoint], quick());
    let denied = nobody.get(&key("config/routes/a")).await;
    assert!(matches!(denied, Err(Error::Denied(_))), "{denied:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_password_is_read_from_its_file() {
    let world = World::new();
    let etcd = guarded(&world).await;
    let proxy = Proxy::start(etcd.address()).await;
    let root = as_user(
        "root",
        world.write("root", "r00t"),
        etcd.address().to_string(),
    );
    let store = as_user("router", world.write("router", "one"), proxy.endpoint());
    let mut watch = store.watch(Scope::Documents, None);
    reset(&mut watch).await;
    told_until_written(&root, &mut watch, "first").await;

    let passwd = [ROOT, "user", "passwd", "router", "--interactive=false"];
    etcd.ctl_reading(&passwd, "two").await;
    // The stream that stands goes on; a new connection is refused until the file is new.
    told_until_written(&root, &mut watch, "second").await;
    proxy.cut(Cut::AT_ONCE);
    down(&mut watch).await;
    proxy.cut(Cut::NEVER);
    while down(&mut watch).await != Reason::Auth {}
    let began = Instant::now();
    world.write("router", "two\n");
    told_until_written(&root, &mut watch, "third").await;
    let took = began.elapsed();
    eprintln!("back {took:?} after the password was");
    assert!(took < BACK_WITHIN, "{took:?}");
    assert!(store.get(&key("config/routes/third")).await.is_ok());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_changed_password_ends_no_call_on_a_connection_that_stands() {
    let world = World::new();
    let etcd = guarded(&world).await;
    let password = world.write("router", "one");
    let store = as_user("router", password, etcd.address().to_string());
    let asked = key("config/routes/any");
    assert!(store.get(&asked).await.is_ok());
    let passwd = [ROOT, "user", "passwd", "router", "--interactive=false"];
    etcd.ctl_reading(&passwd, "two").await;
    world.write("router", "two");
    let began = Instant::now();
    // The token of the old password ends after two seconds.
    let look = async || (store.get(&asked).await.is_ok(), began.elapsed());
    let ended = Duration::from_secs(3);
    let promise = "calls go on with the new password";
    eventually(promise, SOON, look, |seen| seen.0 && seen.1 > ended).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_role_that_comes_back_is_used_again() {
    let world = World::new();
    let etcd = guarded(&world).await;
    let proxy = Proxy::start(etcd.address()).await;
    let root = as_user(
        "root",
        world.write("root", "r00t"),
        etcd.address().to_string(),
    );
    let store = as_user("router", world.write("router", "one"), proxy.endpoint());
    let mut watch = store.watch(Scope::Documents, None);
    reset(&mut watch).await;
    etcd.ctl(&[ROOT, "user", "revoke-role", "router", "router"])
        .await;
    proxy.cut(Cut::AT_ONCE);
    down(&mut watch).await;
    proxy.cut(Cut::NEVER);
    while down(&mut watch).await != Reason::Auth {}
    etcd.ctl(&[ROOT, "user", "grant-role", "router", "router"])
        .await;
    let began = Instant::now();
    told_until_written(&root, &mut watch, "after").await;
    let took = began.elapsed();
    eprintln!("back {took:?} after the role was");
    assert!(took < BACK_WITHIN, "{took:?}");
}

/// Writes a document and reads the watch until it is there.
async fn told_until_written(writer: &Arc<EtcdStore>, watch: &mut Watch, name: &str) {
    let last = write(writer, name).await;
    let mut told = Told::default();
    told.until(watch, last).await;
    let document = format!("config/routes/{name}");
    assert!(told.there.contains_key(&document), "{told:?}");
    assert_eq!(told.resets, 0, "nothing was missing from history");
}

/// An authority that signs what a test needs.
struct Authority {
    issuer: CertifiedIssuer<'static, KeyPair>,
}

impl Authority {
    fn new() -> Self {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().expect("a key can be made");
        let issuer = CertifiedIssuer::self_signed(params, key).expect("it signs itself");
        Self { issuer }
    }

    /// Writes `<name>.crt` and `<name>.key`, signed for 127.0.0.1 and with that common name.
    fn sign(&self, world: &World, name: &str) -> (PathBuf, PathBuf) {
        let mut params = CertificateParams::new(vec!["127.0.0.1".to_owned()]).expect("a name");
        params.distinguished_name.push(DnType::CommonName, name);
        let key = KeyPair::generate().expect("a key can be made");
        let signed = params.signed_by(&key, &self.issuer).expect("it is signed");
        (
            world.write(&format!("{name}.crt"), &signed.pem()),
            world.write(&format!("{name}.key"), &key.serialize_pem()),
        )
    }

    /// Writes `ca.crt`, which both sides trust.
    fn publish(&self, world: &World) -> PathBuf {
        world.write("ca.crt", &self.issuer.pem())
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn replaced_certificates_are_used_without_a_restart_of_ours() {
    let world = World::new();
    let authority = Authority::new();
    let ca = authority.publish(&world);
    let (server, server_key) = authority.sign(&world, "server");
    let (client, client_key) = authority.sign(&world, "client");
    let text = |path: &PathBuf| path.to_string_lossy().into_owned();
    let arguments = [
        "--client-cert-auth".to_owned(),
        format!("--trusted-ca-file={}", text(&ca)),
        format!("--cert-file={}", text(&server)),
        format!("--key-file={}", text(&server_key)),
    ];
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let mut etcd = Etcd::start_tls(&world, &arguments).await;
    let settings = EtcdSettings {
        ca_file: Some(ca),
        cert_file: Some(client),
        key_file: Some(client_key),
        ..EtcdSettings::default()
    };
    let endpoints = vec![etcd.address().to_string()];
    let runtime = Handle::current();
    let store = EtcdStore::open_with(endpoints.clone(), settings.clone(), quick(), &runtime);
    let mut watch = store.watch(Scope::Documents, None);
    reset(&mut watch).await;
    told_until_written(&store, &mut watch, "before").await;

    // Another authority: the old certificates are worth nothing any more.
    let authority = Authority::new();
    authority.publish(&world);
    authority.sign(&world, "server");
    authority.sign(&world, "client");
    etcd.kill().await;
    etcd.again().await;
    told_until_written(&store, &mut watch, "after").await;

    let plain = EtcdStore::open_with(endpoints, EtcdSettings::default(), quick(), &runtime);
    let look = async || plain.get(&key("config/routes/after")).await;
    let refused = eventually("plain text gets no answer", SOON, look, Result::is_err).await;
    assert!(matches!(refused, Err(Error::Unavailable(_))), "{refused:?}");
}
