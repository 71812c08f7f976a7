//! A real etcd: one member or a cluster of three, on ports of its own, in the story's folder.
//!
//! It is killed, wiped, frozen, cut off and started again at the same addresses. Writes past
//! everything of ours go through [`crate::gateway`]; users, roles and alarms through `etcdctl`.

mod member;

use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use crate::namespace::Namespace;
use crate::{World, eventually, free_address};
use member::etcdctl;

pub use member::{Member, tool};

const LEADER_WITHIN: Duration = Duration::from_secs(30);

/// Members of a [`Cluster`].
pub const MEMBERS: usize = 3;

/// A cluster of one.
#[derive(Debug)]
pub struct Etcd {
    member: Member,
}

/// A cluster of three.
#[derive(Debug)]
pub struct Cluster {
    members: Vec<Member>,
}

impl Etcd {
    /// Starts it and waits until it is healthy.
    ///
    /// # Panics
    /// When it is not within a minute, with all it printed; when there is no etcd.
    pub async fn start(world: &World) -> Self {
        Self::start_with(world, &[]).await
    }

    /// The same with further arguments.
    pub async fn start_with(world: &World, arguments: &[&str]) -> Self {
        let member = Member::new(world, "etcd", free_address());
        Self::launch(member, arguments, "http").await
    }

    /// The same for clients that speak TLS; the arguments name the certificates.
    pub async fn start_tls(world: &World, arguments: &[&str]) -> Self {
        let member = Member::new(world, "etcd", free_address());
        Self::launch(member, arguments, "https").await
    }

    /// The same on a disk that takes so many microseconds longer for each flush.
    pub async fn start_slow(world: &World, flush_us: u32) -> Self {
        let mut member = Member::new(world, "etcd", free_address());
        let slow = format!("inject=fdatasync,fsync:delay_exit={flush_us}");
        let words = [
            "strace",
            "-D",
            "-f",
            "-qq",
            "-e",
            "trace=fdatasync,fsync",
            "-e",
            &slow,
            "-o",
            "/dev/null",
        ];
        member.before = words.map(str::to_owned).to_vec();
        Self::launch(member, &[], "http").await
    }

    /// The same in a network of its own.
    pub async fn start_in(world: &World, namespace: &Namespace) -> Self {
        let inside = |address: SocketAddr| namespace.at(address.port());
        let mut member = Member::new(world, "etcd", inside(free_address()));
        (member.peer, member.metrics) = (inside(member.peer), inside(member.metrics));
        member.before = namespace.enter().to_vec();
        Self::launch(member, &[], "http").await
    }

    async fn launch(mut member: Member, arguments: &[&str], scheme: &str) -> Self {
        let cluster = format!("{}=http://{}", member.name, member.peer);
        member.prepare(&cluster, arguments, scheme);
        member.start();
        member.wait_until_healthy().await;
        Self { member }
    }

    /// Its address as `--store` wants it.
    pub fn store(&self) -> String {
        format!("etcd://{}", self.member.address)
    }

    /// Where clients go.
    pub fn address(&self) -> SocketAddr {
        self.member.address
    }

    /// Ends it at once (SIGKILL).
    pub async fn kill(&mut self) {
        self.member.kill().await;
    }

    /// Deletes all it has stored. It must not run.
    pub fn wipe(&self) {
        self.member.wipe();
    }

    /// Puts what a snapshot file holds in place of all it has stored. It must not run.
    ///
    /// # Panics
    /// When the file cannot be restored, with what `etcdutl` said.
    pub async fn restore(&self, snapshot: &Path) {
        self.member.restore(snapshot).await;
    }

    /// Starts it again with what is in its folder, and waits until it is healthy.
    pub async fn again(&mut self) {
        self.member.start();
        self.member.wait_until_healthy().await;
    }

    /// Freezes it (SIGSTOP): connections stay, nothing is answered.
    pub async fn pause(&self) {
        self.member.signal("STOP").await;
    }

    /// Lets it go on (SIGCONT).
    pub async fn resume(&self) {
        self.member.signal("CONT").await;
    }

    /// Runs `etcdctl` and returns what it printed.
    ///
    /// # Panics
    /// When it fails, with what it said.
    pub async fn ctl(&self, arguments: &[&str]) -> String {
        self.ctl_reading(arguments, "").await
    }

    /// The same with a text to read, such as a value or a password.
    pub async fn ctl_reading(&self, arguments: &[&str], input: &str) -> String {
        etcdctl(&self.member.address.to_string(), arguments, input).await
    }
}

impl Cluster {
    /// Starts three members and waits until all are healthy.
    ///
    /// # Panics
    /// As [`Etcd::start`].
    pub async fn start(world: &World) -> Self {
        Self::launch(new_members(world)).await
    }

    /// The same with the first member in a network of its own, so that it can be cut off from the
    /// others. It still answers at its [`Member::socket`].
    pub async fn start_split(world: &World, namespace: &Namespace) -> Self {
        let mut members = new_members(world);
        for member in &mut members {
            member.peer.set_ip(namespace.outside.into());
        }
        let apart = &mut members[0];
        for address in [&mut apart.address, &mut apart.metrics, &mut apart.peer] {
            *address = namespace.at(address.port());
        }
        apart.before = namespace.enter().to_vec();
        Self::launch(members).await
    }

    async fn launch(mut members: Vec<Member>) -> Self {
        let cluster: Vec<String> = members
            .iter()
            .map(|member| format!("{}=http://{}", member.name, member.peer))
            .collect();
        for member in &mut members {
            member.prepare(&cluster.join(","), &[], "http");
            member.start();
        }
        for member in &mut members {
            member.wait_until_healthy().await;
        }
        Self { members }
    }

    /// The addresses of all members as `--store` wants them.
    pub fn store(&self) -> String {
        format!("etcd://{}", self.endpoints().join(","))
    }

    /// The members' client addresses.
    pub fn endpoints(&self) -> Vec<String> {
        let addresses = self.members.iter().map(|member| member.address.to_string());
        addresses.collect()
    }

    /// # Panics
    /// When there is no such member.
    pub fn member(&mut self, index: usize) -> &mut Member {
        &mut self.members[index]
    }

    /// Which member leads, as a majority of those that run see it.
    ///
    /// # Panics
    /// When none does within half a minute.
    pub async fn leader(&self) -> usize {
        let look = async || self.seen_leader().await;
        let found = eventually("a leader", LEADER_WITHIN, look, Option::is_some).await;
        found.expect("it was waited for")
    }

    /// Kills the member that leads and says which it was.
    pub async fn kill_leader(&mut self) -> usize {
        let leader = self.leader().await;
        self.members[leader].kill().await;
        leader
    }

    /// Starts a member again and waits until it is healthy.
    pub async fn again(&mut self, index: usize) {
        self.members[index].start();
        self.members[index].wait_until_healthy().await;
    }

    /// Runs `etcdctl` against all members and returns what it printed.
    pub async fn ctl(&self, arguments: &[&str]) -> String {
        etcdctl(&self.endpoints().join(","), arguments, "").await
    }

    async fn seen_leader(&self) -> Option<usize> {
        let mut ids = Vec::new();
        let mut leaders: Vec<String> = Vec::new();
        for member in &self.members {
            let status = member.status().await;
            ids.push(status["header"]["member_id"].as_str().map(str::to_owned));
            leaders.extend(status["leader"].as_str().map(str::to_owned));
        }
        let agreed =
            |id: &String| leaders.iter().filter(|leader| *leader == id).count() * 2 > MEMBERS;
        ids.iter().position(|id| id.as_ref().is_some_and(agreed))
    }
}

fn new_members(world: &World) -> Vec<Member> {
    let member = |n| Member::new(world, &format!("etcd-{n}"), free_address());
    (0..MEMBERS).map(member).collect()
}
