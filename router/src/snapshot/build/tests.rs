//! What a snapshot shares with the one before it, and what a change of one document costs.

use proptest::{collection::vec, option, prelude::*, test_runner::Config};
use serin_proto::{address::Networks, admission::Admission};

use super::*;

/// Documents as a store would have them, and the snapshots built of them.
struct Town {
    admission: Admission,
    revision: u64,
    metrics: Arc<Metrics>,
    newest: Option<Snapshot>,
}

impl Town {
    /// Two providers, one key, and routes `r0`, `r1` … by turns to each of the two.
    fn new(routes: usize) -> Self {
        let mut town = Self {
            admission: Admission::new(Networks::default()),
            revision: 0,
            metrics: Metrics::new(1, "test", "none"),
            newest: None,
        };
        town.provider("even", "");
        town.provider("odd", "");
        town.put(
            "config/keys/app",
            &format!(
                r#"{{"name":"app","secrets":[{{"sha256":"{:064}"}}],"routes":["*"]}}"#,
                7
            ),
        );
        for at in 0..routes {
            town.route(at, "");
        }
        town
    }

    fn put(&mut self, key: &str, value: &str) {
        self.revision += 1;
        let now = Revision(self.revision);
        self.admission.put(key, value.as_bytes(), now, now);
    }

    fn provider(&mut self, name: &str, more: &str) {
        let url = "https://api.example.com/v1";
        let value = format!(r#"{{"name":"{name}","dialect":"openai","baseUrl":"{url}"{more}}}"#);
        self.put(&format!("config/providers/{name}"), &value);
    }

    fn route(&mut self, at: usize, more: &str) {
        let provider = ["even", "odd"][at % 2];
        let target = |name| format!(r#"{{"name":"{name}","provider":"{provider}","model":"m"}}"#);
        let value = format!(
            r#"{{"name":"r{at}","aliases":["alias-{at}"],"targets":[{},{}],
                "traffic":{{"weights":{{"a":50,"b":50}},"fallback":["a","b"]}}{more}}}"#,
            target("a"),
            target("b"),
        );
        self.put(&format!("config/routes/r{at}"), &value);
    }

    /// Takes changes and builds, whatever has to be refused.
    fn take(&mut self, changes: &[Change]) {
        for (at, change) in changes {
            let key = format!("config/routes/r{at}");
            let Some((alias, idle)) = change else {
                self.admission.delete(&key);
                continue;
            };
            let value = format!(
                r#"{{"name":"r{at}","targets":[{{"name":"a","provider":"odd","model":"m"}}],
                    "traffic":{{"weights":{{"a":100}}}},"aliases":["alias-{alias}"],
                    "timeouts":{{"idle":"{idle}s"}}}}"#
            );
            self.put(&key, &value);
        }
        let admitted = self.admission.admit();
        let revision = Revision(self.revision);
        let built = build(&admitted, revision, self.newest.as_ref(), &self.metrics);
        self.newest = Some(built.snapshot);
    }

    /// Builds; gives what its watcher would be told to do.
    fn build(&mut self) -> Vec<Owned> {
        let admitted = self.admission.admit();
        assert_eq!(admitted.rejected, []);
        let revision = Revision(self.revision);
        let built = build(&admitted, revision, self.newest.as_ref(), &self.metrics);
        assert_eq!(built.rejected, []);
        self.newest = Some(built.snapshot);
        built.targets
    }

    fn snapshot(&self) -> &Snapshot {
        self.newest.as_ref().expect("it was built")
    }

    fn routes(&self) -> Vec<Arc<Route>> {
        self.snapshot().routes.routes().to_vec()
    }
}

/// Names of the routes that are not the same as before.
fn new_ones(before: &[Arc<Route>], now: &[Arc<Route>]) -> Vec<String> {
    let is_new = |route: &&Arc<Route>| !before.iter().any(|old| Arc::ptr_eq(old, route));
    now.iter()
        .filter(is_new)
        .map(|route| route.name.to_string())
        .collect()
}

fn handles(route: &Route) -> Vec<u64> {
    route
        .targets
        .iter()
        .map(|target| target.handle.id)
        .collect()
}

#[test]
fn a_change_of_one_route_compiles_one_route_and_keeps_its_state() {
    let mut town = Town::new(20);
    assert_eq!(town.build().len(), 40, "every target gets its owner");
    let (before, keyring) = (town.routes(), Arc::clone(&town.snapshot().keyring));
    town.route(4, r#","timeouts":{"idle":"9s"}"#);
    let owned = town.build();
    let now = town.routes();
    assert_eq!(new_ones(&before, &now), ["r4"]);
    assert_eq!(owned.len(), 2, "only its targets are told");
    assert_eq!(town.snapshot().departures, 0);
    assert!(Arc::ptr_eq(&keyring, &town.snapshot().keyring));
    let of = |routes: &[Arc<Route>]| {
        let route = routes.iter().find(|route| &*route.name == "r4").cloned();
        route.expect("it is there")
    };
    let (old, new) = (of(&before), of(&now));
    assert_eq!(handles(&old), handles(&new));
    assert!(Arc::ptr_eq(&old.budget, &new.budget));
    assert!(Arc::ptr_eq(&old.metrics, &new.metrics));
    assert_eq!((old.limits.idle_ms, new.limits.idle_ms), (60_000, 9_000));
    let by_alias = town.snapshot().routes.resolve("alias-4").cloned();
    assert!(Arc::ptr_eq(&by_alias.expect("an alias"), &new));
}

#[test]
fn a_change_of_a_provider_compiles_its_routes_and_keeps_their_state() {
    let mut town = Town::new(6);
    town.build();
    let before = town.routes();
    town.provider("odd", r#","headers":{"x-team":"blue"}"#);
    town.build();
    let now = town.routes();
    assert_eq!(new_ones(&before, &now), ["r1", "r3", "r5"]);
    let all = |routes: &[Arc<Route>]| {
        routes
            .iter()
            .map(|route| handles(route))
            .collect::<Vec<_>>()
    };
    assert_eq!(all(&before), all(&now));
    town.provider("odd", r#","headers":{"x-team":"blue"}"#);
    town.build();
    assert_eq!(
        new_ones(&now, &town.routes()),
        Vec::<String>::new(),
        "written again, and the same"
    );
}

#[test]
fn what_goes_and_what_comes_leaves_the_rest_alone() {
    let mut town = Town::new(3);
    town.build();
    let before = town.routes();
    let gone = handles(&before[1]);
    town.admission.delete("config/routes/r1");
    town.route(3, "");
    town.put(
        "config/keys/app",
        r#"{"name":"app","secrets":[],"routes":["*"]}"#,
    );
    let keyring = Arc::clone(&town.snapshot().keyring);
    assert_eq!((town.build().len(), town.snapshot().departures), (2, 1));
    assert_eq!(new_ones(&before, &town.routes()), ["r3"]);
    assert!(!Arc::ptr_eq(&keyring, &town.snapshot().keyring));
    assert!(gone.iter().all(|id| !town.snapshot().has_target(*id)));
    assert!(
        handles(&before[0])
            .iter()
            .all(|id| town.snapshot().has_target(*id))
    );
    assert!(town.snapshot().routes.resolve("alias-1").is_none());
}

/// A route that is written, with its alias and a limit, or deleted.
type Change = (usize, Option<(u64, u64)>);

proptest! {
    #![proptest_config(Config { cases: 64, ..Config::default() })]

    #[test]
    fn however_routes_come_and_go_their_names_are_those_of_a_snapshot_made_anew(
        changes in vec(vec((0..12_usize, option::of((0..4_u64, 1..4_u64))), 1..4), 1..12),
    ) {
        let mut town = Town::new(8);
        for batch in &changes {
            town.take(batch);
            let anew = build(&town.admission.admit(), Revision(1), None, &town.metrics).snapshot;
            prop_assert_eq!(names(town.snapshot()), names(&anew));
            let ids = town.routes().iter().flat_map(|route| handles(route)).collect();
            prop_assert_eq!(&town.snapshot().target_ids, &ids);
        }
    }
}

/// Every name that may be asked for, and the document it leads to.
fn names(snapshot: &Snapshot) -> Vec<(String, Option<*const Document>)> {
    let all = (0..12).flat_map(|at| [format!("r{at}"), format!("alias-{at}")]);
    let source = |name: &str| {
        let route = snapshot.routes.resolve(name);
        route.map(|route| Arc::as_ptr(&route.source))
    };
    let mut found: Vec<_> = all.map(|name| (name.clone(), source(&name))).collect();
    let listed = snapshot.routes.names(None);
    found.extend(listed.map(|name| (name.to_owned(), source(name))));
    found
}
